/** Processors keep exactly the tokens that they should, by definitions written out. */
import { fromData, Key, ValueError } from '@infinigrad/tensor';
import {
  chain,
  minNewTokens,
  minP,
  noRepeatNgrams,
  repetitionPenalty,
  suppressTokens,
  temperature,
  topK,
  topP,
  typicalP,
  type LogitsProcessor,
} from '@infinigrad/zoo';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { softmax } from './support.ts';

/** The tokens that are kept, by what is known of a row. */
type Naive = (logits: readonly number[], value: number, sequence: readonly number[]) => ReadonlySet<number>;

const byLikelihood = (logits: readonly number[]): number[] =>
  logits.map((_, i) => i).toSorted((a, b) => logits[b]! - logits[a]! || a - b);

const where = (logits: readonly number[], test_: (token: number) => boolean): ReadonlySet<number> =>
  new Set(logits.map((_, i) => i).filter(test_));

/** The first of an order until their probabilities reach p. */
function untilMass(order: readonly number[], p: readonly number[], mass: number): number[] {
  const kept: number[] = [];
  let sum = 0;
  for (const token of order) {
    if (sum >= mass) break;
    kept.push(token);
    sum += p[token]!;
  }
  return kept;
}

const table: Readonly<
  Record<string, { make: (value: number) => LogitsProcessor; naive: Naive; values: fc.Arbitrary<number> }>
> = {
  topK: {
    make: topK,
    values: fc.integer({ min: 1, max: 20 }),
    naive: (logits, k) => {
      const least = logits.toSorted((a, b) => b - a)[Math.min(k, logits.length) - 1]!;
      return where(logits, (i) => logits[i]! >= least);
    },
  },
  topP: {
    make: topP,
    // Between sums of multiples of what the probabilities are made of, so that rounding decides nothing.
    values: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    naive: (logits, p) => new Set(untilMass(byLikelihood(logits), softmax(logits), p)),
  },
  minP: {
    make: minP,
    values: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
    naive: (logits, p) => {
      const probabilities = softmax(logits);
      return where(logits, (i) => probabilities[i]! >= p * Math.max(...probabilities));
    },
  },
  typicalP: {
    make: typicalP,
    values: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    naive: (logits, mass) => {
      const p = softmax(logits);
      const entropy = -p.reduce((sum, x) => sum + (x === 0 ? 0 : x * Math.log(x)), 0);
      const distance = p.map((x) => Math.abs(-Math.log(x) - entropy));
      const order = p.map((_, i) => i).toSorted((a, b) => distance[a]! - distance[b]! || a - b);
      return new Set(untilMass(order, p, mass));
    },
  },
  noRepeatNgrams: {
    make: noRepeatNgrams,
    values: fc.integer({ min: 1, max: 4 }),
    naive: (logits, n, sequence) => {
      const there = new Set(sequence.map((_, i) => sequence.slice(i, i + n).join()));
      return where(logits, (i) => {
        const last = n === 1 ? [] : sequence.slice(1 - n);
        return !there.has([...last, i].join()) || last.length < n - 1;
      });
    },
  },
};

describe.each(Object.entries(table))('%s', (_, { make, naive, values }) => {
  test('keeps what its definition keeps, and changes nothing of it', () => {
    const cases = fc.record({
      seed: fc.nat(1e6),
      rows: fc.integer({ min: 1, max: 3 }),
      vocabulary: fc.integer({ min: 1, max: 12 }),
      value: values,
      excluded: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ seed, rows, vocabulary, value, excluded }) => {
        const [a, b] = new Key(seed).split(2) as [Key, Key];
        // f64: what is kept is decided by the definition, not by rounding.
        const data = Float64Array.from(a.normal([rows, vocabulary], { std: 2, dtype: 'f64' }).dataSync());
        if (excluded && vocabulary > 2)
          for (let row = 0; row < rows; row++) data[row * vocabulary] = -Infinity;
        const tokens = Array.from(b.randint(0, 3, [rows, 9]).dataSync());
        const sequences = Array.from({ length: rows }, (_, row) => tokens.slice(row * 9, row * 9 + 9));
        const logits = fromData(data, [rows, vocabulary], { dtype: 'f64' });
        const result = make(value)(logits, { sequences, newTokens: 3 }).dataSync();
        for (let row = 0; row < rows; row++) {
          const before = Array.from(data.subarray(row * vocabulary, (row + 1) * vocabulary));
          const kept = naive(before, value, sequences[row]!);
          before.forEach((x, i) => expect(result[row * vocabulary + i]).toBe(kept.has(i) ? x : -Infinity));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('among a great many tokens', () => {
  const vocabulary = 6000;
  const nothing = { sequences: [[0]], newTokens: 0 };
  /** Logits of many kinds: spread by much or by little, few values that many share, one far above or below all others. */
  const kinds: Readonly<Record<string, (x: number, i: number) => number>> = {
    'like a language model': (x) => 3 * x,
    'almost equal': (x) => 5 + 1e-5 * x,
    'very unequal': (x) => 300 * x,
    'equal in groups': (x) => Math.round(2 * x),
    'all equal': () => 1,
    'one far below': (x, i) => (i === 7 ? -3e38 : x),
    'one far above': (x, i) => (i === 5999 ? 40 : 2 * x),
    'most excluded': (x, i) => (i % 50 ? -Infinity : 2 * x),
  };

  const cases = Object.keys(kinds).flatMap((kind) =>
    [0.02, 0.5, 0.9, 0.999].map((mass) => [kind, mass] as const),
  );
  test.each(cases)('top-p and typical-p end where the whole order, sorted, does: %s, %f', (kind, mass) => {
    const noise = new Key(3).normal([vocabulary], { dtype: 'f64' }).dataSync();
    const row = Array.from(noise, (x, i) => kinds[kind]!(x, i));
    const kept = (processor: LogitsProcessor): ReadonlySet<number> => {
      const x = fromData(Float64Array.from(row), [1, vocabulary], { dtype: 'f64' });
      const result = processor(x, nothing).dataSync();
      return where(row, (i) => result[i] !== -Infinity);
    };
    const highest = row.reduce((most, x) => Math.max(most, x), -Infinity);
    const e = row.map((x) => Math.exp(x - highest));
    const total = e.reduce((sum, x) => sum + x, 0);
    const p = e.map((x) => x / total);
    expect(kept(topP(mass))).toEqual(new Set(untilMass(byLikelihood(row), p, mass)));
    // Rounding may part, or join, tokens whose surprise is as far from the entropy.
    const logs = row.map((x) => x - highest - Math.log(total));
    const entropy = -logs.reduce((sum, x, i) => sum + (p[i] === 0 ? 0 : p[i]! * x), 0);
    const distance = logs.map((x) => Math.abs(-x - entropy));
    const order = distance.map((_, i) => i).toSorted((a, b) => distance[a]! - distance[b]! || a - b);
    const last = distance[untilMass(order, p, mass).at(-1)!]!;
    const typical = kept(typicalP(mass));
    distance.forEach((d, i) => {
      if (p[i]! > 0 && Math.abs(d - last) > 1e-9) expect([i, typical.has(i)]).toEqual([i, d < last]);
    });
  });

  test('in f32 the sums are right to what it can tell', () => {
    for (const [seed, std] of [
      [1, 0.01],
      [2, 1],
      [3, 4],
      [4, 60],
    ] as const)
      for (const p of [0.1, 0.7, 0.95]) {
        const x = new Key(seed).normal([1, vocabulary], { std });
        const row = Array.from(x.dataSync());
        const result = topP(p)(x, nothing).dataSync();
        const probabilities = softmax(row);
        const order = byLikelihood(row);
        const count = order.findIndex((token) => result[token] === -Infinity);
        expect(order.every((token, i) => (result[token] === -Infinity) === i >= count)).toBe(true);
        const sum = (n: number): number =>
          order.slice(0, n).reduce((s, token) => s + probabilities[token]!, 0);
        expect(sum(count - 1)).toBeLessThan(p + 1e-6);
        expect(sum(count)).toBeGreaterThan(p - 1e-6);
      }
  });
});

const logits = fromData(Float32Array.from([2, -2, 1, 0, 3, -1]), [2, 3]);
const context = {
  sequences: [
    [0, 1, 1],
    [2, 7],
  ],
  newTokens: 1,
};
const numbers = (processor: LogitsProcessor): number[] => Array.from(processor(logits, context).dataSync());

test('repetition makes likely tokens less likely, and unlikely ones too, once', () => {
  expect(numbers(repetitionPenalty(2))).toEqual([1, -4, 1, 0, 3, -2]);
  const outside = { ...context, sequences: [[7, 8], [2]] };
  expect(Array.from(repetitionPenalty(2)(logits, outside).dataSync())).toEqual([2, -2, 1, 0, 3, -2]);
  expect(repetitionPenalty(2)(logits, { ...outside, sequences: [[7], [8]] })).toBe(logits);
});

test('of equally likely tokens top-p keeps the first, and no more than it takes', () => {
  const equal = fromData(new Float32Array(4), [1, 4]);
  const kept = (p: number): number[] => Array.from(topP(p)(equal, context).dataSync());
  expect(kept(0.5)).toEqual([0, 0, -Infinity, -Infinity]);
  expect(kept(0.51)).toEqual([0, 0, 0, -Infinity]);
  expect(kept(1)).toEqual([0, 0, 0, 0]);
});

test('temperatures divide', () => {
  expect(numbers(temperature(0.5))).toEqual([4, -4, 2, 0, 6, -2]);
});

test('tokens are suppressed always, or until there are enough others', () => {
  expect(numbers(suppressTokens([1, 9]))).toEqual([2, -Infinity, 1, 0, -Infinity, -1]);
  expect(numbers(minNewTokens(2, [0]))).toEqual([-Infinity, -2, 1, -Infinity, 3, -1]);
  expect(numbers(minNewTokens(1, [0]))).toEqual([2, -2, 1, 0, 3, -1]);
});

test('a chain is one after the other', () => {
  expect(numbers(chain([temperature(0.5), suppressTokens([0]), topK(1)]))).toEqual([
    -Infinity,
    -Infinity,
    2,
    -Infinity,
    6,
    -Infinity,
  ]);
  expect(numbers(chain([]))).toEqual([2, -2, 1, 0, 3, -1]);
});

test.each([
  ['temperature must be a number > 0', () => temperature(0)],
  ['temperature must be a number > 0', () => temperature(Infinity)],
  ['topK must be an integer ≥ 1', () => topK(0)],
  ['topK must be an integer ≥ 1', () => topK(1.5)],
  ['topP must lie in (0, 1]', () => topP(0)],
  ['topP must lie in (0, 1]', () => topP(NaN)],
  ['minP must lie in (0, 1]', () => minP(1.1)],
  ['typicalP must lie in (0, 1]', () => typicalP(-1)],
  ['repetitionPenalty must be a number > 0', () => repetitionPenalty(-1)],
  ['noRepeatNgramSize must be an integer ≥ 1', () => noRepeatNgrams(0)],
  ['minNewTokens must be an integer ≥ 0', () => minNewTokens(-1, [])],
  ['minNewTokens: tokens are integers ≥ 0, got -3', () => minNewTokens(1, [-3])],
  ['suppressTokens: tokens are integers ≥ 0, got 0.5', () => suppressTokens([0.5])],
])('%s', (message, make) => {
  expect(make).toThrow(ValueError);
  expect(make).toThrow(message);
});
