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

/** What is known of a blank: what stands beside it, undefined at the ends of the text, and what was told of it. */
interface Blank {
  readonly left: number | undefined;
  readonly right: number | undefined;
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
 * Up to a factor, P(these lengths, in the order of the text), where they are drawn one by one until there are `enough` and then shuffled: any
 * one without which there are too few may have been the last.
 */
function weightOf(lengths: readonly number[], law: readonly number[], enough: number): number {
  const sum = lengths.reduce((a, b) => a + b, 0);
  const last = lengths.filter((n) => sum >= enough && sum - n < enough).length;
  return (lengths.reduce((p, n) => p * law[n]!, 1) * last) / lengths.length;
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
    if (inputIds[at] === mask)
      blanks.set(at, {
        left: at > 0 ? inputIds[at - 1] : undefined,
        right: at + 1 < sep ? inputIds[at + 1] : undefined,
        length: null,
      });
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
      const open = [...blanks].map(([at, one]) => ({
        own: at === place,
        lengths: one.length === null ? law.map((_, n) => n).slice(1) : [one.length],
        weights: one.length === null && sees && at !== place ? insides(chain, one, longest) : null,
      }));
      const ofLength = ownLengths(open, missing, (lengths) => weightOf(lengths, law, enough));
      const scores = nextScores(chain, before, sees ? blank.right : undefined, told, ofLength);
      const sum = scores.tokens.reduce((a, b) => a + b, scores.end);
      out[side][t] = -Math.log((target === end ? scores.end : scores.tokens[target]!) / sum);
    }
    if (target === end) blank.length = told;
  }
  return out;
}

/** P(the token after all of a blank | its left side), for every length: all that may stand in it. */
function insides({ transition, stationary }: MarkovChain, { left, right }: Blank, longest: number): number[] {
  let now = left === undefined ? stationary : transition[left]!;
  const weights = [0];
  for (let n = 1; n <= longest; n++) {
    const next = new Float64Array(now.length);
    now.forEach((p, from) => transition[from]!.forEach((q, to) => (next[to]! += p * q)));
    weights.push(right === undefined ? 1 : next[right]!);
    now = next;
  }
  return weights;
}

/** The weight of each length of one's own blank, over all lengths of the others that are `missing` together. */
function ownLengths(
  blanks: readonly {
    readonly own: boolean;
    readonly lengths: readonly number[];
    readonly weights: readonly number[] | null;
  }[],
  missing: number,
  weight: (lengths: readonly number[]) => number,
): Map<number, number> {
  const found = new Map<number, number>();
  const walk = (lengths: readonly number[], left: number, p: number, own: number): void => {
    const blank = blanks[lengths.length];
    if (!blank) {
      if (left === 0) found.set(own, (found.get(own) ?? 0) + p * weight(lengths));
      return;
    }
    for (const n of blank.lengths)
      if (n <= left) walk([...lengths, n], left - n, p * (blank.weights?.[n] ?? 1), blank.own ? n : own);
  };
  walk([], missing, 1, 0);
  return found;
}

/** Up to a factor, how likely each token comes next, or the end. @param right undefined where it is not seen, or not there */
function nextScores(
  { transition, stationary, states }: MarkovChain,
  before: number | undefined,
  right: number | undefined,
  told: number,
  ofLength: ReadonlyMap<number, number>,
): { readonly tokens: Float64Array; readonly end: number } {
  const closing = Float64Array.from(transition, (row) => (right === undefined ? 1 : row[right]!));
  const step = before === undefined ? stationary : transition[before]!;
  const tokens = new Float64Array(states);
  const longest = Math.max(...ofLength.keys());
  let rest = closing;
  for (let n = told + 1; n <= longest; n++) {
    const p = ofLength.get(n) ?? 0;
    for (let x = 0; x < states; x++) tokens[x]! += p * step[x]! * rest[x]!;
    const further = rest;
    rest = Float64Array.from(transition, (row) => row.reduce((sum, q, to) => sum + q * further[to]!, 0));
  }
  return { tokens, end: told === 0 ? 0 : (ofLength.get(told) ?? 0) * closing[before!]! };
}
