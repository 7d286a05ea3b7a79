/** Blank infilling: the paper's example, spans and their rates, the way back, and who sees whom. */
import {
  blankBatch,
  blankRow,
  drawBlanks,
  fillBlanks,
  infillBlanks,
  type BlankOptions,
  type BlankTokens,
  type Span,
} from '@infinigrad/zoo';
import { causalMask, prefixMask } from '@infinigrad/nn';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectRate, rowsOf, runs, seeds, texts } from './support.ts';

const ids: BlankTokens = { mask: 1, start: 2, end: 3 };
const stop = 10;
const endsSentence = (id: number): boolean => id === stop;
const kinds: Record<string, BlankOptions> = {
  spans: {},
  sentences: { kind: 'sentences', endsSentence },
  document: { kind: 'document' },
};

test('figure 2 of the paper: x3 and x5 x6 are blanks, the second is told first', () => {
  const blanks: Span[] = [
    [2, 3],
    [4, 6],
  ];
  const row = infillBlanks([11, 12, 13, 14, 15, 16], blanks, [1, 0], ids);
  expect(Array.from(row.inputIds)).toEqual([11, 12, 1, 14, 1, 2, 15, 16, 2, 13]);
  expect(Array.from(row.targets)).toEqual([...[0, 0, 0, 0, 0].map(() => -100), 15, 16, 3, 13, 3]);
  expect(Array.from(row.positions)).toEqual([0, 1, 2, 3, 4, 4, 4, 4, 2, 2]);
  expect(Array.from(row.blockPositions)).toEqual([0, 0, 0, 0, 0, 1, 2, 3, 1, 2]);
  expect(row.sep).toBe(5);
});

describe.each(Object.entries(kinds))('%s', (kind, options) => {
  test('10,000 texts come back', () => {
    const key = new Key(3);
    const around = { ...ids, before: [4], after: [5, 6] };
    for (let i = 0; i < 10_000; i++) {
      const own = key.foldIn(i);
      const text = own
        .foldIn(1)
        .randint(8, 30, [1 + (own.words[0] % 60)])
        .dataSync() as Int32Array;
      expect(fillBlanks(blankRow(text, { ...options, ...around }, own), around)).toEqual(text);
    }
  });

  test('blanks are apart, in order, within the text, and enough', () =>
    fc.assert(
      fc.property(texts(1, 120, 20, 8), seeds, (text, key) => {
        const blanks = drawBlanks(text, options, key);
        let least = 0;
        let taken = 0;
        for (const [from, to] of blanks) {
          expect(from).toBeGreaterThanOrEqual(least);
          expect(to).toBeGreaterThan(from);
          taken += to - from;
          // A token between any two; only sentences may touch.
          least = kind === 'sentences' ? to : to + 1;
        }
        expect(blanks.at(-1)![1]).toBeLessThanOrEqual(text.length);
        const rate = kind === 'document' ? 0.5 : 0.15;
        expect(taken).toBeGreaterThanOrEqual(Math.ceil(text.length * rate));
        if (kind === 'document') expect(blanks).toEqual([[text.length - taken, text.length]]);
        if (kind === 'sentences')
          for (const [from, to] of blanks) {
            expect(from === 0 || text[from - 1] === stop).toBe(true);
            expect(to === text.length || text[to - 1] === stop).toBe(true);
            expect(text.slice(from, to - 1)).not.toContain(stop);
          }
        expect(drawBlanks(text, options, key)).toEqual(blanks);
      }),
      { numRuns: runs },
    ));

  test('rows: a target for each token of part B alone, and positions of the masks', () =>
    fc.assert(
      fc.property(texts(1, 80, 20, 8), seeds, (text, key) => {
        const { inputIds, targets, positions, blockPositions, sep } = blankRow(
          text,
          { ...options, ...ids },
          key,
        );
        for (let i = 0; i < inputIds.length; i++) {
          if (i < sep) {
            expect([targets[i], positions[i], blockPositions[i]]).toEqual([-100, i, 0]);
            continue;
          }
          expect(inputIds[positions[i]!]).toBe(ids.mask);
          const begins = inputIds[i] === ids.start;
          expect(blockPositions[i]).toBe(begins ? 1 : blockPositions[i - 1]! + 1);
          // The next token of the same blank is the target.
          const last = i + 1 === inputIds.length || inputIds[i + 1] === ids.start;
          expect(targets[i]).toBe(last ? ids.end : inputIds[i + 1]);
        }
      }),
      { numRuns: runs },
    ));
});

test('lengths of spans at 100,000 tokens: Poisson with mean 3 without 0', () => {
  const n = 100_000;
  const spans = drawBlanks({ length: n }, {}, new Key(9));
  const taken = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  expect(taken).toBeGreaterThanOrEqual(n * 0.15);
  expect(taken).toBeLessThan(n * 0.15 + 39);
  let p = Math.exp(-3) / (1 - Math.exp(-3));
  for (let k = 1; k <= 8; k++) {
    p *= 3 / k;
    expectRate(spans.filter(([from, to]) => to - from === k).length, spans.length, p);
  }
});

test('however much is asked for, spans fit and stay apart', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0.3, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 6 }),
      seeds,
      (length, rate, longest, key) => {
        const spans = drawBlanks({ length }, { rate, longest }, key);
        spans.forEach(([from, to], i) => {
          expect(from).toBeGreaterThanOrEqual(i === 0 ? 0 : spans[i - 1]![1] + 1);
          expect(to).toBeGreaterThan(from);
        });
        expect(spans.at(-1)![1]).toBeLessThanOrEqual(length);
        // Enough, or all places taken but the ones between spans and perhaps one more.
        const taken = spans.reduce((sum, [from, to]) => sum + to - from, 0);
        expect(taken >= Math.ceil(length * rate) || taken + spans.length >= length).toBe(true);
      },
    ),
    { numRuns: runs },
  ));

test('half a document or more, each length as likely', () => {
  const counts = new Map<number, number>();
  for (let i = 0; i < 6000; i++) {
    const [[from]] = drawBlanks({ length: 10 }, { kind: 'document' }, new Key(i)) as [Span];
    counts.set(from, (counts.get(from) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  for (const count of counts.values()) expectRate(count, 6000, 1 / 6);
});

test('every place is as likely: one span of 2 in 10 tokens', () => {
  const counts = new Array<number>(10).fill(0);
  const n = 9000;
  // Of 10 tokens 2 are enough; a first span of 1 needs a second one.
  let single = 0;
  for (let i = 0; i < n; i++) {
    const spans = drawBlanks({ length: 10 }, { longest: 39 }, new Key(i));
    if (spans.length !== 1 || spans[0]![1] - spans[0]![0] !== 2) continue;
    single++;
    counts[spans[0]![0]]!++;
  }
  for (let from = 0; from <= 8; from++) expectRate(counts[from]!, single, 1 / 9);
});

test('blanks are told in every order', () => {
  const text = Array.from({ length: 60 }, (_, i) => 20 + i);
  let swapped = 0;
  let several = 0;
  for (let i = 0; i < 400; i++) {
    const row = blankRow(text, ids, new Key(i));
    const masks = Array.from(row.positions.filter((_, t) => row.inputIds[t] === ids.start));
    if (masks.length < 2) continue;
    several++;
    if (masks[0]! > masks[1]!) swapped++;
  }
  expectRate(swapped, several, 0.5);
});

test('with the mask of sep: A sees no B, and B only what came before', () => {
  const text = Array.from({ length: 20 }, (_, i) => 20 + i);
  const [first, second] = [7, 8].map((seed) => {
    const blanks = drawBlanks(text, { rate: 0.3 }, new Key(1));
    const order = blanks.map((_, i) => (seed === 7 ? i : blanks.length - 1 - i));
    return infillBlanks(text, blanks, order, ids);
  }) as [ReturnType<typeof infillBlanks>, ReturnType<typeof infillBlanks>];
  const T = first.inputIds.length;
  const seen = (sep: number): number[][] => {
    const mask = causalMask()
      .or(prefixMask([sep]))
      .tensor({ queries: T, keys: T, backend: new Key(0).uniform([1]).backend });
    return rowsOf(mask.reshape([T, T]).cast('i32'));
  };
  seen(first.sep).forEach((row, i) =>
    row.forEach((sees, j) => expect(sees).toBe(Number(j < first.sep || j <= i))),
  );
  // Attention over embeddings by token: what A gets does not change with the order of B.
  const table = new Key(4).normal([60, 4], { dtype: 'f64' });
  const attended = (row: ReturnType<typeof infillBlanks>): number[][] => {
    const data = table.dataSync();
    const x = Array.from(row.inputIds, (id) => Array.from(data.slice(4 * id, 4 * id + 4)));
    return x.map((q, i) => {
      const scores = x.map((k, j) =>
        j < row.sep || j <= i ? Math.exp(q.reduce((s, v, d) => s + v * k[d]!, 0) / 2) : 0,
      );
      const total = scores.reduce((a, b) => a + b, 0);
      return q.map((_, d) => x.reduce((s, v, j) => s + (scores[j]! / total) * v[d]!, 0));
    });
  };
  expect(attended(first).slice(0, first.sep)).toEqual(attended(second).slice(0, second.sep));
  expect(Array.from(first.inputIds)).not.toEqual(Array.from(second.inputIds));
});

test('a batch is its rows, padded, with both positions', () => {
  const rows = [
    [11, 12, 13, 14, 15],
    [21, 22, 23, 24, 25, 26, 27, 28],
  ];
  const key = new Key(6);
  const batch = blankBatch(rows, { ...ids, pad: 9 }, key);
  const made = rows.map((row, i) => blankRow(row, ids, key.foldIn(i)));
  const T = batch.inputIds.shape[1]!;
  const fit = (row: Int32Array, fill: number): number[] =>
    Array.from({ length: T }, (_, i) => row[i] ?? fill);
  expect(rowsOf(batch.inputIds)).toEqual(made.map((row) => fit(row.inputIds, 9)));
  expect(rowsOf(batch.targets)).toEqual(made.map((row) => fit(row.targets, -100)));
  expect(batch.positionIds.shape).toEqual([2, 2, T]);
  expect(rowsOf(batch.positionIds.reshape([4, T]))).toEqual(
    made.flatMap((row) => [fit(row.positions, 0), fit(row.blockPositions, 0)]),
  );
  expect(rowsOf(batch.attentionMask)).toEqual(
    made.map((row) =>
      fit(
        row.inputIds.map(() => 1),
        0,
      ),
    ),
  );
  expect(batch.sep).toEqual(made.map((row) => row.sep));
  expect(batch.count).toBe(made.reduce((sum, row) => sum + row.inputIds.length - row.sep, 0));
});

const one: Span[] = [[0, 1]];
test.each<[string, () => unknown, RegExp]>([
  ['rate', () => drawBlanks([7], { rate: 0 }, new Key(0)), /rate must lie in \(0, 1\]/],
  ['meanLength', () => drawBlanks([7], { meanLength: -1 }, new Key(0)), /meanLength must lie in/],
  ['longest', () => drawBlanks([7], { longest: 0 }, new Key(0)), /longest must be an integer/],
  ['no text', () => drawBlanks([], {}, new Key(0)), /tokens must be an integer ≥ 1, got the number 0/],
  [
    'kind',
    () => drawBlanks([7], { kind: 'words' as never }, new Key(0)),
    /kind must be spans, sentences or document/,
  ],
  ['sentences', () => drawBlanks([7], { kind: 'sentences' }, new Key(0)), /sentences need endsSentence/],
  ['no blanks', () => infillBlanks([7], [], [], ids), /needs at least one blank/],
  ['an empty blank', () => infillBlanks([7], [[0, 0]], [0], ids), /blanks must be apart/],
  ['a blank outside', () => infillBlanks([7], [[0, 2]], [0], ids), /within 1 tokens, got \[0, 2\)/],
  ['an order twice', () => infillBlanks([7], one, [1], ids), /the order must hold 0 … 0 once each/],
  ['mask', () => infillBlanks([7], one, [0], { ...ids, mask: 0.5 }), /mask must be a token id/],
  ['before', () => infillBlanks([7], one, [0], { ...ids, before: [-1] }), /a token must be an integer/],
  ['an empty text', () => blankRow([], ids, new Key(0)), /needs at least 1 token, got 0/],
  ['pad', () => blankBatch([[7]], { ...ids, pad: -1 }, new Key(0)), /pad must be a token id/],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});
