/** Sources and their floors, against brute force and against what is drawn. */
import {
  causalBatch,
  copyFloor,
  copyRow,
  entropyOf,
  MarkovChain,
  periodicFloor,
  periodicText,
  randomChain,
  type CopyOptions,
  type PeriodicOptions,
} from '@infinigrad/zoo';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectRate, rowsOf, runs, seeds } from './support.ts';

const chains = fc
  .record({
    states: fc.integer({ min: 2, max: 4 }),
    order: fc.integer({ min: 1, max: 2 }),
    sharpness: fc.integer({ min: 0, max: 2 }),
    key: seeds,
  })
  .map(({ key, ...options }) => randomChain(options, key));

/** P of one text, by the chain rule; the law of its first tokens is that of a walk of 400 steps from one context. */
function probability(chain: MarkovChain, text: readonly number[]): number {
  const { states, order, transition } = chain;
  const number = (window: readonly number[]): number => window.reduce((n, token) => n * states + token, 0);
  let context = number(text.slice(0, order));
  let p = chain.stationary[context]!;
  for (const token of text.slice(order)) {
    p *= transition[context]![token]!;
    context = (context * states + token) % transition.length;
  }
  return p;
}

/** All texts of so many tokens. */
const all = (states: number, length: number): number[][] =>
  length === 0
    ? [[]]
    : all(states, length - 1).flatMap((text) => Array.from({ length: states }, (_, y) => [...text, y]));

/** H(what `hidden` tells | what `known` tells) over all texts of a length. */
function conditional(
  chain: MarkovChain,
  length: number,
  known: (text: readonly number[]) => unknown,
  hidden: (text: readonly number[]) => unknown,
): number {
  const [joint, given] = [new Map<string, number>(), new Map<string, number>()];
  for (const text of all(chain.states, length)) {
    const p = probability(chain, text);
    const [k, h] = [JSON.stringify(known(text)), JSON.stringify([known(text), hidden(text)])];
    joint.set(h, (joint.get(h) ?? 0) + p);
    given.set(k, (given.get(k) ?? 0) + p);
  }
  let sum = 0;
  for (const p of joint.values()) if (p > 0) sum -= p * Math.log(p);
  for (const p of given.values()) if (p > 0) sum += p * Math.log(p);
  return sum;
}

describe('Markov chains', () => {
  test('the stationary law is one that a step leaves as it is', () =>
    fc.assert(
      fc.property(chains, (chain) => {
        const { states, stationary, transition } = chain;
        const next = new Float64Array(stationary.length);
        stationary.forEach((p, context) =>
          transition[context]!.forEach((q, y) => (next[(context * states + y) % next.length]! += p * q)),
        );
        next.forEach((p, i) => expect(p).toBeCloseTo(stationary[i]!, 12));
        expect(stationary.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      }),
      { numRuns: runs },
    ));

  test('floors are conditional entropies over all texts', () =>
    fc.assert(
      fc.property(chains, (chain) => {
        const { order } = chain;
        const last = (text: readonly number[]): number => text.at(-1)!;
        expect(chain.unigram).toBeCloseTo(
          conditional(chain, order, () => 0, last),
          10,
        );
        expect(chain.bigram).toBeCloseTo(
          conditional(chain, order + 1, (text) => text.at(-2), last),
          10,
        );
        expect(chain.rate).toBeCloseTo(
          conditional(chain, order + 1, (text) => text.slice(0, -1), last),
          10,
        );
        // Nothing changes where more is known than matters.
        expect(chain.rate).toBeCloseTo(
          conditional(chain, order + 2, (text) => text.slice(0, -1), last),
          10,
        );
        const middle = order;
        expect(chain.twoSided).toBeCloseTo(
          conditional(
            chain,
            2 * order + 1,
            (text) => text.filter((_, i) => i !== middle),
            (text) => text[middle],
          ),
          10,
        );
        const T = order + 2;
        const rows = Array.from({ length: T - 1 }, (_, t) =>
          conditional(
            chain,
            T,
            (text) => text.slice(0, t + 1),
            (text) => text[t + 1],
          ),
        );
        expect(chain.rowFloor(T)).toBeCloseTo(rows.reduce((a, b) => a + b, 0) / (T - 1), 10);
        // More knowledge, less entropy.
        expect(chain.unigram).toBeGreaterThan(chain.bigram - 1e-12);
        expect(chain.bigram).toBeGreaterThan(chain.rate - 1e-12);
        expect(chain.rate).toBeGreaterThan(chain.twoSided - 1e-12);
      }),
      { numRuns: 40 },
    ));

  test('the floor of masked tokens, over all masks of a text', () => {
    const chain = randomChain({ states: 3 }, new Key(4));
    const [rate, T] = [0.15, 9];
    const middle = 4;
    // Far neighbours tell next to nothing, so that the middle of nine tokens is in a long text.
    let floor = 0;
    for (let i = 1; i <= middle; i++)
      for (let j = 1; j <= middle; j++) {
        const p = rate ** (i + j - 2) * (1 - rate) ** 2;
        const known = (text: readonly number[]): unknown => [text[middle - i], text[middle + j]];
        floor += p * conditional(chain, T, known, (text) => text[middle]);
      }
    expect(Math.abs(chain.maskedFloor(rate) - floor)).toBeLessThan(2 * rate ** middle * Math.log(3));
    expect(chain.maskedFloor(rate)).toBeGreaterThan(floor);
    expect(chain.maskedFloor(0)).toBeCloseTo(chain.twoSided, 12);
    expect(chain.maskedFloor(0.9)).toBeGreaterThan(chain.maskedFloor(0.5));
    expect(chain.maskedFloor(0.9)).toBeLessThan(chain.unigram);
  });

  test('what is drawn follows the chain at 100,000 tokens', () => {
    const chain = randomChain({ states: 4, order: 2 }, new Key(8));
    const text = chain.sample(100_000, new Key(2));
    const seen = new Map<number, number[]>();
    for (let t = 2; t < text.length; t++) {
      const context = text[t - 2]! * 4 + text[t - 1]!;
      const counts = seen.get(context) ?? [0, 0, 0, 0];
      counts[text[t]!]!++;
      seen.set(context, counts);
    }
    for (const [context, counts] of seen) {
      const total = counts.reduce((a, b) => a + b, 0);
      // 64 rates at once: four deviations.
      counts.forEach((count, y) => {
        const p = chain.transition[context]![y]!;
        expect(Math.abs(count - total * p)).toBeLessThan(4 * Math.sqrt(total * p * (1 - p)) + 1e-9);
      });
    }
    const surprises = chain.surprises(text);
    const mean = surprises.reduce((a, b) => a + b, 0) / surprises.length;
    const variance = surprises.reduce((sum, x) => sum + (x - mean) ** 2, 0) / surprises.length;
    expect(Math.abs(mean - chain.rate)).toBeLessThan(4 * Math.sqrt(variance / surprises.length));
  });

  test('texts begin anywhere: their first tokens follow the stationary law', () => {
    const chain = randomChain({ states: 3, order: 2, sharpness: 2 }, new Key(1));
    const rows = chain.samples(5000, 2, new Key(3));
    chain.stationary.forEach((p, context) =>
      expectRate(rows.filter(([a, b]) => context === a! * 3 + b!).length, rows.length, p),
    );
    expect(chain.samples(5000, 2, new Key(3))).toEqual(rows);
  });

  test('surprises are those of the chain rule', () =>
    fc.assert(
      fc.property(chains, seeds, (chain, key) => {
        const text = Array.from(chain.sample(6, key));
        const sum = chain.surprises(text).reduce((a, b) => a + b, 0);
        const first = chain.stationary[text.slice(0, chain.order).reduce((n, x) => n * chain.states + x, 0)]!;
        expect(sum).toBeCloseTo(-Math.log(probability(chain, text) / first), 9);
      }),
      { numRuns: runs },
    ));

  test('sharper chains have lower floors', () => {
    const rates = [0, 1, 2, 4].map((sharpness) => randomChain({ states: 16, sharpness }, new Key(5)).rate);
    expect(rates[0]).toBeCloseTo(Math.log(16), 12);
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
  });
});

describe('periodic text', () => {
  const options: PeriodicOptions = { symbols: 5, periods: [2, 3, 5], first: 7 };
  test('goes round, from any place', () =>
    fc.assert(
      fc.property(seeds, fc.integer({ min: 6, max: 20 }), (key, length) => {
        const text = periodicText(length, options, key);
        const fits = options.periods!.filter((p) =>
          text.every((x, i) => x - 7 < p && (i === 0 || x - 7 === (text[i - 1]! - 7 + 1) % p)),
        );
        expect(fits).toHaveLength(1);
        expect(periodicText(length, options, key)).toEqual(text);
      }),
      { numRuns: runs },
    ));

  test('the floor, by the chain rule token by token', () => {
    const length = 7;
    const texts = options.periods!.flatMap((period) =>
      Array.from({ length: period }, (_, offset) => ({
        p: 1 / (3 * period),
        text: Array.from({ length }, (_, t) => 7 + ((offset + t) % period)),
      })),
    );
    let nats = 0;
    for (const { p, text } of texts)
      for (let t = 1; t < length; t++) {
        const same = (n: number): number =>
          texts.reduce(
            (sum, other) => sum + (other.text.slice(0, n).join() === text.slice(0, n).join() ? other.p : 0),
            0,
          );
        nats -= p * Math.log(same(t + 1) / same(t));
      }
    expect(periodicFloor(length, options)).toBeCloseTo(nats / (length - 1), 12);
    // One period: who knows the first token knows all.
    expect(periodicFloor(9, { symbols: 4 })).toBeCloseTo(0, 12);
  });
});

describe('copy tasks', () => {
  const options: CopyOptions = { symbols: 3, length: [1, 3] };
  test.each([false, true])('the second half is the first, reversed: %s', (reverse) => {
    for (let i = 0; i < 200; i++) {
      const row = copyRow({ ...options, reverse }, new Key(i));
      const used = row.documents.filter((x) => x === 1).length;
      const text = Array.from(row.tokens.slice(0, used));
      const size = (used - 2) / 2;
      const given = text.slice(0, size);
      expect(text).toEqual([...given, 0, ...(reverse ? given.toReversed() : given), 1]);
      const told = Array.from({ length: 8 }, (_, t) => (t >= size && t + 1 < used ? text[t + 1]! : -100));
      expect(Array.from(row.targets)).toEqual(told);
      expect(row.count).toBe(size + 1);
    }
    expect(copyFloor(options)).toBe(0);
  });

  test('rows make a batch', () => {
    const rows = [0, 1, 2].map((i) => copyRow(options, new Key(i)));
    const batch = causalBatch(rows);
    expect(rowsOf(batch.inputIds)).toEqual(rows.map((row) => Array.from(row.tokens)));
    expect(batch.count).toBe(rows.reduce((sum, row) => sum + row.count, 0));
  });

  test('the floor of the whole text, by the chain rule token by token', () => {
    const rows = [1, 2, 3].flatMap((size) =>
      all(3, size).map((given) => ({ p: 1 / (3 * 3 ** size), text: [...given, -1, ...given, -2] })),
    );
    const before = new Map<string, number>();
    for (const { p, text } of rows)
      for (let t = 1; t <= text.length; t++) {
        const name = text.slice(0, t).join();
        before.set(name, (before.get(name) ?? 0) + p);
      }
    let [nats, targets] = [0, 0];
    for (const { p, text } of rows)
      for (let t = 1; t < text.length; t++) {
        nats -= p * Math.log(before.get(text.slice(0, t + 1).join())! / before.get(text.slice(0, t).join())!);
        targets += p;
      }
    expect(copyFloor({ ...options, answerOnly: false })).toBeCloseTo(nats / targets, 12);
    const row = copyRow({ ...options, answerOnly: false }, new Key(3));
    expect(row.count).toBe(row.documents.filter((x) => x === 1).length - 1);
  });
});

test('entropy: nothing for what is sure, log n for n as likely', () => {
  expect(entropyOf([1, 0])).toBe(0);
  expect(entropyOf([0.25, 0.25, 0.25, 0.25])).toBeCloseTo(Math.log(4), 15);
});

const chain = randomChain({ states: 2 }, new Key(0));
test.each<[string, () => unknown, RegExp]>([
  ['no rows', () => new MarkovChain([]), /needs states\^order rows/],
  [
    'three rows of two',
    () =>
      new MarkovChain([
        [1, 0],
        [0, 1],
        [1, 0],
      ]),
    /got 3 rows of 2/,
  ],
  ['one row', () => new MarkovChain([[0.5, 0.5]]), /got 1 rows of 2/],
  [
    'a sum that is not 1',
    () =>
      new MarkovChain([
        [0.5, 0.6],
        [0.5, 0.5],
      ]),
    /row 0 must be 2 probabilities/,
  ],
  [
    'negative',
    () =>
      new MarkovChain([
        [1.5, -0.5],
        [0.5, 0.5],
      ]),
    /row 0 must be 2 probabilities/,
  ],
  [
    'NaN',
    () =>
      new MarkovChain([
        [Number.NaN, 1],
        [0.5, 0.5],
      ]),
    /row 0 must be 2 probabilities/,
  ],
  ['a short row', () => new MarkovChain([[0.5, 0.5], [1]]), /row 1 must be 2 probabilities, it has 1/],
  [
    'a rhythm',
    () =>
      new MarkovChain([
        [0, 1, 0],
        [0.5, 0, 0.5],
        [0, 1, 0],
      ]),
    /does not settle/,
  ],
  ['states', () => randomChain({ states: 1 }, new Key(0)), /states must be an integer ≥ 2/],
  ['order', () => randomChain({ states: 2, order: 0 }, new Key(0)), /order must be an integer ≥ 1/],
  ['too many contexts', () => randomChain({ states: 1000, order: 3 }, new Key(0)), /must be ≤ 16777216/],
  ['sharpness', () => randomChain({ states: 2, sharpness: 0.5 }, new Key(0)), /sharpness must be an integer/],
  ['too many windows', () => chain.windows(25), /2\^25 windows are more than/],
  ['a row of one', () => chain.rowFloor(1), /length must be an integer ≥ 2/],
  [
    'order 2',
    () => randomChain({ states: 2, order: 2 }, new Key(0)).maskedFloor(0.1),
    /needs a chain of order 1/,
  ],
  ['a mask rate', () => chain.maskedFloor(1), /rate must lie in \[0, 0.9\]/],
  ['a length', () => chain.sample(-1, new Key(0)), /length must be an integer ≥ 0/],
  ['a count', () => chain.samples(0.5, 1, new Key(0)), /count must be an integer ≥ 0/],
  ['no state', () => chain.surprises([0, 2]), /token 2 is no state: there are 2/],
  ['no period', () => periodicText(5, { symbols: 3, periods: [] }, new Key(0)), /at least one period/],
  [
    'a period too long',
    () => periodicText(5, { symbols: 3, periods: [4] }, new Key(0)),
    /integer from 1 to 3, got 4/,
  ],
  ['a floor of one token', () => periodicFloor(1, { symbols: 3 }), /length must be an integer ≥ 2/],
  [
    'a mark among symbols',
    () => copyRow({ symbols: 3, length: 2, mark: 3 }, new Key(0)),
    /mark 3 is one of the symbols/,
  ],
  [
    'mark and end',
    () => copyRow({ symbols: 3, length: 2, mark: 1 }, new Key(0)),
    /mark and end are the same/,
  ],
  ['lengths', () => copyFloor({ symbols: 3, length: [3, 2] }), /length must be an integer ≥ 3/],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});
