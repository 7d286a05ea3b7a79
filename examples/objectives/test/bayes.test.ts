/** What is told to be the best: against laws that are counted out. */
import { Key } from '@infinigrad/tensor';
import { MarkovChain, randomChain } from '@infinigrad/zoo';
import { describe, expect, it } from 'vitest';
import { maskedSurprise, type Masking } from '../bayes.ts';
import { surprises } from '../causal.ts';

const masking: Masking = { rate: 0.3, masked: 0.6, random: 0.25, vocabSize: 4, mask: 3 };
const chain = randomChain({ states: 3, sharpness: 1 }, new Key(5));

/** All rows of so many digits below `base`. */
const rows = (length: number, base: number): number[][] =>
  Array.from({ length: base ** length }, (_, n) =>
    Array.from({ length }, (_, i) => Math.floor(n / base ** i) % base),
  );

/** P(seen | text, chosen) by the words of the objective, for one token. */
const seenAs = (seen: number, token: number, chosen: number): number => {
  const kept = 1 - masking.masked - masking.random;
  if (!chosen) return seen === token ? 1 - masking.rate : 0;
  return (
    masking.rate *
    ((seen === masking.mask ? masking.masked : 0) +
      masking.random / masking.vocabSize +
      (seen === token ? kept : 0))
  );
};

/** P(token at a place | what is seen, and that the place is chosen), over all texts and all choices. */
function counted(seen: readonly number[], at: number, upTo: number): number[] {
  const law = [0, 0, 0];
  for (const text of rows(upTo, 3))
    for (const chosen of rows(upTo, 2)) {
      if (!chosen[at]) continue;
      let p = chain.stationary[text[0]!]!;
      for (let t = 1; t < upTo; t++) p *= chain.transition[text[t - 1]!]![text[t]!]!;
      for (let t = 0; t < upTo; t++) p *= seenAs(seen[t]!, text[t]!, chosen[t]!);
      law[text[at]!]! += p;
    }
  const sum = law.reduce((a, b) => a + b, 0);
  return law.map((p) => p / sum);
}

describe('maskedSurprise', () => {
  const texts = [
    [0, 3, 3, 1],
    [3, 2, 0, 3],
    [1, 1, 2, 2],
  ];
  it.each(texts.map((seen) => [seen]))('is what counting gives for %j', (seen) => {
    for (const target of [0, 1, 2]) {
      const row = { inputIds: Int32Array.from(seen), targets: new Int32Array(4).fill(target) };
      const { bothSides, oneSide } = maskedSurprise(chain, row, masking);
      for (let at = 0; at < 4; at++) {
        expect(bothSides[at]).toBeCloseTo(-Math.log(counted(seen, at, 4)[target]!), 10);
        expect(oneSide[at]).toBeCloseTo(-Math.log(counted(seen, at, at + 1)[target]!), 10);
      }
    }
  });

  it('says nothing where nothing is asked', () => {
    const row = { inputIds: Int32Array.of(0, 3), targets: Int32Array.of(-100, 1) };
    expect(maskedSurprise(chain, row, masking).bothSides[0]).toBe(0);
  });
});

describe('surprises', () => {
  const order2 = new MarkovChain([
    [0.9, 0.1],
    [0.3, 0.7],
    [0.6, 0.4],
    [0.2, 0.8],
  ]);
  const text = Int32Array.of(0, 1, 1, 0);

  it("is the chain's own after two tokens, and comes from its law before", () => {
    const told = surprises(order2, [text], 2);
    expect([...told.subarray(1, 3)]).toEqual([...order2.surprises(text)].map((x) => expect.closeTo(x, 10)));
    const pairs = order2.windows(2);
    expect(told[0]).toBeCloseTo(-Math.log(pairs[1]! / (pairs[0]! + pairs[1]!)), 12);
    expect(told[3]).toBe(0);
  });

  it('has the entropies of the chain for its means', () => {
    const texts = order2.samples(40, 400, new Key(1));
    for (const [context, entropy] of [order2.unigram, order2.bigram, order2.rate].entries()) {
      const mean = surprises(order2, texts, context).reduce((a, b) => a + b, 0) / (40 * 399);
      expect(Math.abs(mean - entropy)).toBeLessThan(0.02);
    }
  });
});
