/** What a trainer tells while it works. */
import type { Tensor } from '@infinigrad/tensor';

/** A step that has been taken. */
export interface StepReport {
  /** Steps done, counting this one. */
  readonly step: number;
  /** Steps that there will be; null where epochs are counted. */
  readonly steps: number | null;
  /** Counted from 0. */
  readonly epoch: number;
  /** Not read: `await report.loss.item()`. */
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
  /** What the loss function handed out, batch by batch. */
  readonly aux: readonly unknown[];
  /** Of its batches together. */
  readonly weight: number;
  /** True where gradients of f16 overflowed and nothing was changed but the loss scale. */
  readonly skipped: boolean;
  /** Of the first group, at this step. */
  readonly learningRate: number;
  /** Before clipping; null where it cannot be read at once. */
  readonly gradNorm: number | null;
  /** Without the time it took to get the batches. */
  readonly seconds: number;
}

/** Numbers at a step, read: `loss`, the metrics, `learningRate`, `gradNorm`, `weightPerSecond`. */
export interface LogReport {
  readonly step: number;
  readonly steps: number | null;
  readonly epoch: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface EvaluationReport {
  readonly step: number;
  readonly epoch: number;
  readonly values: { readonly loss: number } & Readonly<Record<string, number>>;
  /** Whether what is monitored is better than ever before. */
  readonly improved: boolean;
}

export type StopReason = 'finished' | 'early' | 'asked';

export interface TrainerEvents {
  start: { readonly step: number; readonly steps: number | null; readonly parameters: number };
  step: StepReport;
  log: LogReport;
  evaluate: EvaluationReport;
  epoch: { readonly epoch: number; readonly step: number };
  save: { readonly step: number };
  stop: { readonly step: number; readonly reason: StopReason };
  /** Training cannot go on; the model is as after `step`. */
  error: { readonly step: number; readonly error: unknown };
}

export type Listener<T> = (event: T) => void | Promise<void>;

/** Listeners by event, called in the order in which they came, and waited for. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Listener<never>[]>();

  /** @returns takes the listener away */
  on<K extends keyof Events>(type: K, listener: Listener<Events[K]>): () => void {
    const own: Listener<Events[K]> = (event) => listener(event);
    const list = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...list, own as Listener<never>]);
    return () => {
      const now = this.#listeners.get(type) ?? [];
      this.#listeners.set(
        type,
        now.filter((other) => other !== own),
      );
    };
  }

  async emit<K extends keyof Events>(type: K, event: Events[K]): Promise<void> {
    for (const listener of this.#listeners.get(type) ?? []) await (listener as Listener<Events[K]>)(event);
  }
}
