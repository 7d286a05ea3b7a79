/** What is told to be the best of blanks: against all texts, all ways to draw blanks and all orders, counted out. */
import { Key } from '@infinigrad/tensor';
import { blankRow, infillBlanks, randomChain, type BlankRow, type Span } from '@infinigrad/zoo';
import { describe, expect, it } from 'vitest';
import { blankSurprise, type Blanking } from '../blank-law.ts';

const tokens = { mask: 2, start: 3, end: 4 };
const chain = randomChain({ states: 2, sharpness: 1 }, new Key(8));

/** P(length of a span) by its definition, from 1 to `longest`. */
function lengthsOf({ meanLength, longest }: Blanking): number[] {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  const weights = Array.from({ length: longest + 1 }, (_, n) =>
    n === 0 ? 0 : (Math.exp(-meanLength) * meanLength ** n) / factorial(n),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** All ways to draw lengths one by one until there are enough, with how likely each is. */
function* drawn(
  law: readonly number[],
  enough: number,
  before: number[] = [],
): Generator<[number[], number]> {
  if (before.reduce((a, b) => a + b, 0) >= enough) return yield [before, 1];
  for (let n = 1; n < law.length; n++)
    for (const [lengths, p] of drawn(law, enough, [...before, n])) yield [lengths, p * law[n]!];
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((x, i) => permutations(list.filter((_, j) => j !== i)).map((rest) => [x, ...rest]));
}

/** All ways to lay spans of these lengths into a text, with a token between any two. */
function placed(lengths: readonly number[], length: number, from = 0): Span[][] {
  const [first, ...rest] = lengths;
  if (first === undefined) return [[]];
  const found: Span[][] = [];
  for (let at = from; at + first <= length; at++)
    for (const further of placed(rest, length, at + first + 1)) found.push([[at, at + first], ...further]);
  return found;
}

/** P of every row there may be. */
function* rows(blanking: Blanking): Generator<[BlankRow, number]> {
  const { length, rate } = blanking;
  for (let n = 0; n < 2 ** length; n++) {
    const text = Array.from({ length }, (_, t) => (n >> t) & 1);
    const ofText = text.reduce(
      (p, token, t) => p * (t === 0 ? chain.stationary[token]! : chain.transition[text[t - 1]!]![token]!),
      1,
    );
    for (const [lengths, ofLengths] of drawn(lengthsOf(blanking), Math.ceil(length * rate))) {
      const shuffles = permutations(lengths);
      for (const shuffled of shuffles) {
        const places = placed(shuffled, length);
        const orders = permutations(shuffled.map((_, i) => i));
        for (const spans of places)
          for (const order of orders)
            yield [
              infillBlanks(text, spans, order, tokens),
              (ofText * ofLengths) / shuffles.length / places.length / orders.length,
            ];
      }
    }
  }
}

/** What is seen when the token at t is told: part A, and part B up to t with its positions. */
const seenOf = ({ inputIds, positions, blockPositions, sep }: BlankRow, t: number): string =>
  [sep, inputIds.slice(0, t + 1), positions.slice(0, t + 1), blockPositions.slice(0, t + 1)].join(';');

/** The length of the text, where the blank lies, and what stood before it. */
function leftOf({ inputIds, targets, positions, blockPositions, sep }: BlankRow, t: number): string {
  const told = blockPositions[t]! - 1;
  const ended = new Map<number, number>();
  for (let i = sep; i < t; i++)
    if (targets[i] === tokens.end) ended.set(positions[i]!, blockPositions[i]! - 1);
  const masks = Array.from(inputIds.subarray(0, sep)).flatMap((id, i) => (id === tokens.mask ? [i] : []));
  return [
    sep,
    masks.map((at) => (at === positions[t] ? 'own' : (ended.get(at) ?? 'open'))),
    told,
    told > 0 ? inputIds[t] : (inputIds[positions[t]! - 1] ?? 'none'),
  ].join(';');
}

describe('blankSurprise', () => {
  const settings: readonly (readonly [string, Blanking])[] = [
    ['one or two blanks', { length: 6, rate: 0.3, meanLength: 1.5, longest: 3 }],
    ['two or three', { length: 6, rate: 0.5, meanLength: 1, longest: 2 }],
    ['one blank alone', { length: 5, rate: 0.2, meanLength: 2, longest: 4 }],
  ];
  it.each(settings)('is what counting gives: %s', (_, blanking) => {
    const laws = { bothSides: new Map<string, number[]>(), leftSide: new Map<string, number[]>() };
    const all: BlankRow[] = [];
    let whole = 0;
    for (const [row, p] of rows(blanking)) {
      all.push(row);
      whole += p;
      for (let t = row.sep; t < row.inputIds.length; t++)
        for (const [side, seen] of [
          ['bothSides', seenOf(row, t)],
          ['leftSide', leftOf(row, t)],
        ] as const) {
          const law = laws[side].get(seen) ?? new Array<number>(5).fill(0);
          laws[side].set(seen, law);
          law[row.targets[t]!]! += p;
        }
    }
    expect(whole).toBeCloseTo(1, 10);
    const step = Math.max(1, Math.floor(all.length / 300));
    for (let i = 0; i < all.length; i += step) {
      const row = all[i]!;
      const told = blankSurprise(chain, row, tokens, blanking);
      for (let t = 0; t < row.inputIds.length; t++)
        for (const [side, seen] of [
          ['bothSides', seenOf(row, t)],
          ['leftSide', leftOf(row, t)],
        ] as const) {
          if (t < row.sep) {
            expect(told[side][t]).toBe(0);
            continue;
          }
          const law = laws[side].get(seen)!;
          const sum = law.reduce((a, b) => a + b, 0);
          expect(told[side][t]).toBeCloseTo(-Math.log(law[row.targets[t]!]! / sum), 9);
        }
    }
  });

  it('counts rows as they are drawn', () => {
    const blanking = settings[1]![1];
    const { length, ...options } = blanking;
    const laws = new Map<string, number>();
    for (const [row, p] of rows(blanking)) {
      const name = [row.inputIds, row.targets, row.positions].join(';');
      laws.set(name, (laws.get(name) ?? 0) + p);
    }
    // The lengths of the blanks in their order are likely as counted, and nothing is drawn that is not there.
    const shape = (row: BlankRow): string =>
      Array.from(row.blockPositions.subarray(row.sep))
        .filter((n, i, all) => all[i + 1] !== n + 1)
        .join();
    const expected = new Map<string, number>();
    for (const [row, p] of rows(blanking)) expected.set(shape(row), (expected.get(shape(row)) ?? 0) + p);
    const count = 4000;
    const found = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const own = new Key(3).foldIn(i);
      const row = blankRow(chain.sample(length, own.foldIn(0)), { ...options, ...tokens }, own.foldIn(1));
      expect(laws.has([row.inputIds, row.targets, row.positions].join(';'))).toBe(true);
      found.set(shape(row), (found.get(shape(row)) ?? 0) + 1);
    }
    for (const [name, p] of expected) {
      const spread = Math.sqrt((p * (1 - p)) / count);
      expect(Math.abs((found.get(name) ?? 0) / count - p)).toBeLessThan(4.5 * spread);
    }
  });

  it('refuses texts in which the last span might be cut', () => {
    const row = blankRow(chain.sample(6, new Key(0)), { ...tokens, rate: 0.5, longest: 3 }, new Key(1));
    const blanking = { length: 6, rate: 0.5, meanLength: 3, longest: 3 };
    expect(() => blankSurprise(chain, row, tokens, blanking)).toThrow('might be cut');
  });
});
