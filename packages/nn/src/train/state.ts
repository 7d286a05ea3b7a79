/** Everything that a run needs to go on, bit for bit, as if it had never stopped. */
import { ValueError, type Tensor } from '@infinigrad/tensor';
import type { Json } from '../data/source.ts';

export interface TrainerState {
  /** `model.…`, `optimizer.…` and, where the best model is kept, `best.…`. */
  readonly tensors: Record<string, Tensor>;
  /** Plain data. */
  readonly meta: TrainerMeta;
}

export interface TrainerMeta {
  readonly format: 1;
  readonly step: number;
  readonly epoch: number;
  readonly optimizerStep: number;
  /** The words of the key; null where there is none. */
  readonly key: Json;
  /** The cursor of the data; null where batches are made from the step alone. */
  readonly data: Json;
  readonly precision: Json;
  readonly monitor: Json;
  /** What the user says of the run: a state of a run that says something else is refused. */
  readonly run: Json;
}

/** Where states are kept. */
export interface CheckpointStore {
  /** @param value what is monitored, where there has been an evaluation at this step */
  save(state: TrainerState, info: { readonly step: number; readonly value?: number }): Promise<void>;
  /** The newest one that is whole; null where there is none. */
  latest(): Promise<TrainerState | null>;
}

const prefixes = { model: 'model.', optimizer: 'optimizer.', best: 'best.' } as const;

export function prefixed(
  part: keyof typeof prefixes,
  tensors: Readonly<Record<string, Tensor>>,
): [string, Tensor][] {
  return Object.entries(tensors).map(([name, x]) => [prefixes[part] + name, x]);
}

/** The tensors of a part, under their own names. */
export function partOf(
  tensors: Readonly<Record<string, Tensor>>,
  part: keyof typeof prefixes,
): Record<string, Tensor> {
  const prefix = prefixes[part];
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, x]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), x]] : [],
    ),
  );
}

/** @throws ValueError for what is no state of a trainer, or one of another run */
export function checkMeta(meta: TrainerMeta, own: Pick<TrainerMeta, 'key' | 'run'>): void {
  const op = 'Trainer.load';
  if (typeof meta !== 'object' || meta === null || meta.format !== 1)
    throw new ValueError(op, 'not a state of a trainer, or one of a later version');
  for (const name of ['step', 'epoch', 'optimizerStep'] as const)
    if (!Number.isInteger(meta[name]) || meta[name] < 0)
      throw new ValueError(op, `${name} must be an integer ≥ 0, got ${String(meta[name])}`);
  for (const name of ['key', 'run'] as const)
    if (JSON.stringify(meta[name]) !== JSON.stringify(own[name]))
      throw new ValueError(
        op,
        `the state belongs to another run: its ${name} is ${JSON.stringify(meta[name])}, here it is ${JSON.stringify(own[name])}`,
      );
}
