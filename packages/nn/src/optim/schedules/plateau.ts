/** A schedule that looks at how training goes. */
import { ValueError } from '@infinigrad/tensor';
import { checkFactor, checkSteps, type Schedule } from './schedule.ts';

export interface ReduceOnPlateauOptions {
  /** Whether a metric should fall ('min') or rise ('max'). Default 'min'. */
  readonly mode?: 'min' | 'max';
  /** What the factor is multiplied by. Default 0.1. */
  readonly factor?: number;
  /** Observations without a better one that are put up with. Default 10. */
  readonly patience?: number;
  /** Observations after a reduction that do not count. Default 0. */
  readonly cooldown?: number;
  /** A better metric is better by this, as a part of the best ('relative') or as it is ('absolute'). Default 1e-4. */
  readonly threshold?: number;
  /** Default 'relative'. */
  readonly thresholdMode?: 'relative' | 'absolute';
  /** The factor does not go below. Default 0. */
  readonly leastFactor?: number;
}

/** All that a `ReduceOnPlateau` knows: plain numbers, for a file. */
export interface PlateauState {
  readonly factor: number;
  /** Null before the first observation. */
  readonly best: number | null;
  readonly bad: number;
  readonly cooling: number;
}

const fresh: PlateauState = { factor: 1, best: null, bad: 0, cooling: 0 };

/**
 * Reduces the rate when a metric has stopped getting better; PyTorch's ReduceLROnPlateau. Give `plateau.schedule` to the optimizer (or
 * to `warmup`, `chained`), and after each validation call `plateau.observe(metric)`.
 */
export class ReduceOnPlateau {
  readonly #options: Required<ReduceOnPlateauOptions>;
  #state = fresh;

  /** @throws ValueError for options out of range */
  constructor(options: ReduceOnPlateauOptions = {}) {
    const {
      mode = 'min',
      factor = 0.1,
      patience = 10,
      cooldown = 0,
      threshold = 1e-4,
      thresholdMode = 'relative',
      leastFactor = 0,
    } = options;
    const op = 'ReduceOnPlateau';
    if (mode !== 'min' && mode !== 'max')
      throw new ValueError(op, `mode must be 'min' or 'max', got '${mode}'`);
    if (!(factor > 0 && factor < 1)) throw new ValueError(op, `factor must lie in (0, 1), got ${factor}`);
    checkSteps(op, 'patience', patience);
    checkSteps(op, 'cooldown', cooldown);
    checkFactor(op, 'threshold', threshold);
    if (thresholdMode !== 'relative' && thresholdMode !== 'absolute')
      throw new ValueError(op, `thresholdMode must be 'relative' or 'absolute', got '${thresholdMode}'`);
    checkFactor(op, 'leastFactor', leastFactor);
    this.#options = { mode, factor, patience, cooldown, threshold, thresholdMode, leastFactor };
  }

  /** The factor of the learning rates now. */
  get factor(): number {
    return this.#state.factor;
  }

  /** For an optimizer: the factor at hand, whatever the step. */
  readonly schedule: Schedule = () => this.#state.factor;

  /**
   * Takes note of a metric. One that is NaN is never better.
   * @returns whether the factor was reduced
   */
  observe(metric: number): boolean {
    const { factor: times, patience, cooldown, leastFactor } = this.#options;
    let { factor, best, bad, cooling } = this.#state;
    if (this.#better(metric, best)) {
      best = metric;
      bad = 0;
    } else bad++;
    if (cooling > 0) {
      cooling--;
      bad = 0;
    }
    const reduce = bad > patience;
    if (reduce) {
      factor = Math.max(factor * times, leastFactor);
      cooling = cooldown;
      bad = 0;
    }
    const reduced = factor < this.#state.factor;
    this.#state = { factor, best, bad, cooling };
    return reduced;
  }

  #better(metric: number, best: number | null): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    if (best === null) return !Number.isNaN(metric);
    const sign = mode === 'min' ? -1 : 1;
    const bar = thresholdMode === 'absolute' ? best + sign * threshold : best * (1 + sign * threshold);
    return mode === 'min' ? metric < bar : metric > bar;
  }

  stateDict(): PlateauState {
    return this.#state;
  }

  /** @throws ValueError for what `stateDict` does not give; nothing is then changed */
  loadStateDict(state: PlateauState): void {
    const { factor, best, bad, cooling } = state;
    const numbers = [factor, bad, cooling, best ?? 0];
    if (!numbers.every((value) => typeof value === 'number' && !Number.isNaN(value)))
      throw new ValueError('ReduceOnPlateau.loadStateDict', 'factor, best, bad and cooling must be numbers');
    this.#state = { factor, best, bad, cooling };
  }
}
