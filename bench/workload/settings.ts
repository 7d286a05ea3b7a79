/** How much is measured: `--quick` looks, the whole run measures. */

export interface Sampling {
  /** Calls before the clock starts. */
  readonly warmups: number;
  readonly minSamples: number;
  /** Go on sampling for this long. */
  readonly seconds: number;
}

export interface Settings {
  readonly quick: boolean;
  readonly threads: number;
  /** The framework's backend. */
  readonly backend: string;
  readonly sampling: Sampling;
  /** Training steps; the first `untimed` of them count for the losses only. */
  readonly steps: {
    readonly small: number;
    readonly large: number;
    readonly memory: number;
    readonly untimed: number;
  };
  /** So many tokens each time; what is compiled as it runs is at its best after some. */
  readonly decode: { readonly tokens: number; readonly warmups: number; readonly runs: number };
  /** Passkey recipe: training steps, and the streaming evaluation's length (in training lengths) and sequences. */
  readonly infini: { readonly steps: number; readonly multiple: number; readonly samples: number };
  readonly cold: { readonly runs: number };
}

type Amounts = Omit<Settings, 'quick' | 'threads' | 'backend'>;

const whole: Amounts = {
  sampling: { warmups: 5, minSamples: 15, seconds: 1 },
  steps: { small: 100, large: 30, memory: 300, untimed: 3 },
  decode: { tokens: 127, warmups: 30, runs: 40 },
  infini: { steps: 60, multiple: 64, samples: 16 },
  cold: { runs: 7 },
};

const quick: Amounts = {
  sampling: { warmups: 2, minSamples: 3, seconds: 0.1 },
  steps: { small: 10, large: 2, memory: 10, untimed: 1 },
  decode: { tokens: 24, warmups: 1, runs: 2 },
  infini: { steps: 5, multiple: 4, samples: 4 },
  cold: { runs: 2 },
};

/** @param check only losses and tokens are wanted */
export function settingsOf(
  options: Pick<Settings, 'quick' | 'threads' | 'backend'>,
  check = false,
): Settings {
  const amounts = options.quick ? quick : whole;
  const steps = { ...amounts.steps, large: check ? quick.steps.large : amounts.steps.large };
  return { ...amounts, steps, decode: check ? quick.decode : amounts.decode, ...options };
}
