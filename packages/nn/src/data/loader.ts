/** Batches of a dataset, in an order that a key decides. */
import { ValueError, type Key } from '@infinigrad/tensor';
import { collate as collateSamples, type Collated } from './collate.ts';
import { checkCount, checkSame, countOf, fieldsOf, permutation } from './cursor.ts';
import type { Dataset } from './dataset.ts';
import type { DataSource, Json } from './source.ts';

export interface DataLoaderOptions<T, B> {
  /** Default 1. */
  readonly batchSize?: number;
  /** Decides the order, another one in every epoch. Default: the order of the dataset. */
  readonly shuffle?: Key;
  /** Leave out the last batch of an epoch where it is smaller. Default false. */
  readonly dropLast?: boolean;
  /** From samples to a batch. Default: the dataset's own `batch`, else `collate`. */
  readonly collate?: (samples: readonly T[]) => B | Promise<B>;
  /** Batches that are in the making while one is used, for datasets that wait. Default 0. */
  readonly prefetch?: number;
}

/**
 * The batches of a dataset: every sample once an epoch (but for those that `dropLast` leaves out), in the same order for the same
 * key. The cursor counts samples, so that one taken with another batch size will do.
 */
export class DataLoader<T, B = Collated<T>> implements DataSource<B> {
  readonly dataset: Dataset<T>;
  readonly batchSize: number;
  readonly #shuffle: Key | null;
  readonly #dropLast: boolean;
  readonly #collate: ((samples: readonly T[]) => B | Promise<B>) | null;
  readonly #prefetch: number;
  #epoch = 0;
  #position = 0;

  /** @throws ValueError for settings out of range, and where there would be no batches */
  constructor(dataset: Dataset<T>, options: DataLoaderOptions<T, B> = {}) {
    const { batchSize = 1, shuffle = null, dropLast = false, collate = null, prefetch = 0 } = options;
    checkCount('DataLoader', 'batchSize', batchSize);
    checkCount('DataLoader', 'prefetch', prefetch, 0);
    const least = dropLast ? batchSize : 1;
    if (dataset.length < least)
      throw new ValueError('DataLoader', `${dataset.length} samples make no batch of ${batchSize}`, {
        hint: dropLast ? 'dropLast: false takes a smaller one' : 'the dataset is empty',
      });
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.#shuffle = shuffle;
    this.#dropLast = dropLast;
    this.#collate = collate;
    this.#prefetch = prefetch;
  }

  /** Batches of a whole epoch. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.#dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  /** The epoch that an iteration is in, or begins. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The numbers of the samples, in the order of an epoch. */
  order(epoch = this.#epoch): Uint32Array {
    const { length } = this.dataset;
    return this.#shuffle
      ? permutation(this.#shuffle.foldIn(epoch), length)
      : Uint32Array.from({ length }, (_, i) => i);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    const order = this.order();
    const pending: { readonly batch: Promise<B>; readonly end: number }[] = [];
    let ahead = this.#position;
    const fill = (): void => {
      const end = Math.min(ahead + this.batchSize, order.length);
      if (end === ahead || (this.#dropLast && end - ahead < this.batchSize)) return;
      const batch = this.#make(Array.from(order.subarray(ahead, end)));
      // Its turn will come; until then nobody listens.
      batch.catch(() => {});
      pending.push({ batch, end });
      ahead = end;
    };
    for (;;) {
      while (pending.length <= this.#prefetch) {
        const before = pending.length;
        fill();
        if (pending.length === before) break;
      }
      const next = pending.shift();
      if (!next) break;
      const batch = await next.batch;
      this.#position = next.end;
      yield batch;
    }
    this.#epoch++;
    this.#position = 0;
  }

  async #make(indices: readonly number[]): Promise<B> {
    const { dataset } = this;
    if (!this.#collate && dataset.batch) return dataset.batch(indices) as B;
    const samples = await Promise.all(indices.map((i) => dataset.get(i)));
    return this.#collate ? this.#collate(samples) : (collateSamples(samples) as unknown as B);
  }

  state(): Json {
    return { epoch: this.#epoch, position: this.#position, ...this.#identity() };
  }

  load(state: Json): void {
    const op = 'DataLoader.load';
    const { epoch, position, ...identity } = fieldsOf(op, state);
    for (const [name, own] of Object.entries(this.#identity())) checkSame(op, name, identity[name], own);
    const at = countOf(op, 'position', position, this.dataset.length);
    this.#epoch = countOf(op, 'epoch', epoch, 2 ** 32 - 1);
    this.#position = at;
  }

  #identity(): Record<string, Json> {
    return { samples: this.dataset.length, shuffle: this.#shuffle?.words ?? null };
  }
}
