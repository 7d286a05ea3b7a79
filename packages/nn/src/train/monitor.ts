/** Whether evaluations get better: the best one so far, and when to stop. */
import { ValueError } from '@infinigrad/tensor';
import { checkCount } from '../data/cursor.ts';
import type { Json } from '../data/source.ts';

export interface MonitorOptions {
  /** Which number of an evaluation. Default `loss`. */
  readonly metric?: string;
  /** What is better. Default `min`. */
  readonly mode?: 'min' | 'max';
  /** Stop after so many evaluations in a row that were no better than the best. Default: never. */
  readonly patience?: number;
  /** What counts as better must be so by more than this. Default 0. */
  readonly minDelta?: number;
}

export class Monitor {
  readonly #metric: string;
  readonly #sign: 1 | -1;
  readonly #patience: number;
  readonly #minDelta: number;
  #best: number | null = null;
  #bestStep = 0;
  #waited = 0;
  #lastStep = -1;
  #lastValue: number | null = null;

  /** @throws ValueError for settings out of range */
  constructor({ metric = 'loss', mode = 'min', patience, minDelta = 0 }: MonitorOptions = {}) {
    if (mode !== 'min' && mode !== 'max')
      throw new ValueError('Trainer', `monitor.mode must be min or max, got '${String(mode)}'`);
    if (patience !== undefined) checkCount('Trainer', 'monitor.patience', patience);
    if (!(minDelta >= 0 && minDelta < Infinity))
      throw new ValueError('Trainer', `monitor.minDelta must be a number ≥ 0, got ${minDelta}`);
    this.#metric = metric;
    this.#sign = mode === 'min' ? 1 : -1;
    this.#patience = patience ?? Infinity;
    this.#minDelta = minDelta;
  }

  /** The best value and its step; null before the first evaluation. */
  get best(): { readonly value: number; readonly step: number } | null {
    return this.#best === null ? null : { value: this.#best, step: this.#bestStep };
  }

  /** The step of the last evaluation, -1 before the first. */
  get lastStep(): number {
    return this.#lastStep;
  }

  get lastValue(): number | null {
    return this.#lastValue;
  }

  /** Whether it has been patient enough. */
  get exhausted(): boolean {
    return this.#waited >= this.#patience;
  }

  /** What is monitored, of an evaluation. @throws ValueError where it is not in it */
  #valueOf(values: Readonly<Record<string, number>>): number {
    const value = values[this.#metric];
    if (value === undefined)
      throw new ValueError('Trainer', `an evaluation has no '${this.#metric}' to monitor`, {
        hint: `it has ${Object.keys(values).join(', ')}`,
      });
    return value;
  }

  /** Takes an evaluation in. @returns whether it is the best so far; a NaN never is */
  take(step: number, values: Readonly<Record<string, number>>): boolean {
    const value = this.#valueOf(values);
    this.#lastStep = step;
    this.#lastValue = value;
    const better =
      !Number.isNaN(value) && (this.#best === null || this.#sign * (this.#best - value) > this.#minDelta);
    if (better) {
      this.#best = value;
      this.#bestStep = step;
      this.#waited = 0;
    } else this.#waited++;
    return better;
  }

  /** Numbers that JSON does not have, as texts. */
  state(): Json {
    const text = (value: number | null): string | null => (value === null ? null : String(value));
    return {
      best: text(this.#best),
      bestStep: this.#bestStep,
      waited: this.#waited,
      lastStep: this.#lastStep,
      lastValue: text(this.#lastValue),
    };
  }

  /** @throws ValueError for what is no state */
  load(state: Json): void {
    const { best, bestStep, waited, lastStep, lastValue } = (state ?? {}) as Record<string, unknown>;
    const isText = (x: unknown): boolean => x === null || typeof x === 'string';
    if (![best, lastValue].every(isText) || ![bestStep, waited, lastStep].every(Number.isInteger))
      throw new ValueError('Trainer.load', `not a state of a monitor: ${JSON.stringify(state)}`);
    const number = (x: unknown): number | null => (x === null ? null : Number(x));
    this.#best = number(best);
    this.#bestStep = bestStep as number;
    this.#waited = waited as number;
    this.#lastStep = lastStep as number;
    this.#lastValue = number(lastValue);
  }
}
