/** Span corruption against the reference's algorithm, its lengths, and its own inverse. */
import {
  corruptSpans,
  encoderDecoderBatch,
  fillSpans,
  spanCorruptionBatch,
  spanCounts,
  spanLengths,
  spanMask,
} from '@infinigrad/zoo';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectRate, rowsOf, runs, seeds, texts } from './support.ts';

const options = { sentinel: 999, end: 1 };

test.each([
  [512, 568, 114],
  [256, 284, 58],
  [128, 141, 29],
  [64, 70, 14],
  [1024, 1137, 229],
])('%d tokens of inputs: %d of raw text, %d of targets', (inputs, raw, targets) => {
  expect(spanLengths(inputs)).toEqual({ raw, targets });
  // And it is what comes out.
  const text = Array.from({ length: raw }, () => 2);
  const made = corruptSpans(text, spanMask(raw, {}, new Key(3)), options);
  expect([made.inputs.length, made.targets.length]).toEqual([inputs, targets]);
});

test('at a half, even lengths, as the reference has them', () => {
  // 147 tokens are 73 kept and 74 noisy ones in 25 runs: 99 of inputs, but 100 of targets.
  expect(spanCounts(147, { density: 0.5 })).toEqual({ noise: 74, spans: 25 });
  expect(spanLengths(99, { density: 0.5 })).toEqual({ raw: 146, targets: 99 });
  expect(spanLengths(100, { density: 0.5 })).toEqual({ raw: 148, targets: 100 });
});

test('10,000 texts come back from inputs and targets', () => {
  const key = new Key(11);
  for (let i = 0; i < 10_000; i++) {
    const own = key.foldIn(i);
    const length = 2 + (own.words[0] % 199);
    const text = own.foldIn(1).randint(2, 900, [length]).dataSync() as Int32Array;
    const made = corruptSpans(text, spanMask(length, {}, own), options);
    expect(fillSpans(made, options)).toEqual(text);
  }
});

test('so do texts under any mask', () =>
  fc.assert(
    fc.property(texts(0, 40), seeds, fc.option(fc.constant(1)), (text, key, end) => {
      const mask = key.bernoulli(0.4, [text.length]).dataSync();
      const own = { sentinel: 999, ...(end !== null && { end }) };
      expect(Array.from(fillSpans(corruptSpans(text, mask, own), own))).toEqual(text);
    }),
    { numRuns: runs },
  ));

test('masks: as many tokens and runs as the length decides; a kept run first, a noisy one last', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 300 }),
      seeds,
      fc.double({ min: 0.05, max: 0.6, noNaN: true }),
      fc.double({ min: 1, max: 9, noNaN: true }),
      (length, key, density, meanLength) => {
        const mask = spanMask(length, { density, meanLength }, key);
        const { noise, spans } = spanCounts(length, { density, meanLength });
        expect(mask.length).toBe(length);
        expect(mask.reduce((a, b) => a + b, 0)).toBe(noise);
        expect(mask.filter((x, i) => x === 1 && mask[i - 1] !== 1).length).toBe(spans);
        expect([mask[0], mask.at(-1)]).toEqual([0, 1]);
      },
    ),
    { numRuns: runs },
  ));

test('every way to cut is as likely', () => {
  // 5 noisy tokens of 10 in 2 runs: 4 ways for each, 16 in all.
  const counts = new Map<string, number>();
  const key = new Key(5);
  const n = 16_000;
  for (let i = 0; i < n; i++) {
    const name = spanMask(10, { density: 0.5, meanLength: 2.5 }, key.foldIn(i)).join('');
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  expect(counts.size).toBe(16);
  for (const count of counts.values()) expectRate(count, n, 1 / 16);
});

test('half to even: 15 % of 50 is 8, of 30 is 4', () => {
  expect([50, 30, 10].map((length) => spanCounts(length).noise)).toEqual([8, 4, 2]);
  expect(spanCounts(50, { meanLength: 16 / 5 })).toEqual({ noise: 8, spans: 2 });
});

/** The reference: noise runs to sentinels in inputs, kept runs to sentinels in targets. */
function reference(text: readonly number[], mask: ArrayLike<number>): [number[], number[]] {
  const replaced = (hide: (i: number) => boolean): number[] => {
    let sentinel = 1000;
    return text.flatMap((token, i) => {
      if (!hide(i)) return [token];
      return i > 0 && hide(i - 1) ? [] : [--sentinel];
    });
  };
  return [
    [...replaced((i) => mask[i] === 1), 1],
    [...replaced((i) => mask[i] !== 1), 1],
  ];
}

test('is what the reference makes', () =>
  fc.assert(
    fc.property(texts(2, 200), seeds, (text, key) => {
      const mask = spanMask(text.length, {}, key);
      const { inputs, targets } = corruptSpans(text, mask, options);
      expect([Array.from(inputs), Array.from(targets)]).toEqual(reference(text, mask));
      // Nothing closes the targets but the end.
      expect(targets.filter((token) => token >= 900).length).toBe(spanCounts(text.length).spans);
    }),
    { numRuns: runs },
  ));

test('a text that ends with a kept run closes its targets, as in the example of T5', () => {
  // Thank you <X> me to your party <Y> week. → <X> for inviting <Y> last <Z>
  const { inputs, targets } = corruptSpans(
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    [0, 0, 1, 1, 0, 0, 0, 0, 1, 0],
    options,
  );
  expect(Array.from(inputs)).toEqual([2, 3, 999, 6, 7, 8, 9, 998, 11, 1]);
  expect(Array.from(targets)).toEqual([999, 4, 5, 998, 10, 997, 1]);
});

test('a batch: targets one place later in the decoder, padding that counts for nothing', () => {
  const text = Array.from({ length: 20 }, (_, i) => 10 + i);
  const key = new Key(2);
  const batch = spanCorruptionBatch([text, text.slice(0, 7)], { ...options, pad: 0 }, key);
  const made = [text, text.slice(0, 7)].map((own, i) =>
    corruptSpans(own, spanMask(own.length, {}, key.foldIn(i)), options),
  );
  const [T, U] = [made[0]!.inputs.length, made[0]!.targets.length];
  const fit = (row: Int32Array, length: number, fill: number): number[] =>
    Array.from({ length }, (_, i) => row[i] ?? fill);
  expect(rowsOf(batch.inputIds)).toEqual(made.map((row) => fit(row.inputs, T, 0)));
  expect(rowsOf(batch.targets)).toEqual(made.map((row) => fit(row.targets, U, -100)));
  expect(rowsOf(batch.attentionMask)).toEqual(
    made.map((row) =>
      fit(
        row.inputs.map(() => 1),
        T,
        0,
      ),
    ),
  );
  rowsOf(batch.decoderInputIds).forEach((row, i) => {
    const own = made[i]!.targets;
    expect(row.slice(0, own.length)).toEqual([0, ...own.slice(0, -1)]);
    expect(row.slice(own.length).every((token) => token === 0)).toBe(true);
  });
  expect(batch.count).toBe(made[0]!.targets.length + made[1]!.targets.length);
});

test('what a model left out stands for nothing', () => {
  const own = { sentinel: 99, sentinels: 5, end: 1 };
  const inputs = Int32Array.of(5, 99, 6, 98, 7, 1);
  expect(Array.from(fillSpans({ inputs, targets: Int32Array.of(98, 8, 9) }, own))).toEqual([5, 6, 8, 9, 7]);
});

test.each<[string, () => unknown, RegExp]>([
  ['a sentinel in the text', () => corruptSpans([5, 950], [0, 1], options), /token 950, which is a sentinel/],
  ['another length', () => corruptSpans([5, 6], [0], options), /the mask is for 1 tokens, not 2/],
  [
    'too many runs',
    () => corruptSpans([5, 6, 7, 8], [0, 1, 0, 1], { sentinel: 999, sentinels: 1 }),
    /needs 2 sentinels, there are 1/,
  ],
  ['sentinels below 0', () => corruptSpans([5], [0], { sentinel: 50 }), /100 sentinels do not fit below 50/],
  [
    'an end among sentinels',
    () => corruptSpans([5], [0], { sentinel: 999, end: 990 }),
    /end 990 is a sentinel/,
  ],
  ['density', () => spanCounts(10, { density: 1 }), /density must lie in \(0, 1\)/],
  ['meanLength', () => spanCounts(10, { meanLength: 0.5 }), /meanLength must be ≥ 1/],
  ['length', () => spanMask(0, {}, new Key(0)), /length must be an integer ≥ 1/],
  ['inputs', () => spanLengths(2), /inputs must be an integer ≥ 3/],
  ['one token', () => spanCorruptionBatch([[5]], options, new Key(0)), /needs at least 2 tokens, got 1/],
  ['no pairs', () => encoderDecoderBatch([]), /needs at least one row/],
  ['start', () => encoderDecoderBatch([], { start: -1 }), /start must be a token id/],
  [
    'targets too long',
    () => encoderDecoderBatch([{ inputs: [1], targets: [1, 2] }], { targetLength: 1 }),
    /2 tokens does not fit into 1/,
  ],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});
