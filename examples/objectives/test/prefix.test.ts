/** What is told to be the best of texts of several chains: against all chains and texts, counted out. */
import { Key } from '@infinigrad/tensor';
import { randomChain } from '@infinigrad/zoo';
import { expect, it } from 'vitest';
import { experiments } from '../experiments.ts';
import { lastTokenSurprise, mixtureSurprise } from '../prefix.ts';

const laws = [0, 1, 2].map((k) => randomChain({ states: 2, sharpness: 2 }, new Key(4).foldIn(k)));
const length = 5;
const texts = Array.from({ length: 2 ** length }, (_, n) => Array.from({ length }, (_, t) => (n >> t) & 1));

/** P(text), a chain being drawn first. */
const likely = texts.map((text) =>
  laws.reduce(
    (sum, { stationary, transition }) =>
      sum +
      text.reduce(
        (p, token, t) => p * (t === 0 ? stationary[token]! : transition[text[t - 1]!]![token]!),
        1 / 3,
      ),
    0,
  ),
);

/** -log P(token after t | tokens from … t). */
function counted(text: readonly number[], from: number, t: number): number {
  const sum = (upTo: number): number =>
    texts.reduce(
      (p, other, i) =>
        p + (text.slice(from, upTo + 1).every((token, j) => other[from + j] === token) ? likely[i]! : 0),
      0,
    );
  return Math.log(sum(t)) - Math.log(sum(t + 1));
}

it('is what counting gives, from the beginning, from a place on, and for the last token alone', () => {
  for (const text of texts) {
    const last = lastTokenSurprise(laws, text);
    for (const from of [0, 2]) {
      const told = mixtureSurprise(laws, text, from);
      for (let t = 0; t + 1 < length; t++) {
        if (t >= from) expect(told[t]).toBeCloseTo(counted(text, from, t), 10);
        else expect(told[t]).toBe(0);
        expect(last[t]).toBeCloseTo(counted(text, t, t), 10);
      }
    }
  }
});

it('is 0 in the prefix and above 0 after it, as the targets have it', () => {
  const { recipe } = experiments.prefix;
  const task = experiments.prefix.build(recipe, { model: new Key(0), source: new Key(1) });
  const batch = task.batch(6, new Key(2));
  const targets = batch.targets.dataSync();
  expect(batch.prefix.every((n: number) => n >= recipe.length / 2 && n < recipe.length)).toBe(true);
  for (const numbers of [batch.floors, ...Object.values(batch.baselines as Record<string, Float64Array>)]) {
    expect(numbers.length).toBe(targets.length);
    numbers.forEach((x: number, i: number) => expect(x > 0).toBe(targets[i] !== -100));
  }
});
