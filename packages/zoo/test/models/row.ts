/** What a family says of itself to the laws of all models, and the ids and masks that those are tried with. */
import type { AttentionMask, Module } from '@infinigrad/nn';
import { fromData, Key, type Tensor } from '@infinigrad/tensor';

/** What the laws hand to a model, the names as in the models' own options. */
export interface CallOptions {
  /** bool [batch, T], false for padding; or a mask. */
  readonly attentionMask?: Tensor | AttentionMask | undefined;
  /** i32 [batch, T]. */
  readonly positionIds?: Tensor | undefined;
  /** What `newCache` has made. */
  readonly cache?: ModelCacheLike | undefined;
  readonly lastLogits?: number | undefined;
  readonly key?: Key | undefined;
}

/** What the laws need of a model's cache. */
export interface ModelCacheLike {
  readonly length: number;
  readonly bytes: number;
  clone(): ModelCacheLike;
  reorder(rows: readonly number[]): void;
  truncate(length: number): void;
  reset(): void;
}

export interface CacheOptions {
  readonly batch: number;
  readonly maxLength?: number;
  readonly leftPadding?: readonly number[];
}

/** Laws that some families have no use for. */
export type Law =
  | 'cache'
  | 'truncation'
  | 'leftPadding'
  | 'rightPadding'
  | 'packing'
  | 'lastLogits'
  | 'dropout';

export interface ModelRow<M extends Module> {
  readonly name: string;
  /** A tiny model without dropout. */
  readonly make: (key: Key, options: { readonly dtype: 'f32' | 'f64' }) => M;
  /** The same with dropout everywhere. */
  readonly dropping?: ((key: Key) => M) | undefined;
  readonly vocabSize: number;
  /** What the model makes of each token, [batch, T, width]: logits where it has any. */
  readonly logits: (model: M, ids: Tensor, options: CallOptions) => Tensor;
  /** Default vocabSize. */
  readonly width?: number | undefined;
  /** Whether no token sees a later one. */
  readonly causal: boolean;
  readonly newCache?: ((model: M, options: CacheOptions) => ModelCacheLike) | undefined;
  /** What training minimises over ids [batch, T]. Default: cross-entropy of the logits, with the next token or (not causal) the same one. */
  readonly loss?: ((model: M, ids: Tensor, key: Key | undefined) => Tensor) | undefined;
  /** Parameters on which the loss cannot depend, by mathematics: biases of keys, which move all scores of a query alike. */
  readonly idle?: RegExp | undefined;
  /** The file that the model is saved as, and back into another one. Default: its state in the keys of files, as safetensors. */
  readonly save?: ((model: M) => Uint8Array) | undefined;
  readonly load?: ((model: M, bytes: Uint8Array) => void) | undefined;
  /** Laws left out, and why. */
  readonly without?: Readonly<Partial<Record<Law, string>>> | undefined;
  /** Default 0.01. */
  readonly learningRate?: number | undefined;
  /** Default 60. */
  readonly steps?: number | undefined;
}

/** Random ids, i32 [batch, length]. */
export function randomIds(vocabSize: number, batch: number, length: number, seed = 0): Tensor {
  return new Key(1000 + seed).randint(0, vocabSize, [batch, length]);
}

/** i32 of the given rows, all of one length. */
export function idsOf(rows: readonly (readonly number[])[]): Tensor {
  return fromData(Int32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
}

/** The largest |a - b|; NaN where anything is. */
export function largestDifference(a: Tensor, b: Tensor): number {
  if (a.shape.join() !== b.shape.join())
    throw new Error(`shapes differ: [${a.shape.join()}] and [${b.shape.join()}]`);
  const [x, y] = [a.dataSync(), b.dataSync()];
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = Math.abs(Number(x[i]) - Number(y[i]));
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

/** Every row with the same token changed to another one. */
export function perturbed(ids: Tensor, at: number, vocabSize: number): Tensor {
  const length = ids.shape[1]!;
  const data = Int32Array.from(ids.dataSync() as Int32Array, (id, i) =>
    i % length === at ? (id + 1) % vocabSize : id,
  );
  return fromData(data, ids.shape);
}

/** True for the tokens that are there: rows that begin (or end) with so many that are not. */
export function present(counts: readonly number[], length: number, side: 'left' | 'right'): Tensor {
  const data = counts.flatMap((count) =>
    Array.from({ length }, (_, i) => Number(side === 'left' ? i >= count : i < length - count)),
  );
  return fromData(Uint8Array.from(data), [counts.length, length], { dtype: 'bool' });
}

/** Positions that count from after the padding, 0 within it. */
export function positionsAfter(counts: readonly number[], length: number): Tensor {
  return idsOf(counts.map((count) => Array.from({ length }, (_, i) => Math.max(0, i - count))));
}
