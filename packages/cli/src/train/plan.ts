/** What a run is: plain data in its folder, from which it is made again. */
import { join } from 'node:path';
import { schedules, type Schedule } from '@infinigrad/nn';
import { checks } from '@infinigrad/zoo';
import { readObject } from '../checkpoint.ts';
import { CommandError } from '../errors.ts';
import { objectiveNames, type ObjectiveName } from '../objectives/names.ts';

export const planName = 'run.json';
export const scheduleNames = ['cosine', 'linear', 'constant', 'wsd'] as const;

export const usualNoise = { noise: 0.15, spanLength: 3 } as const;

export interface TrainPlan {
  /** The content of config.json, but for the dtype. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Files with their checksum, or a generator. */
  readonly data:
    | { readonly files: readonly string[]; readonly sha256: string }
    | { readonly generator: string };
  readonly objective: ObjectiveName;
  /** Share of the tokens that are hidden or taken out, and the mean length of what is taken out. */
  readonly noise: number;
  readonly spanLength: number;
  readonly seed: number;
  readonly steps: number;
  readonly batchSize: number;
  /** Tokens of a text. */
  readonly length: number;
  /** Batches of a step. */
  readonly accumulate: number;
  readonly learningRate: number;
  readonly schedule: (typeof scheduleNames)[number];
  readonly warmupSteps: number;
  /** Share of the learning rate that is left at the end. */
  readonly finalFactor: number;
  readonly weightDecay: number;
  /** Longest gradient. */
  readonly clip: number;
  /** Share of a text that is kept for evaluations. */
  readonly validation: number;
  /** Steps between evaluations; 0: one at the end. */
  readonly evalEvery: number;
  readonly saveEvery: number;
  readonly logEvery: number;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const dataCheck: checks.Check = (value) => {
  const good =
    isObject(value) &&
    (typeof value['generator'] === 'string' ||
      (Array.isArray(value['files']) &&
        value['files'].every((file) => typeof file === 'string') &&
        typeof value['sha256'] === 'string'));
  return good ? null : 'files with their sha256, or a generator';
};

const fields: { readonly [F in keyof TrainPlan]: checks.Check } = {
  model: (value) => (isObject(value) ? null : 'an object'),
  data: dataCheck,
  objective: checks.oneOf(...objectiveNames),
  noise: checks.number(0.001, 0.999),
  spanLength: checks.number(1, 999),
  seed: checks.integer(0, 2 ** 32 - 1),
  steps: checks.integer(),
  batchSize: checks.integer(1, 65_536),
  length: checks.integer(2, 2 ** 24),
  accumulate: checks.integer(1, 65_536),
  learningRate: checks.positive,
  schedule: checks.oneOf(...scheduleNames),
  warmupSteps: checks.integer(0),
  finalFactor: checks.number(0, 1),
  weightDecay: checks.number(0),
  clip: checks.positive,
  validation: checks.number(0, 0.9),
  evalEvery: checks.integer(0),
  saveEvery: checks.integer(),
  logEvery: checks.integer(),
};

/** The plan of the run in a folder. @throws CommandError that names the file where it is none */
export async function planIn(folder: string): Promise<TrainPlan> {
  const path = join(folder, planName);
  // What plans of the next token alone do not say.
  const json: Readonly<Record<string, unknown>> = {
    objective: 'causal',
    ...usualNoise,
    ...(await readObject(path)),
  };
  if (json['format'] !== 1) throw new CommandError(`${path} is no plan of a run, or one of a later version`);
  for (const [name, check] of Object.entries(fields)) {
    const wanted = check(json[name]);
    if (wanted) throw new CommandError(`${path} is damaged: ${name} must be ${wanted}`);
  }
  return Object.fromEntries(Object.keys(fields).map((name) => [name, json[name]])) as unknown as TrainPlan;
}

export const planText = (plan: TrainPlan): string => `${JSON.stringify({ format: 1, ...plan }, null, 2)}\n`;

/** The factor of the learning rate at every step. */
export function scheduleOf({ schedule, steps, warmupSteps, finalFactor }: TrainPlan): Schedule {
  const after = Math.max(1, steps - warmupSteps);
  const { warmup, cosine, linear, constant, warmupStableDecay } = schedules;
  if (schedule === 'wsd') {
    const decaySteps = Math.max(1, Math.round(after / 5));
    const stableSteps = Math.max(0, steps - warmupSteps - decaySteps);
    return warmupStableDecay({ warmupSteps, stableSteps, decaySteps, finalFactor });
  }
  const then = {
    cosine: () => cosine({ steps: after, finalFactor }),
    linear: () => linear({ to: finalFactor, steps: after }),
    constant: () => constant(),
  };
  return warmup(warmupSteps, then[schedule]());
}
