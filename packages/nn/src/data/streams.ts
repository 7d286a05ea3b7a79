/** Sources made of sources, for data that comes as it comes: each has a cursor, which holds that of the source below. */
import { type Key } from '@infinigrad/tensor';
import { collate as collateSamples, type Collated } from './collate.ts';
import { checkCount, checkSame, countOf, fieldsOf } from './cursor.ts';
import type { DataSource, Json } from './source.ts';

/** The items of an array again and again, as a source. */
export function sourceOf<T>(items: readonly T[]): DataSource<T> {
  let position = 0;
  return {
    async *[Symbol.asyncIterator]() {
      while (position < items.length) yield items[position++]!;
      position = 0;
    },
    state: () => ({ position, items: items.length }),
    load: (state) => {
      const fields = fieldsOf('sourceOf.load', state);
      checkSame('sourceOf.load', 'items', fields['items'], items.length);
      position = countOf('sourceOf.load', 'position', fields['position'], items.length);
    },
  };
}

/** Each item through a function that depends on nothing else: a tokenizer, say. */
export function mapped<T, U>(source: DataSource<T>, f: (item: T) => U | Promise<U>): DataSource<U> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const item of source) yield await f(item);
    },
    state: () => source.state(),
    load: (state) => source.load(state),
  };
}

export interface BatchedOptions<T, B> {
  readonly batchSize: number;
  /** Leave out the last batch of an epoch where it is smaller. Default false. */
  readonly dropLast?: boolean;
  /** From items to a batch. Default `collate`. */
  readonly collate?: (items: readonly T[]) => B | Promise<B>;
}

/** Items in batches. @throws ValueError for a batchSize that is no count */
export function batched<T, B = Collated<T>>(
  source: DataSource<T>,
  { batchSize, dropLast = false, collate }: BatchedOptions<T, B>,
): DataSource<B> {
  checkCount('batched', 'batchSize', batchSize);
  const make = collate ?? ((items: readonly T[]) => collateSamples(items) as unknown as B);
  /** The source has given all, and the batch of what was left has been given. */
  let ended = false;
  return {
    async *[Symbol.asyncIterator]() {
      let items: T[] = [];
      if (!ended)
        for await (const item of source) {
          items.push(item);
          if (items.length < batchSize) continue;
          yield await make(items);
          items = [];
        }
      ended = true;
      if (items.length > 0 && !dropLast) yield await make(items);
      ended = false;
    },
    state: () => ({ source: source.state(), ended }),
    load: (state) => {
      const fields = fieldsOf('batched.load', state);
      source.load(fields['source'] ?? null);
      ended = fields['ended'] === true;
    },
  };
}

export interface ShuffledOptions {
  /** Decides the order, another one in every epoch. */
  readonly key: Key;
  /** Items that wait, among which the next one is drawn. Default 1000. */
  readonly buffer?: number;
}

/**
 * Items in a random order, as far as a buffer allows: an item may come late, but not much earlier than it would. The cursor
 * holds the buffer, so items must be JSON (texts, lists of numbers).
 * @throws ValueError for a buffer that is no count
 */
export function shuffled<T extends Json>(
  source: DataSource<T>,
  { key, buffer: size = 1000 }: ShuffledOptions,
): DataSource<T> {
  checkCount('shuffled', 'buffer', size);
  const op = 'shuffled.load';
  let waiting: T[] = [];
  /** The source has given all. */
  let ended = false;
  let epoch = 0;
  let draws = 0;
  const draw = (): T => {
    const [word] = key.foldIn(epoch).foldIn(draws++).bits(1);
    const at = Math.floor((word! / 2 ** 32) * waiting.length);
    const item = waiting[at]!;
    waiting[at] = waiting.at(-1)!;
    waiting.pop();
    return item;
  };
  return {
    async *[Symbol.asyncIterator]() {
      if (!ended)
        for await (const item of source) {
          waiting.push(item);
          if (waiting.length >= size) yield draw();
        }
      ended = true;
      while (waiting.length > 0) yield draw();
      ended = false;
      epoch++;
      draws = 0;
    },
    state: () => ({ source: source.state(), waiting: [...waiting], ended, epoch, draws, key: key.words }),
    load: (state) => {
      const fields = fieldsOf(op, state);
      checkSame(op, 'key', fields['key'], key.words);
      const list = fields['waiting'];
      if (!Array.isArray(list)) countOf(op, 'list of waiting items', undefined);
      const [e, d] = [countOf(op, 'epoch', fields['epoch']), countOf(op, 'draws', fields['draws'])];
      source.load(fields['source'] ?? null);
      ended = fields['ended'] === true;
      waiting = [...(list as T[])];
      [epoch, draws] = [e, d];
    },
  };
}
