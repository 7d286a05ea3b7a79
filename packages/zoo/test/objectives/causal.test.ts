/** Causal rows and their packing, prefixes, and sources with keys. */
import {
  causalBatch,
  causalRow,
  keyed,
  maskTokens,
  prefixBatch,
  prefixLength,
  splitPrefix,
} from '@infinigrad/zoo';
import { causalMask, documentMask, packed, sourceOf, type DataSource, type Json } from '@infinigrad/nn';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectRate, rowsOf, runs, seeds, texts } from './support.ts';

async function collect<T>(source: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) if (items.push(item) >= most) break;
  return items;
}

test('a row: the next token is the target, padding counts for nothing', () => {
  const row = causalRow([5, 6, 7], { length: 6, end: 1, pad: 9 });
  expect(Array.from(row.tokens)).toEqual([5, 6, 7, 1, 9, 9]);
  expect(Array.from(row.targets)).toEqual([6, 7, 1, -100, -100, -100]);
  expect(Array.from(row.documents)).toEqual([1, 1, 1, 1, 0, 0]);
  expect(Array.from(row.positions)).toEqual([0, 1, 2, 3, 0, 0]);
  expect(row.count).toBe(3);
});

test('a batch keeps what rows hold', () => {
  const rows = [causalRow([5, 6, 7]), causalRow([8, 9], { length: 3 })];
  const batch = causalBatch(rows);
  expect(rowsOf(batch.inputIds)).toEqual([
    [5, 6, 7],
    [8, 9, 0],
  ]);
  expect(rowsOf(batch.targets)).toEqual([
    [6, 7, -100],
    [9, -100, -100],
  ]);
  expect(rowsOf(batch.positionIds)).toEqual([
    [0, 1, 2],
    [0, 1, 0],
  ]);
  expect(rowsOf(batch.documents)).toEqual([
    [1, 1, 1],
    [1, 1, 0],
  ]);
  expect(batch.count).toBe(3);
  // A batch of one row is a copy too.
  const alone = causalBatch([rows[0]!]);
  rows[0]!.tokens[0] = 99;
  expect(rowsOf(alone.inputIds)).toEqual([[5, 6, 7]]);
});

test('packed rows with their masks: every token sees what it sees alone, and is told the same', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(texts(1, 7), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 7, max: 12 }),
      async (documents, length) => {
        const rows = await collect(packed(sourceOf(documents), { length, mode: 'whole' }));
        const batch = causalBatch(rows);
        const seen = causalMask()
          .and(documentMask(batch.documents))
          .tensor({ queries: length, keys: length, backend: batch.documents.backend });
        const sees = rowsOf(seen.reshape([rows.length * length, length]).cast('i32'));
        const [ids, targets, places, numbers] = [
          batch.inputIds,
          batch.targets,
          batch.positionIds,
          batch.documents,
        ].map(rowsOf) as [number[][], number[][], number[][], number[][]];
        // What a token sees, with places, and its target: as many times as in rows of one document each.
        const views = (visible: [number, number][], target: number): string =>
          JSON.stringify([visible, target]);
        const together: string[] = [];
        ids.forEach((row, r) =>
          row.forEach((_, t) => {
            if (numbers[r]![t] === 0) return;
            const visible = row
              .map((id, j): [number, number] => [id, places[r]![j]!])
              .filter((_, j) => sees[r * length + t]![j] === 1);
            together.push(views(visible, targets[r]![t]!));
          }),
        );
        const alone = documents.flatMap((document) =>
          document.map((_, t) =>
            views(
              document.slice(0, t + 1).map((id, j): [number, number] => [id, j]),
              document[t + 1] ?? -100,
            ),
          ),
        );
        expect(together.sort()).toEqual(alone.sort());
        expect(batch.count).toBe(documents.reduce((sum, document) => sum + document.length - 1, 0));
      },
    ),
    { numRuns: runs },
  ));

describe('prefixes', () => {
  test('what is told begins where the prefix ends', () =>
    fc.assert(
      fc.property(texts(1, 30), seeds, (text, key) => {
        const { inputIds, targets, prefix } = splitPrefix(text, { end: 1 }, key);
        const whole = [...text, 1];
        expect(Array.from(inputIds)).toEqual(whole.slice(0, -1));
        expect(prefix).toBeGreaterThanOrEqual(1);
        expect(prefix).toBeLessThan(whole.length);
        targets.forEach((target, t) => expect(target).toBe(t + 1 < prefix ? -100 : whole[t + 1]));
        expect(splitPrefix(text, { end: 1 }, key).prefix).toBe(prefix);
      }),
      { numRuns: runs },
    ));

  test('every length is as likely', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 5000; i++) counts[prefixLength(8, 3, new Key(i))]!++;
    expect(counts.slice(0, 3)).toEqual([0, 0, 0]);
    for (const count of counts.slice(3)) expectRate(count, 5000, 1 / 5);
  });

  test('a batch is its rows, padded', () => {
    const rows = [
      [5, 6, 7, 8],
      [5, 6],
    ];
    const key = new Key(1);
    const batch = prefixBatch(rows, { pad: 9 }, key);
    const first = splitPrefix(rows[0]!, {}, key.foldIn(0));
    expect(rowsOf(batch.inputIds)).toEqual([
      [5, 6, 7],
      [5, 9, 9],
    ]);
    expect(rowsOf(batch.targets)).toEqual([[...first.targets], [6, -100, -100]]);
    expect(rowsOf(batch.attentionMask)).toEqual([
      [1, 1, 1],
      [1, 0, 0],
    ]);
    expect(batch.prefix).toEqual([first.prefix, 1]);
    expect(batch.count).toBe(4 - first.prefix + 1);
  });
});

describe('keyed', () => {
  const options = { vocabSize: 90, mask: 1, rate: 0.5 };
  const source = (key: Key): DataSource<number[]> =>
    keyed(sourceOf(Array.from({ length: 5 }, (_, i) => [i + 10, i + 20, i + 30])), key, (row, own) => [
      ...maskTokens(row, options, own).inputIds,
    ]);

  test('another epoch masks anew; the same key the same', async () => {
    const a = source(new Key(1));
    const [first, second] = [await collect(a), await collect(a)];
    expect(first).not.toEqual(second);
    const b = source(new Key(1));
    expect([await collect(b), await collect(b)]).toEqual([first, second]);
    expect(await collect(source(new Key(2)))).not.toEqual(first);
  });

  test('a cursor at any place gives the same rest, of this epoch and of the next', async () => {
    for (let most = 1; most <= 5; most++) {
      const whole = source(new Key(1));
      await collect(whole, most);
      const state = JSON.parse(JSON.stringify(whole.state())) as Json;
      const again = source(new Key(1));
      again.load(state);
      for (let epoch = 0; epoch < 2; epoch++) expect(await collect(again)).toEqual(await collect(whole));
    }
  });

  test('refuses cursors of another key, and what is none; nothing is changed', async () => {
    const one = source(new Key(1));
    const good = source(new Key(1)).state() as Record<string, Json>;
    const bad: Json[] = [
      source(new Key(2)).state(),
      null,
      { ...good, item: -1 },
      { ...good, epoch: 0.5 },
      { ...good, source: null },
    ];
    for (const state of bad) expect(() => one.load(state)).toThrow(ValueError);
    expect(await collect(one)).toEqual(await collect(source(new Key(1))));
  });
});

test.each<[string, () => unknown, RegExp]>([
  ['an empty document', () => causalRow([]), /needs at least 1 token, got 0/],
  ['a document too long', () => causalRow([5, 6], { length: 2, end: 1 }), /3 tokens does not fit into 2/],
  ['pad', () => causalRow([5], { pad: -1 }), /pad must be a token id/],
  ['end', () => causalRow([5], { end: Number.NaN }), /end must be a token id/],
  ['no rows', () => causalBatch([]), /needs at least one row/],
  ['rows of two lengths', () => causalBatch([causalRow([5]), causalRow([5, 6])]), /rows differ in length/],
  ['no prefix', () => splitPrefix([5], {}, new Key(0)), /a text of 1 tokens has no prefix of 1 or more/],
  ['least', () => prefixLength(5, 0, new Key(0)), /no prefix of 0/],
  ['a prefix pad', () => prefixBatch([[5, 6]], { pad: -1 }, new Key(0)), /pad must be a token id/],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});
