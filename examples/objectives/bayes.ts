/** The best that can be told of masked tokens of a Markov chain: from both sides, and from what came before alone. */
import type { MarkovChain, MaskedRow } from '@infinigrad/zoo';

export interface Masking {
  /** Of the tokens, how many are chosen. */
  readonly rate: number;
  /** Of the chosen, how many become [MASK], and how many a random one of the vocabulary. The rest stays. */
  readonly masked: number;
  readonly random: number;
  readonly vocabSize: number;
  readonly mask: number;
}

export interface MaskedSurprise {
  /** -log P(target | all that is seen), [T]; 0 where nothing is to be told. */
  readonly bothSides: Float64Array;
  /** -log P(target | what is seen up to it). */
  readonly oneSide: Float64Array;
}

/**
 * Forward and backward over what is seen: nobody is told which of the tokens that are no [MASK] were changed, or of which that stayed it
 * is asked.
 * @param chain of order 1
 */
export function maskedSurprise(
  { transition, stationary, states }: MarkovChain,
  { inputIds: seen, targets }: MaskedRow,
  { rate, masked, random, vocabSize, mask }: Masking,
): MaskedSurprise {
  const T = seen.length;
  const chosen = (t: number, state: number): number =>
    (seen[t] === mask ? masked : 0) +
    random / vocabSize +
    (seen[t] === state ? Math.max(0, 1 - masked - random) : 0);
  const any = (t: number, state: number): number =>
    rate * chosen(t, state) + (seen[t] === state ? 1 - rate : 0);

  const after: Float64Array[] = [];
  after[T - 1] = new Float64Array(states).fill(1);
  for (let t = T - 2; t >= 0; t--) {
    const next = after[t + 1]!.map((p, state) => p * any(t + 1, state));
    after[t] = normalised(
      Float64Array.from(transition, (row) => row.reduce((sum, p, to) => sum + p * next[to]!, 0)),
    );
  }
  const bothSides = new Float64Array(T);
  const oneSide = new Float64Array(T);
  let before = Float64Array.from(stationary);
  for (let t = 0; t < T; t++) {
    const target = targets[t]!;
    if (target >= 0) {
      const left = before.map((p, state) => p * chosen(t, state));
      oneSide[t] = -Math.log(normalised(left)[target]!);
      bothSides[t] = -Math.log(normalised(left.map((p, state) => p * after[t]![state]!))[target]!);
    }
    const now = before;
    const next = new Float64Array(states);
    transition.forEach((row, from) => {
      const p = now[from]! * any(t, from);
      row.forEach((q, to) => (next[to]! += p * q));
    });
    before = normalised(next);
  }
  return { bothSides, oneSide };
}

function normalised(weights: Float64Array): Float64Array<ArrayBuffer> {
  const sum = weights.reduce((a, b) => a + b, 0);
  return Float64Array.from(weights, (weight) => weight / sum);
}
