/** The best that can be told of blanks of a Markov chain: from both sides of a blank, and from what stands before it alone. */
import { ValueError } from '@infinigrad/tensor';
import type { BlankRow, MarkovChain } from '@infinigrad/zoo';

/** How `drawBlanks` draws spans, and of what texts. */
export interface Blanking {
  /** Tokens of a text. */
  readonly length: number;
  readonly rate: number;
  readonly meanLength: number;
  readonly longest: number;
}

export interface BlankSurprise {
  /** -log P(target | part A, the blanks before, what of this one came before), for each token of the row; 0 in part A. */
  readonly bothSides: Float64Array;
  /** The same of a predictor that sees how long the text is, and of the text only what stands before a blank. */
  readonly leftSide: Float64Array;
}

/** What is known of a blank: what stands beside it, and what was told of it. */
interface Blank {
  /** Undefined at the beginning of the text. */
  readonly left: number | undefined;
  /** P(what stands on its right | a token of the blank, after which so many more stand in it). */
  readonly rests: readonly Float64Array[];
  /** P(what stands on its right | on its left), for every length. */
  readonly inside: readonly number[];
  /** Its length once it has ended; null before. */
  length: number | null;
}

/** P(1), …, P(longest) of a Poisson law without all else. Lengths are drawn by it until there are enough. */
function lengthLaw({ meanLength, longest }: Blanking): readonly number[] {
  const weights = [0];
  for (let k = 1, weight = 1; k <= longest; k++) weights.push((weight *= meanLength / k));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * The law of a row of `blankRow` with `kind: 'spans'`: nobody is told how long a blank is, but how many tokens all of them hold is known from what
 * is left of the text. Where blanks lie does not depend on their lengths.
 * @param chain of order 1
 */
export function blankSurprise(
  chain: MarkovChain,
  { inputIds, targets, positions, blockPositions, sep }: BlankRow,
  { mask, end }: { readonly mask: number; readonly end: number },
  blanking: Blanking,
): BlankSurprise {
  const { length, rate, longest } = blanking;
  const enough = Math.ceil(length * rate);
  if (length - 2 * (enough - 1) < longest)
    throw new ValueError('blankSurprise', 'the last span of a text might be cut to fit in');
  const law = lengthLaw(blanking);
  const blanks = new Map<number, Blank>();
  for (let at = 0; at < sep; at++)
    if (inputIds[at] === mask) {
      const left = at > 0 ? inputIds[at - 1] : undefined;
      const rests = restsOf(chain, at + 1 < sep ? inputIds[at + 1] : undefined, longest);
      blanks.set(at, { left, rests, inside: insides(chain, left, rests), length: null });
    }
  const unseen = restsOf(chain, undefined, longest);
  const anyLength = law.map((_, n) => n).slice(1);
  const missing = length - (sep - blanks.size);
  const out = {
    bothSides: new Float64Array(inputIds.length),
    leftSide: new Float64Array(inputIds.length),
  };
  for (let t = sep; t < inputIds.length; t++) {
    const place = positions[t]!;
    const blank = blanks.get(place)!;
    const told = blockPositions[t]! - 1;
    const before = told > 0 ? inputIds[t] : blank.left;
    const target = targets[t]!;
    for (const side of ['bothSides', 'leftSide'] as const) {
      const sees = side === 'bothSides';
      const open = (one: Blank): Open => ({
        lengths: one.length === null ? anyLength : [one.length],
        weights: one.length === null && sees && one !== blank ? one.inside : null,
      });
      const others = [...blanks].flatMap(([at, one]) => (at === place ? [] : [open(one)]));
      const ofLength = ownLengths(open(blank), others, missing, law, enough);
      const scores = nextScores(chain, before, sees ? blank.rests : unseen, told, ofLength);
      const sum = scores.tokens.reduce((a, b) => a + b, scores.end);
      out[side][t] = -Math.log((target === end ? scores.end : scores.tokens[target]!) / sum);
    }
    if (target === end) blank.length = told;
  }
  return out;
}

/** @param right what stands there; undefined where that is not seen, or nothing stands there */
function restsOf({ transition }: MarkovChain, right: number | undefined, longest: number): Float64Array[] {
  const rests = [Float64Array.from(transition, (row) => (right === undefined ? 1 : row[right]!))];
  while (rests.length < longest) {
    const further = rests.at(-1)!;
    rests.push(Float64Array.from(transition, (row) => row.reduce((sum, p, to) => sum + p * further[to]!, 0)));
  }
  return rests;
}

function insides(
  { transition, stationary }: MarkovChain,
  left: number | undefined,
  rests: readonly Float64Array[],
): number[] {
  const step = left === undefined ? stationary : transition[left]!;
  return [0, ...rests.map((rest) => step.reduce((sum, p, x) => sum + p * rest[x]!, 0))];
}

/** What is known of the length of a blank: which it may have, and what speaks for each besides the law of lengths. */
interface Open {
  readonly lengths: readonly number[];
  readonly weights: readonly number[] | null;
}

/**
 * Up to a factor, how likely one's own blank has each length, over all lengths of the others that are `missing` together. Lengths are drawn until
 * there are `enough` and then shuffled: one without which there are too few was the last, and any such one may have been it.
 */
function ownLengths(
  own: Open,
  others: readonly Open[],
  missing: number,
  law: readonly number[],
  enough: number,
): Map<number, number> {
  const none = (): Float64Array => new Float64Array(missing + 1);
  // By their sum: the others without the last one, and with it.
  let [without, withLast] = [none(), none()];
  without[0] = 1;
  const mayBeLast = (n: number): boolean => missing - n < enough;
  for (const { lengths, weights } of others) {
    const [nextWithout, nextWithLast] = [none(), none()];
    for (const n of lengths) {
      const p = law[n]! * (weights?.[n] ?? 1);
      for (let sum = 0; sum + n <= missing; sum++) {
        nextWithout[sum + n]! += p * without[sum]!;
        nextWithLast[sum + n]! += p * (withLast[sum]! + (mayBeLast(n) ? without[sum]! : 0));
      }
    }
    [without, withLast] = [nextWithout, nextWithLast];
  }
  const found = new Map<number, number>();
  for (const n of own.lengths) {
    if (n > missing) continue;
    const rest = missing - n;
    found.set(n, law[n]! * (withLast[rest]! + (mayBeLast(n) ? without[rest]! : 0)));
  }
  return found;
}

/** Up to a factor, how likely each token comes next, or the end. */
function nextScores(
  { transition, stationary, states }: MarkovChain,
  before: number | undefined,
  rests: readonly Float64Array[],
  told: number,
  ofLength: ReadonlyMap<number, number>,
): { readonly tokens: Float64Array; readonly end: number } {
  const step = before === undefined ? stationary : transition[before]!;
  const tokens = new Float64Array(states);
  for (const [n, p] of ofLength)
    if (n > told) {
      const rest = rests[n - told - 1]!;
      for (let x = 0; x < states; x++) tokens[x]! += p * step[x]! * rest[x]!;
    }
  return { tokens, end: told === 0 ? 0 : (ofLength.get(told) ?? 0) * rests[0]![before!]! };
}
