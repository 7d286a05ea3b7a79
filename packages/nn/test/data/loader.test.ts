/** The laws of data: every sample once an epoch, the same order for the same key, a cursor that goes on with the same rest. */
import { arrayDataset, collate, DataLoader, tensorDataset, type DataSource, type Json } from '@infinigrad/nn';
import { arange, Key, ShapeError, tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';

export async function collect<T>(source: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const items: T[] = [];
  if (most === 0) return items;
  for await (const item of source) if (items.push(item) >= most) break;
  return items;
}

/** A cursor as a file would hold it. */
const saved = (source: DataSource<unknown>): Json => JSON.parse(JSON.stringify(source.state())) as Json;

const settings = fc.record({
  length: fc.integer({ min: 1, max: 30 }),
  batchSize: fc.integer({ min: 1, max: 8 }),
  shuffle: fc.option(fc.nat(1000), { nil: undefined }),
  dropLast: fc.boolean(),
  prefetch: fc.integer({ min: 0, max: 3 }),
});
type Settings = Parameters<Parameters<typeof settings.map>[0]>[0];

const loader = ({ length, batchSize, shuffle, dropLast, prefetch }: Settings): DataLoader<number, number[]> =>
  new DataLoader(arrayDataset(Array.from({ length }, (_, i) => 10 * i)), {
    batchSize: Math.min(batchSize, length),
    ...(shuffle !== undefined && { shuffle: new Key(shuffle) }),
    dropLast,
    prefetch,
    collate: (samples) => [...samples],
  });

describe('DataLoader', () => {
  test('gives every sample once an epoch, in batches of one size', () =>
    fc.assert(
      fc.asyncProperty(settings, async (given) => {
        const one = loader(given);
        const size = one.batchSize;
        for (const epoch of [0, 1, 2]) {
          expect(one.epoch).toBe(epoch);
          const batches = await collect(one);
          const whole = Math.floor(given.length / size) * size;
          const all = batches.flat();
          expect(batches.length).toBe(one.length);
          expect(batches.slice(0, -1).every((batch) => batch.length === size)).toBe(true);
          expect(all.length).toBe(given.dropLast ? whole : given.length);
          expect(new Set(all).size).toBe(all.length);
          expect(all.every((v) => v % 10 === 0 && v >= 0 && v < 10 * given.length)).toBe(true);
        }
      }),
    ));
  test('gives the same order for the same key, another for another key and in another epoch', async () => {
    const orders = async (shuffle: number | undefined): Promise<number[][]> => {
      const one = loader({ length: 30, batchSize: 4, shuffle, dropLast: false, prefetch: 0 });
      return [(await collect(one)).flat(), (await collect(one)).flat()];
    };
    const [first, second] = await orders(7);
    expect(await orders(7)).toEqual([first, second]);
    expect(first).not.toEqual(second);
    expect((await orders(8))[0]).not.toEqual(first);
    const inOrder = Array.from({ length: 30 }, (_, i) => 10 * i);
    expect(await orders(undefined)).toEqual([inOrder, inOrder]);
    expect(first).not.toEqual(inOrder);
  });
  test('a cursor gives the same rest, of this epoch and of the next', () =>
    fc.assert(
      fc.asyncProperty(settings, fc.nat(40), async (given, at) => {
        const one = loader(given);
        await collect(one, at % (one.length + 1));
        const other = loader(given);
        other.load(saved(one));
        expect([other.epoch, await collect(other), await collect(other)]).toEqual([
          one.epoch,
          await collect(one),
          await collect(one),
        ]);
      }),
    ));
  test('every order is as likely as any other', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 2400; seed++) {
      const one = loader({ length: 4, batchSize: 1, shuffle: seed, dropLast: false, prefetch: 0 });
      const name = one.order().join();
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // χ² of 23 degrees of freedom: beyond 49.7 in one of a thousand.
    const chi = [...counts.values()].reduce((total, n) => total + (n - 100) ** 2 / 100, 0);
    expect(chi).toBeLessThan(49.7);
  });
  test('works ahead by as many batches as it is told', async () => {
    const asked: number[] = [];
    const dataset = { length: 6, get: (i: number): number => (asked.push(i), i) };
    const one = new DataLoader(dataset, { prefetch: 2, collate: ([x]) => x! });
    const iterator = one[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ value: 0, done: false });
    expect(asked).toEqual([0, 1, 2]);
    expect(one.state()).toMatchObject({ position: 1 });
    await iterator.return();
    expect(await collect(one)).toEqual([1, 2, 3, 4, 5]);
  });
  test('a sample that cannot be read is an error when its turn comes, and the cursor stays before it', async () => {
    const dataset = {
      length: 3,
      get: (i: number) => (i === 1 ? Promise.reject(new Error('gone')) : Promise.resolve(i)),
    };
    const one = new DataLoader(dataset, { prefetch: 2, collate: ([x]) => x! });
    const seen: number[] = [];
    await expect(
      (async () => {
        for await (const x of one) seen.push(x);
      })(),
    ).rejects.toThrow('gone');
    expect([seen, one.state()]).toEqual([[0], { epoch: 0, position: 1, samples: 3, shuffle: null }]);
  });
  test('takes whole batches from a dataset of tensors', async () => {
    const [x, y] = [arange(10).reshape([5, 2]), tensor([0, 1, 2, 3, 4], { dtype: 'i32' })];
    const one = new DataLoader<Record<'x' | 'y', Tensor>>(tensorDataset({ x, y }), {
      batchSize: 2,
      shuffle: new Key(1),
    });
    const rows = (await collect(one)).flatMap((batch) => {
      expect([batch.x.shape.length, batch.y.dtype]).toEqual([2, 'i32']);
      const [a, b] = [numbers(batch.x), numbers(batch.y)];
      return b.map((label, i) => [label, a[2 * i], a[2 * i + 1]]);
    });
    expect(rows.toSorted((a, b) => a[0]! - b[0]!)).toEqual([0, 1, 2, 3, 4].map((i) => [i, 2 * i, 2 * i + 1]));
    expect(numbers(((await tensorDataset({ x, y }).get(3)) as { x: Tensor }).x)).toEqual([6, 7]);
  });
});

describe('collate', () => {
  test('stacks what stands in one place, keeping dtypes', () => {
    const sample = (i: number) => ({
      ids: Int32Array.of(i, i + 1),
      image: [Float32Array.of(i), Uint8Array.of(i), Float64Array.of(i)],
      x: tensor([i]),
      label: i,
      good: i > 1,
      name: `n${i}`,
    });
    const batch = collate([sample(1), sample(2), sample(3)]);
    const { ids, image, x, label, good, name } = batch;
    expect([ids, ...image, x, label, good].map((t) => [t.dtype, t.shape, numbers(t)])).toEqual([
      ['i32', [3, 2], [1, 2, 2, 3, 3, 4]],
      ['f32', [3, 1], [1, 2, 3]],
      ['u8', [3, 1], [1, 2, 3]],
      ['f64', [3, 1], [1, 2, 3]],
      ['f32', [3, 1], [1, 2, 3]],
      ['f32', [3], [1, 2, 3]],
      ['bool', [3], [0, 1, 1]],
    ]);
    expect(name).toEqual(['n1', 'n2', 'n3']);
  });
});

describe('errors', () => {
  const five = arrayDataset([1, 2, 3, 4, 5]);
  const good = { epoch: 0, position: 0, samples: 5, shuffle: null };
  const load = (state: Json) => () => new DataLoader(five).load(state);
  type Row = [string, () => unknown, new (...args: never[]) => Error, string];
  test.each<Row>([
    [
      'batchSize',
      () => new DataLoader(five, { batchSize: 0 }),
      ValueError,
      'DataLoader: batchSize must be an integer ≥ 1, got 0',
    ],
    [
      'prefetch',
      () => new DataLoader(five, { prefetch: -1 }),
      ValueError,
      'DataLoader: prefetch must be an integer ≥ 0, got -1',
    ],
    [
      'nothing',
      () => new DataLoader(arrayDataset([])),
      ValueError,
      'DataLoader: 0 samples make no batch of 1. Hint: the dataset is empty',
    ],
    [
      'no whole batch',
      () => new DataLoader(five, { batchSize: 6, dropLast: true }),
      ValueError,
      'DataLoader: 5 samples make no batch of 6. Hint: dropLast: false',
    ],
    [
      'a cursor that is none',
      load(3),
      ValueError,
      'DataLoader.load: a cursor must be an object, got the number 3',
    ],
    [
      'a cursor of more samples',
      load({ ...good, samples: 6 }),
      ValueError,
      'DataLoader.load: the cursor belongs to other data: its samples is 6, here it is 5',
    ],
    [
      'a cursor of another order',
      load({ ...good, shuffle: [0, 1] }),
      ValueError,
      'its shuffle is [0,1], here it is null',
    ],
    [
      'a cursor beyond the end',
      load({ ...good, position: 6 }),
      ValueError,
      "the cursor's position must be an integer from 0 to 5, got 6",
    ],
    [
      'a cursor without an epoch',
      load({ position: 0, samples: 5, shuffle: null }),
      ValueError,
      "the cursor's epoch must be an integer",
    ],
    [
      'tensors of two lengths',
      () => tensorDataset({ a: tensor([1]), b: tensor([1, 2]) }),
      ShapeError,
      'tensorDataset: the tensors must be of one length along their first axis',
    ],
    ['no axis', () => tensorDataset({ a: tensor(1) }), ShapeError, 'tensorDataset: the tensors'],
    ['no tensors', () => tensorDataset({}), ValueError, 'tensorDataset: needs at least one tensor'],
    ['no samples', () => collate([]), ValueError, 'collate: needs at least one sample'],
    [
      'samples of two kinds',
      () => collate<unknown>([1, 'a']),
      ValueError,
      "collate: samples differ in form: the number 1 and the text 'a'",
    ],
    [
      'fields of two kinds',
      () => collate<unknown>([{ x: [1] }, { x: [true] }]),
      ValueError,
      'collate: samples differ in form in x.0',
    ],
    [
      'two sets of fields',
      () => collate<unknown>([{ x: 1 }, { y: 1 }]),
      ValueError,
      'collate: samples differ in form',
    ],
    ['lists of two lengths', () => collate([[1], [1, 2]]), ValueError, 'collate: samples differ in form'],
    [
      'arrays of two dtypes',
      () => collate<unknown>([new Int32Array(1), new Uint8Array(1)]),
      ValueError,
      'collate: samples differ in form',
    ],
    [
      'arrays of two lengths',
      () => collate([{ x: new Int32Array(1) }, { x: new Int32Array(2) }]),
      ShapeError,
      'collate: samples differ in length in x: 1 and 2',
    ],
    [
      'what it does not know',
      () => collate<unknown>([new Map()]),
      ValueError,
      'collate: cannot take a Map. Hint: give the loader a collate of its own',
    ],
  ])('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  test('a cursor that is refused changes nothing', async () => {
    const one = new DataLoader(five, { collate: ([x]) => x! });
    await collect(one, 2);
    expect(() => one.load({ ...good, epoch: -1 })).toThrow(ValueError);
    expect(await collect(one)).toEqual([3, 4, 5]);
  });
});
