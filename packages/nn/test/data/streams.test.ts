/** Sources made of sources: what goes in comes out, and cursors give the same rest. */
import {
  batched,
  mapped,
  packed,
  shuffled,
  sourceOf,
  type DataSource,
  type Json,
  type PackedRow,
} from '@infinigrad/nn';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

async function collect<T>(source: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const items: T[] = [];
  if (most === 0) return items;
  for await (const item of source) if (items.push(item) >= most) break;
  return items;
}
const saved = (source: DataSource<unknown>): Json => JSON.parse(JSON.stringify(source.state())) as Json;
const items = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const documents = fc.array(fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 9 }), { maxLength: 9 });
const packing = fc.record({
  length: fc.integer({ min: 1, max: 7 }),
  mode: fc.constantFrom('split' as const, 'whole' as const),
  rows: fc.integer({ min: 1, max: 3 }),
  end: fc.constantFrom(undefined, 0),
});
type Packing = Parameters<Parameters<typeof packing.map>[0]>[0];
const packer = (given: readonly number[][], { end, ...options }: Packing): DataSource<PackedRow> =>
  packed(sourceOf(given), { ...options, ...(end !== undefined && { end }), pad: -1 });

/** Every kind of source, over documents. */
const kinds: Record<string, (given: readonly number[][], seed: number) => DataSource<unknown>> = {
  sourceOf: (given) => sourceOf(given),
  mapped: (given) => mapped(sourceOf(given), (d) => Promise.resolve(d.length)),
  batched: (given, seed) =>
    batched(sourceOf(given), { batchSize: 1 + (seed % 3), dropLast: seed % 2 === 1, collate: (x) => [...x] }),
  shuffled: (given, seed) => shuffled(sourceOf(given), { key: new Key(seed), buffer: 1 + (seed % 4) }),
  'packed, split': (given) => packed(sourceOf(given), { length: 4 }),
  'packed, whole': (given) => packed(sourceOf(given), { length: 5, mode: 'whole', rows: 2 }),
  'all together': (given, seed) =>
    batched(
      packed(
        shuffled(
          mapped(sourceOf(given), (d) => [...d, 7]),
          { key: new Key(seed), buffer: 3 },
        ),
        { length: 3 },
      ),
      { batchSize: 2, collate: (rows) => rows.map(({ tokens }) => [...tokens]) },
    ),
};

describe.each(Object.entries(kinds))('%s', (_, make) => {
  test('a cursor at any place gives the same rest, of this epoch and of the next', () =>
    fc.assert(
      fc.asyncProperty(documents, fc.nat(100), fc.nat(30), async (given, seed, at) => {
        const whole = await collect(make(given, seed));
        const one = make(given, seed);
        const before = await collect(one, at % (whole.length + 1));
        const other = make(given, seed);
        other.load(saved(one));
        const rest = await collect(other);
        expect([...before, ...rest]).toEqual(whole);
        expect(await collect(one)).toEqual(rest);
        expect(await collect(other)).toEqual(await collect(one));
      }),
      { numRuns: 60 },
    ));
});

test('batched takes all, in order', async () => {
  const of = (options: object) =>
    collect(batched(sourceOf(items(7)), { batchSize: 3, collate: (x) => [...x], ...options }));
  expect(await of({})).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
  expect(await of({ dropLast: true })).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
  expect((await collect(batched(sourceOf([1, 2]), { batchSize: 2 })))[0]!.shape).toEqual([2]);
});

test('shuffled gives every item once, none much too early, in another order each epoch', async () => {
  const one = shuffled(sourceOf(items(50)), { key: new Key(3), buffer: 10 });
  const [first, second] = [await collect(one), await collect(one)];
  for (const order of [first, second]) {
    expect(order.toSorted((a, b) => a - b)).toEqual(items(50));
    order.forEach((item, place) => expect(item).toBeLessThan(place + 10));
  }
  expect(first).not.toEqual(second);
  expect(first).not.toEqual(items(50));
  expect(await collect(shuffled(sourceOf(items(50)), { key: new Key(3), buffer: 10 }))).toEqual(first);
});

describe('packed', () => {
  const rowsOf = (given: readonly number[][], options: Packing): Promise<PackedRow[]> =>
    collect(packer(given, options));
  /** The pieces of a row, by its documents. */
  const pieces = ({ tokens, documents: ids }: PackedRow): number[][] => {
    const found: number[][] = [];
    ids.forEach((id, i) => {
      if (id > 0) (found[id - 1] ??= []).push(tokens[i]!);
    });
    return found;
  };

  test('every token stands in one row, in order', () =>
    fc.assert(
      fc.asyncProperty(documents, packing, async (given, options) => {
        const rows = await rowsOf(given, options);
        const whole = given
          .map((d) => (options.end === undefined ? d : [...d, options.end]))
          .filter((d) => d.length > 0);
        if (options.mode === 'split') expect(rows.flatMap(pieces).flat()).toEqual(whole.flat());
        const parts = whole.flatMap((d) =>
          Array.from({ length: Math.ceil(d.length / options.length) }, (_, i) =>
            d.slice(i * options.length, (i + 1) * options.length),
          ),
        );
        if (options.mode === 'whole')
          expect(rows.flatMap(pieces).map(String).toSorted()).toEqual(parts.map(String).toSorted());
      }),
    ));
  test('positions begin anew with each document, targets are the next tokens, padding counts for nothing', () =>
    fc.assert(
      fc.asyncProperty(documents, packing, async (given, options) => {
        const rows = await rowsOf(given, options);
        const after = new Map<string, number>();
        for (const { tokens, targets, documents: ids, positions, count } of rows) {
          expect([tokens, targets, ids, positions].every((a) => a.length === options.length)).toBe(true);
          expect(count).toBe([...targets].filter((t) => t !== -100).length);
          ids.forEach((id, i) => {
            if (id === 0) return expect([tokens[i], targets[i], positions[i]]).toEqual([-1, -100, 0]);
            const fresh = i === 0 || ids[i - 1] !== id;
            expect(positions[i]).toBe(fresh ? 0 : positions[i - 1]! + 1);
            if (ids[i + 1] === id) expect(targets[i]).toBe(tokens[i + 1]);
            return after.set(
              `${tokens[i]},${targets[i]}`,
              (after.get(`${tokens[i]},${targets[i]}`) ?? 0) + 1,
            );
          });
        }
        // Pairs of a token and its target are those of the documents.
        const expected = new Map<string, number>();
        for (const d of given) {
          const whole = options.end === undefined ? d : [...d, options.end];
          whole.forEach((token, i) => {
            const name = `${token},${whole[i + 1] ?? -100}`;
            expected.set(name, (expected.get(name) ?? 0) + 1);
          });
        }
        expect(after).toEqual(expected);
      }),
    ));
  test('split rows are full but for the last; whole documents stand in one row', () =>
    fc.assert(
      fc.asyncProperty(documents, packing, async (given, options) => {
        const rows = await rowsOf(given, options);
        if (options.mode === 'split')
          for (const row of rows.slice(0, -1)) expect(row.documents.every((id) => id > 0)).toBe(true);
        else
          for (const document of given.filter(
            (d) => d.length > 0 && d.length < options.length && options.end === undefined,
          ))
            expect(rows.some((row) => pieces(row).some((piece) => piece.join() === document.join()))).toBe(
              true,
            );
      }),
    ));
  test('whole fills rows well', async () => {
    const lengths = Array.from(new Key(1).randint(1, 60, [400]).dataSync());
    const rows = await rowsOf(
      lengths.map((n) => new Array<number>(n).fill(1)),
      { length: 128, mode: 'whole', rows: 3, end: undefined },
    );
    const used = lengths.reduce((a, b) => a + b, 0);
    expect(used / (rows.length * 128)).toBeGreaterThan(0.9);
  });
});

describe('errors', () => {
  const one = sourceOf([[1, 2]]);
  test.each<[string, () => unknown, string]>([
    ['batchSize', () => batched(one, { batchSize: 0 }), 'batched: batchSize must be an integer ≥ 1, got 0'],
    [
      'buffer',
      () => shuffled(one, { key: new Key(0), buffer: 0 }),
      'shuffled: buffer must be an integer ≥ 1, got 0',
    ],
    ['length', () => packed(one, { length: 0 }), 'packed: length must be an integer ≥ 1, got 0'],
    ['rows', () => packed(one, { length: 1, rows: 0 }), 'packed: rows must be an integer ≥ 1, got 0'],
    [
      'mode',
      () => packed(one, { length: 1, mode: 'x' as 'split' }),
      "packed: mode must be split or whole, got 'x'",
    ],
    [
      'a cursor of other items',
      () => one.load({ position: 0, items: 2 }),
      'sourceOf.load: the cursor belongs to other data',
    ],
    [
      'a cursor of another length',
      () => packed(one, { length: 2 }).load(packed(one, { length: 3 }).state()),
      'packed.load: the cursor belongs to other data',
    ],
    [
      'a cursor without rows',
      () =>
        packed(one, { length: 2 }).load({ ...(packed(one, { length: 2 }).state() as object), open: [[3]] }),
      'packed.load: the cursor holds no rows',
    ],
    [
      'a cursor of another key',
      () => shuffled(one, { key: new Key(1) }).load(shuffled(one, { key: new Key(2) }).state()),
      'shuffled.load: the cursor belongs to other data',
    ],
    [
      'a cursor without a list',
      () =>
        shuffled(one, { key: new Key(1) }).load({
          ...(shuffled(one, { key: new Key(1) }).state() as object),
          waiting: 1,
        }),
      "shuffled.load: the cursor's list of waiting items",
    ],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
  test('a document that is none', async () => {
    const rows = packed(sourceOf([5 as never]), { length: 2 });
    await expect(collect(rows)).rejects.toThrow(
      'packed: a document must be a list of tokens, got the number 5',
    );
  });
});
