/** Masked language modelling: rates, what is never chosen, whole words. */
import { maskedBatch, maskTokens, type MaskingOptions } from '@infinigrad/zoo';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectRate, rowsOf, runs, seeds, texts } from './support.ts';

const mask = 4;
const special = [0, 1, 2, 3, 4];
const base: MaskingOptions = { vocabSize: 1000, mask, special };
const words = { ...base, continues: (id: number) => id % 3 === 0 };

describe('rates at 100,000 tokens', () => {
  const n = 100_000;
  const tokens = new Key(1).randint(10, 1000, [n]).dataSync() as Int32Array;
  test.each([
    [0.15, 0.8, 0.1],
    [0.4, 0.5, 0.25],
    [0.15, 1, 0],
  ])('rate %d, masked %d, random %d', (rate, masked, random) => {
    const { inputIds, targets } = maskTokens(tokens, { ...base, rate, masked, random }, new Key(7));
    const chosen = Array.from(tokens.keys()).filter((i) => targets[i] !== -100);
    expectRate(chosen.length, n, rate);
    const hidden = chosen.filter((i) => inputIds[i] === mask).length;
    const same = chosen.filter((i) => inputIds[i] === tokens[i]).length;
    // A random token is now and then [MASK], or the one that stood there: one of 1000 each.
    if (random === 0) expect([hidden, same]).toEqual([chosen.length, 0]);
    else {
      expectRate(hidden, chosen.length, masked + random / 1000);
      expectRate(same, chosen.length, 1 - masked - random + random / 1000);
    }
  });

  test('random tokens are uniform over the whole vocabulary', () => {
    const { inputIds, targets } = maskTokens(
      tokens,
      { ...base, vocabSize: 8, rate: 0.5, masked: 0, random: 1 },
      new Key(3),
    );
    const drawn = Array.from(inputIds).filter((_, i) => targets[i] !== -100);
    for (let id = 0; id < 8; id++) expectRate(drawn.filter((x) => x === id).length, drawn.length, 1 / 8);
  });

  test('whole words are chosen at the rate too', () => {
    const row = Array.from(tokens.subarray(0, 2000));
    let chosen = 0;
    for (let i = 0; i < 50; i++)
      chosen += maskTokens(row, words, new Key(i)).targets.filter((x) => x !== -100).length;
    expect(chosen).toBe(50 * 300);
  });
});

test('targets are the tokens that were chosen, and nothing else changes; specials never are', () =>
  fc.assert(
    fc.property(texts(0, 40, 60, 0), seeds, fc.boolean(), (tokens, key, whole) => {
      const { inputIds, targets } = maskTokens(tokens, { ...(whole ? words : base), rate: 0.5 }, key);
      tokens.forEach((token, i) => {
        if (targets[i] === -100) expect(inputIds[i]).toBe(token);
        else {
          expect(targets[i]).toBe(token);
          expect(special).not.toContain(token);
        }
      });
      expect(maskTokens(tokens, { ...(whole ? words : base), rate: 0.5 }, key)).toEqual({
        inputIds,
        targets,
      });
    }),
    { numRuns: runs },
  ));

test('whole words: all of a word or nothing, and never more than asked for', () =>
  fc.assert(
    fc.property(texts(1, 60, 60, 0), seeds, fc.integer({ min: 1, max: 9 }), (tokens, key, most) => {
      const { targets } = maskTokens(tokens, { ...words, rate: 0.3, most }, key);
      const chosen = (i: number): boolean => targets[i] !== -100;
      const open = tokens.filter((token) => !special.includes(token)).length;
      const budget = Math.min(most, Math.max(1, Math.round(open * 0.3)));
      expect(targets.filter((x) => x !== -100).length).toBeLessThanOrEqual(Math.max(budget, 0));
      for (let i = 1; i < tokens.length; i++)
        if (tokens[i]! % 3 === 0 && ![i, i - 1].some((at) => special.includes(tokens[at]!)))
          expect(chosen(i)).toBe(chosen(i - 1));
    }),
    { numRuns: runs },
  ));

test('single tokens: no more than asked for', () => {
  const tokens = Array.from({ length: 200 }, (_, i) => 10 + i);
  const { targets } = maskTokens(tokens, { ...base, rate: 1, most: 20 }, new Key(1));
  expect(targets.filter((x) => x !== -100).length).toBe(20);
});

test('every key chooses anew', () => {
  const tokens = Array.from({ length: 200 }, (_, i) => 10 + i);
  expect(maskTokens(tokens, base, new Key(1))).not.toEqual(maskTokens(tokens, base, new Key(2)));
});

test('a batch is its rows, padded', () => {
  const rows = [
    [10, 11, 12],
    [20, 21, 22, 23, 24],
  ];
  const key = new Key(5);
  const batch = maskedBatch(rows, { ...base, rate: 0.5, pad: 9 }, key);
  const made = rows.map((row, i) => maskTokens(row, { ...base, rate: 0.5 }, key.foldIn(i)));
  expect(rowsOf(batch.inputIds)).toEqual([[...made[0]!.inputIds, 9, 9], [...made[1]!.inputIds]]);
  expect(rowsOf(batch.targets)).toEqual([[...made[0]!.targets, -100, -100], [...made[1]!.targets]]);
  expect(rowsOf(batch.attentionMask)).toEqual([
    [1, 1, 1, 0, 0],
    [1, 1, 1, 1, 1],
  ]);
  expect(batch.count).toBe(made.flatMap((row) => [...row.targets]).filter((x) => x !== -100).length);
});

test.each<[string, () => unknown, RegExp]>([
  ['no list', () => maskTokens('text' as never, base, new Key(0)), /maskTokens: needs a list of token ids/],
  [
    'a fraction',
    () => maskTokens([1.5], base, new Key(0)),
    /a token must be an integer from 0, got the number 1.5 at 0/,
  ],
  ['a negative token', () => maskTokens([7, -1], base, new Key(0)), /got the number -1 at 1/],
  ['rate', () => maskTokens([7], { ...base, rate: 1.1 }, new Key(0)), /rate must lie in \[0, 1\]/],
  ['NaN', () => maskTokens([7], { ...base, masked: Number.NaN }, new Key(0)), /masked must lie in \[0, 1\]/],
  ['random', () => maskTokens([7], { ...base, random: -1 }, new Key(0)), /random must lie in \[0, 1\]/],
  ['sum', () => maskTokens([7], { ...base, random: 0.3 }, new Key(0)), /not be more than 1 together/],
  [
    'vocabSize',
    () => maskTokens([7], { ...base, vocabSize: 0 }, new Key(0)),
    /vocabSize must be an integer ≥ 1/,
  ],
  ['mask', () => maskTokens([7], { ...base, mask: -1 }, new Key(0)), /mask must be a token id/],
  ['most', () => maskTokens([7], { ...base, most: 0 }, new Key(0)), /most must be an integer ≥ 1/],
  ['no rows', () => maskedBatch([], base, new Key(0)), /maskedBatch: needs at least one row/],
  [
    'too long',
    () => maskedBatch([[7, 8]], { ...base, length: 1 }, new Key(0)),
    /2 tokens does not fit into 1/,
  ],
  ['length', () => maskedBatch([[7, 8]], { ...base, length: 1.5 }, new Key(0)), /length must be an integer/],
  ['pad', () => maskedBatch([[7, 8]], { ...base, pad: -100 }, new Key(0)), /pad must be a token id/],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});
