/** The exponential moving average of parameters, which often does better than the parameters themselves. */
import { noGrad } from '@infinigrad/autograd';
import { computeDType, pin, retire, sameShape, scope, ValueError, type Tensor } from '@infinigrad/tensor';
import { Parameter } from '../parameter.ts';
import { widened } from './wide.ts';

export interface ExponentialMovingAverageOptions {
  /** Default 0.999. */
  readonly decay?: number;
  /** In the n-th update, counted from 1, decay by no more than (1 + n) / (10 + n). Default false. */
  readonly warmup?: boolean;
}

/** For `loadStateDict`, or a file. */
export interface AverageState {
  readonly updates: number;
  /** `<i>` for the i-th parameter. */
  readonly tensors: Record<string, Tensor>;
}

/**
 * average ← decay · average + (1 - decay) · parameter, in f32 for parameters of f16 and bf16; the first update takes the parameters
 * as they are (as PyTorch's AveragedModel does). Call `update` after each step of the optimizer.
 */
export class ExponentialMovingAverage {
  readonly parameters: readonly Parameter[];
  readonly decay: number;
  readonly #warmup: boolean;
  #updates = 0;
  #averages: Tensor[] = [];
  /** The parameters' own values while the averages stand in their places. */
  #own: Tensor[] | null = null;

  /** @throws ValueError for no parameters, or a decay outside [0, 1) */
  constructor(params: Iterable<Parameter>, options: ExponentialMovingAverageOptions = {}) {
    const { decay = 0.999, warmup = false } = options;
    this.parameters = [...new Set(params)];
    const op = 'ExponentialMovingAverage';
    if (this.parameters.length === 0 || !this.parameters.every((p) => p instanceof Parameter))
      throw new ValueError(op, 'needs at least one parameter, and nothing else');
    if (!(decay >= 0 && decay < 1)) throw new ValueError(op, `decay must lie in [0, 1), got ${decay}`);
    this.decay = decay;
    this.#warmup = warmup;
  }

  /** Updates so far. */
  get updates(): number {
    return this.#updates;
  }

  /** Whether the averages stand in the parameters' places. */
  get swapped(): boolean {
    return this.#own !== null;
  }

  /** Takes the parameters into the averages. @throws ValueError while they are swapped */
  update(): void {
    this.#refuseSwapped('update');
    const n = this.#updates + 1;
    const decay = this.#warmup ? Math.min(this.decay, (1 + n) / (10 + n)) : this.decay;
    noGrad(() =>
      scope(() => {
        const next = this.parameters.map((parameter, i) => {
          const value = widened(parameter.detach());
          const before = this.#averages[i];
          return scope(() => (before ? before.mul(decay).add(value.mul(1 - decay)) : value.clone()), {
            fuse: true,
          });
        });
        this.#set(next);
      }),
    );
    this.#updates = n;
  }

  #set(next: Tensor[]): void {
    const before = this.#averages;
    next.forEach(pin);
    this.#averages = next;
    for (const { storage } of before) retire(storage);
  }

  /** Puts the averages in the parameters' places, or the parameters' own values back, to the bit. @throws ValueError before the first update */
  swap(): void {
    const own = this.#own;
    if (!own && this.#updates === 0)
      throw new ValueError('ExponentialMovingAverage.swap', 'nothing has been averaged yet', {
        hint: 'call update()',
      });
    this.#own = scope(() => (own ? this.#putBack(own) : this.#putIn()));
  }

  #putBack(own: readonly Tensor[]): null {
    this.parameters.forEach((parameter, i) => parameter.assign(own[i]!));
    for (const { storage } of own) retire(storage);
    return null;
  }

  #putIn(): Tensor[] {
    return this.parameters.map((parameter, i) => {
      const before = pin(parameter.detach());
      const average = this.#averages[i]!;
      parameter.assign(average.dtype === parameter.dtype ? average : average.cast(parameter.dtype));
      return before;
    });
  }

  /** Runs `body` (synchronous) with the averages in the parameters' places: to evaluate, or to save them. */
  averaged<T>(body: () => T): T {
    this.#refuseSwapped('averaged');
    this.swap();
    try {
      return body();
    } finally {
      this.swap();
    }
  }

  #refuseSwapped(method: string): void {
    if (this.#own)
      throw new ValueError(
        `ExponentialMovingAverage.${method}`,
        'the averages stand in the places of the parameters',
        {
          hint: 'swap() back before',
        },
      );
  }

  stateDict(): AverageState {
    const tensors = Object.fromEntries(this.#averages.map((average, i) => [String(i), average.detach()]));
    return { updates: this.#updates, tensors };
  }

  /** @throws ValueError that lists what is missing, unexpected or does not fit; nothing is then changed */
  loadStateDict({ updates, tensors }: AverageState): void {
    const op = 'ExponentialMovingAverage.loadStateDict';
    this.#refuseSwapped('loadStateDict');
    const problems: string[] = [];
    if (!Number.isInteger(updates) || updates < 0) problems.push(`updates ${updates} is not an integer ≥ 0`);
    const wanted = updates === 0 ? [] : this.parameters.map((_, i) => String(i));
    const missing = wanted.filter((name) => !Object.hasOwn(tensors, name));
    const unexpected = Object.keys(tensors).filter((name) => !wanted.includes(name));
    if (missing.length > 0) problems.push(`missing ${missing.join(', ')}`);
    if (unexpected.length > 0) problems.push(`unexpected ${unexpected.join(', ')}`);
    for (const name of wanted) {
      const [value, { shape, dtype }] = [tensors[name], this.parameters[Number(name)]!];
      if (value && (!sameShape(value.shape, shape) || value.dtype !== computeDType(dtype)))
        problems.push(
          `${name} is [${value.shape.join(', ')}] ${value.dtype}, the parameter [${shape.join(', ')}] ${dtype}`,
        );
    }
    if (problems.length > 0)
      throw new ValueError(op, problems.join('; '), { hint: 'is the model the same?' });
    this.#updates = updates;
    this.#set(wanted.map((name) => tensors[name]!.detach()));
  }
}
