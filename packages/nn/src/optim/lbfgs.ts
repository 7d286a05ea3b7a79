/** L-BFGS: a quasi-Newton method for problems whose loss is the same at every evaluation. */
import { noGrad, enableGrad } from '@infinigrad/autograd';
import {
  computeDType,
  concat,
  pin,
  promote,
  retire,
  scope,
  NumericError,
  ShapeError,
  Tensor,
  ValueError,
  zeros,
  type DType,
} from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import type { GroupSettings, OptimizerParameters } from './groups.ts';
import {
  directionOf,
  dot,
  nextPairs,
  readHistory,
  savedHistory,
  tensorsOf,
  type History,
} from './lbfgs-history.ts';
import { Optimizer } from './optimizer.ts';
import { notNegative, positive, settingsFrom } from './settings.ts';
import type { Schedule } from './schedules/schedule.ts';
import { refuseState, type OptimizerState, type StateSlots } from './states.ts';
import type { Updated } from './update.ts';
import { times } from './wide.ts';
import { strongWolfe, type LinePoint } from './wolfe.ts';

export interface LBFGSSettings extends GroupSettings {
  /** The first step tried on each line. Default 1. */
  readonly learningRate: number;
  /** Lines in one `minimize`. Default 20. */
  readonly maxIterations: number;
  /** Evaluations of the loss in one `minimize`. Default 1.25 · maxIterations. */
  readonly maxEvaluations: number;
  /** Where no element of the gradient is above this, all is done. Default 1e-7. */
  readonly toleranceGradient: number;
  /** Likewise where no parameter, or the loss, changes by more. Default 1e-9. */
  readonly toleranceChange: number;
  /** Pairs of changes of gradient and parameters that are kept. Default 100. */
  readonly historySize: number;
  /** `'strongWolfe'` (the default), or `'none'`: a step of the learning rate. */
  readonly lineSearch: 'strongWolfe' | 'none';
}

export type LBFGSOptions = Partial<Omit<LBFGSSettings, 'frozen'>> & { readonly schedule?: Schedule };

const largest = (x: Tensor): number => x.abs().max().itemSync();

type At = LinePoint<Tensor>;

/**
 * L-BFGS (Nocedal and Wright, Algorithm 7.5), as PyTorch's but for the line search, which is on unless told. One `minimize` evaluates
 * the function many times, and reads numbers back: backends whose elements come later cannot run it. One group.
 */
export class LBFGS extends Optimizer<LBFGSSettings> {
  #history: History | null = null;

  /** @throws ValueError for no parameters, one named twice, several groups, or settings out of range */
  constructor(params: OptimizerParameters<LBFGSSettings>, options: LBFGSOptions = {}) {
    const { maxIterations = 20 } = options;
    const defaults: LBFGSSettings = {
      learningRate: 1,
      maxIterations,
      maxEvaluations: Math.floor((maxIterations * 5) / 4),
      toleranceGradient: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearch: 'strongWolfe',
    };
    super(
      'LBFGS',
      params,
      settingsFrom<LBFGSSettings>('LBFGS', defaults, options, ['schedule']),
      ({ lineSearch, ...settings }, check) => {
        for (const name of ['maxIterations', 'maxEvaluations', 'historySize'] as const)
          check(
            Number.isInteger(settings[name]) && settings[name] > 0,
            `${name} must be an integer > 0, got ${settings[name]}`,
          );
        positive(check, 'learningRate', settings.learningRate);
        notNegative(check, 'toleranceGradient', settings.toleranceGradient);
        notNegative(check, 'toleranceChange', settings.toleranceChange);
        check(
          lineSearch === 'strongWolfe' || lineSearch === 'none',
          `lineSearch must be 'strongWolfe' or 'none', got '${String(lineSearch)}'`,
        );
      },
      options.schedule ? { schedule: options.schedule } : {},
    );
    if (this.groups.length > 1) throw new ValueError('LBFGS', 'takes one group');
  }

  /** Not of use here: nothing is kept by parameter. */
  protected override slots(): StateSlots {
    return {};
  }

  protected override update(): Updated {
    throw new ValueError('LBFGS', 'updates all parameters together');
  }

  /** @throws ValueError: the loss is needed */
  override step(): never {
    throw new ValueError('LBFGS.step', 'needs the loss, more than once', { hint: 'minimize(f) has it' });
  }

  /** @throws ValueError: the loss of the whole is needed */
  override accumulate(): never {
    throw new ValueError('LBFGS.accumulate', 'needs the loss of all parts at once', {
      hint: 'minimize(f) with their sum',
    });
  }

  /**
   * Goes along up to `maxIterations` lines.
   * @param f computes the loss, a single number; called again and again, and always the same function
   * @returns the loss at the beginning, without history
   * @throws ValueError where the loss or a gradient is not finite, at the beginning or on the way; nothing is then changed
   */
  override minimize(f: () => Tensor): Tensor {
    return scope(() => {
      const before = this.parameters.map((parameter) => pin(parameter.detach()));
      const history = this.#history;
      try {
        return this.#minimize(f);
      } catch (error) {
        if (this.#history === history)
          this.parameters.forEach((parameter, i) => parameter.assign(before[i]!));
        throw error;
      } finally {
        this.zeroGrad();
        for (const { storage } of before) retire(storage);
      }
    });
  }

  #minimize(f: () => Tensor): Tensor {
    const settings = this.groups[0]!;
    const { maxIterations, maxEvaluations, toleranceGradient, toleranceChange, historySize } = settings;
    const rate = this.learningRate;
    const first = this.#evaluate(f);
    const norm = Math.sqrt(dot(first.gradient, first.gradient));
    let { value, gradient } = first;
    let evaluations = 1;
    let history = this.#history;
    for (let n = 1; largest(gradient) > toleranceGradient; n++) {
      const { pairs, scale } = nextPairs(history, gradient, historySize);
      const direction = noGrad(() => directionOf(gradient, pairs, scale));
      const iterations = (history?.iterations ?? 0) + 1;
      const guess = history ? rate : Math.min(1, 1 / gradient.abs().sum().itemSync()) * rate;
      const slope = dot(gradient, direction);
      history = { iterations, rate: guess, scale, direction, gradient, pairs };
      if (slope > -toleranceChange) break;

      const place = noGrad(() => this.#flat((parameter) => parameter.detach()));
      const start: At = { at: 0, value, slope, gradient };
      const along = (at: number): At => {
        this.#place(noGrad(() => place.add(times(direction, at))));
        const found = this.#evaluate(f);
        return { at, ...found, slope: dot(found.gradient, direction) };
      };
      let gone = guess;
      let fresh = false;
      if (settings.lineSearch === 'strongWolfe') {
        const options = {
          reach: largest(direction),
          mostEvaluations: maxEvaluations - evaluations,
          tolerance: toleranceChange,
        };
        const found = strongWolfe(along, start, guess, options);
        ({ value, gradient, at: gone } = found.point);
        evaluations += found.evaluations;
        this.#place(noGrad(() => place.add(times(direction, gone))));
        fresh = true;
      } else if (n < maxIterations) {
        ({ value, gradient } = along(guess));
        evaluations++;
        fresh = true;
      } else this.#place(noGrad(() => place.add(times(direction, guess))));
      history = { ...history, rate: gone };
      if (n >= maxIterations || evaluations >= maxEvaluations) break;
      if (fresh && largest(gradient) <= toleranceGradient) break;
      if (largest(times(direction, gone)) <= toleranceChange) break;
      if (Math.abs(value - start.value) < toleranceChange) break;
    }
    this.#keep(history);
    this.stepCount++;
    this.lastGradNorm = norm;
    return first.loss;
  }

  /** Loss and gradient where the parameters are. */
  #evaluate(f: () => Tensor): { loss: Tensor; value: number; gradient: Tensor } {
    this.zeroGrad();
    const loss = enableGrad(f);
    if (!(loss instanceof Tensor) || loss.size !== 1)
      throw new ShapeError('LBFGS.minimize', 'the loss must be a single number', {
        operands: loss instanceof Tensor ? [loss] : [],
        hint: 'take its mean',
      });
    const value = loss.itemSync();
    const refuse = (what: string): never => {
      throw new NumericError('LBFGS.minimize', `${what} at step ${this.stepCount + 1}`, {
        hint: 'nothing was changed',
      });
    };
    if (!Number.isFinite(value)) refuse(`the loss is ${value}`);
    loss.backward(undefined, { consume: true });
    const gradient = noGrad(() =>
      this.#flat(({ grad, shape, dtype, backend }) => grad ?? zeros(shape, { dtype, backend })),
    );
    if (!Number.isFinite(dot(gradient, gradient))) refuse('the gradient is not finite');
    return { loss: loss.detach(), value, gradient };
  }

  /** One vector of all parameters, or what there is of each, in the widest of their dtypes. */
  #flat(of: (parameter: Parameter) => Tensor): Tensor {
    const dtype = this.#dtype();
    return concat(this.parameters.map((parameter) => of(parameter).reshape([-1]).cast(dtype)));
  }

  #dtype(): DType {
    return this.parameters.map(({ dtype }): DType => computeDType(dtype)).reduce(promote);
  }

  /** Gives all parameters their parts of a vector. */
  #place(flat: Tensor): void {
    let offset = 0;
    noGrad(() => {
      for (const parameter of this.parameters) {
        const part = flat.narrow(0, offset, parameter.size).reshape(parameter.shape);
        parameter.assign(part.cast(parameter.dtype));
        offset += parameter.size;
      }
    });
  }

  #keep(history: History | null): void {
    const before = this.#history;
    this.#history = history;
    for (const x of history ? tensorsOf(history) : []) pin(x);
    for (const { storage } of before ? tensorsOf(before) : []) retire(storage);
  }

  /** `iterations`, `rate`, `scale`, `direction`, `gradient`, and `y.<k>` and `s.<k>`, all parameters in one vector each. */
  override stateDict(): OptimizerState {
    const { stepCount: step } = this;
    return { step, tensors: this.#history ? savedHistory(this.#history) : {} };
  }

  /** @throws ValueError that lists what is missing, unexpected or does not fit; nothing is then changed */
  override loadStateDict({ step, tensors }: OptimizerState): void {
    const problems: string[] = [];
    if (!Number.isInteger(step) || step < 0) problems.push(`step ${step} is not an integer ≥ 0`);
    const size = this.parameters.reduce((total, parameter) => total + parameter.size, 0);
    const history = readHistory(tensors, size, this.#dtype(), problems);
    refuseState('LBFGS.loadStateDict', problems);
    this.stepCount = step;
    this.lastGradNorm = null;
    this.#keep(history);
  }
}
