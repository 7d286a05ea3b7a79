/** Keys: agreement with JAX, distributions, determinism. */
import { Key, tensor, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

const list = (x: Tensor): number[] => Array.from(x.dataSync());
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const moment = (values: readonly number[], k: number): number => mean(values.map((v) => v ** k));

/** Kolmogorov-Smirnov distance of a sample from a distribution function. */
function distance(values: readonly number[], cdf: (x: number) => number): number {
  const n = values.length;
  return values
    .toSorted((a, b) => a - b)
    .reduce((d, x, i) => Math.max(d, cdf(x) - i / n, (i + 1) / n - cdf(x)), 0);
}
/** The distance that a true sample exceeds once in a million times. */
const ksBound = (n: number): number => Math.sqrt(-Math.log(1e-6 / 2) / (2 * n));

/** χ² of counts against expectations, and a bound that chance exceeds once in about a million times (Wilson-Hilferty). */
function chiSquare(counts: readonly number[], expected: readonly number[]): { value: number; bound: number } {
  const k = counts.length - 1;
  const value = counts.reduce((sum, c, i) => sum + (c - expected[i]!) ** 2 / expected[i]!, 0);
  return { value, bound: k * (1 - 2 / (9 * k) + 4.76 * Math.sqrt(2 / (9 * k))) ** 3 };
}
const countsOf = (values: readonly number[], kinds: number): number[] => {
  const counts = new Array<number>(kinds).fill(0);
  for (const v of values) counts[v]!++;
  return counts;
};

/** Φ, by Abramowitz & Stegun 26.2.17 (|error| < 7.5e-8). */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail =
    (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - tail : tail;
}

const n = 20_000;
const seeds = [0, 1, 42, 2 ** 40 + 7];

describe('agreement with JAX', () => {
  it('split', () => {
    expect(new Key(0).split(2).map((key) => key.words)).toEqual([
      [1797259609, 2579123966],
      [928981903, 3453687069],
    ]);
  });
  it('uniform', () => {
    expect(list(new Key(42).uniform([4]))).toEqual(
      [0.48870957, 0.6797972, 0.6162715, 0.5610161].map(Math.fround),
    );
  });
});

describe('keys', () => {
  it('give the same numbers every time, and other numbers under other keys', () => {
    const law = fc.property(fc.nat(), fc.nat(), (seed, fold) => {
      const key = new Key(seed).foldIn(fold);
      expect(list(key.normal([3, 2]))).toEqual(list(new Key(seed).foldIn(fold).normal([3, 2])));
      expect(list(key.normal([3, 2]))).not.toEqual(list(key.foldIn(0).normal([3, 2])));
      expect(list(key.uniform([6]))).toEqual(list(key.uniform([2, 3])));
      const [a, b] = key.split();
      expect(a!.words).not.toEqual(b!.words);
      expect(key.split(3).map((k) => k.words)).toEqual([0, 1, 2].map((i) => key.foldIn(i).words));
    });
    fc.assert(law, { numRuns: runs });
  });
  it('a longer draw begins with the shorter one', () => {
    expect(list(new Key(3).uniform([10])).slice(0, 4)).toEqual(list(new Key(3).uniform([4])));
    expect(Array.from(new Key(3).bits(8)).slice(0, 3)).toEqual(Array.from(new Key(3).bits(3)));
  });
  it('survive JSON', () => {
    const key = new Key(2 ** 50 + 12345).foldIn(7);
    const again = Key.fromWords(JSON.parse(JSON.stringify(key)) as [number, number]);
    expect(list(again.uniform([5]))).toEqual(list(key.uniform([5])));
    expect(again).toBeInstanceOf(Key);
  });
  it('use all 53 bits of the seed', () => {
    expect(new Key(2 ** 32).words).toEqual([1, 0]);
    expect(new Key(2 ** 53 - 1).words).toEqual([2 ** 21 - 1, 2 ** 32 - 1]);
  });
  it('refuse what is no seed, word or number', () => {
    for (const seed of [-1, 0.5, NaN, 2 ** 53])
      expect(() => new Key(seed)).toThrow('Key: the seed must be an integer');
    expect(() => Key.fromWords([0, 2 ** 32])).toThrow('Key.fromWords');
    expect(() => new Key(0).foldIn(-1)).toThrow('Key.foldIn');
    expect(() => new Key(0).uniform([2], { min: 1, max: 1 })).toThrow('min 1 is not < max 1');
    expect(() => new Key(0).normal([2], { std: -1 })).toThrow('must be ≥ 0');
    expect(() => new Key(0).bernoulli(1.5, [2])).toThrow('must lie in [0, 1]');
    expect(() => new Key(0).randint(3, 3, [2])).toThrow('low < high');
    expect(() => new Key(0).normal([1e9, 1e9])).toThrow('random numbers at once are more than 2^30');
    expect(() => new Key(0).uniform([-1])).toThrow('sizes must be integers ≥ 0');
    expect(() => new Key(0).categorical(tensor([1, 2]), 1)).toThrow('axis 1 is out of range');
  });
});

describe.each(seeds)('distributions under seed %d', (seed) => {
  const key = new Key(seed);
  it.each(['f32', 'f64'] as const)('uniform, %s', (dtype) => {
    const x = key.foldIn(1).uniform([n], { min: -2, max: 3, dtype });
    const values = list(x);
    expect(x.dtype).toBe(dtype);
    expect(values.every((v) => v >= -2 && v < 3)).toBe(true);
    expect(distance(values, (v) => (v + 2) / 5)).toBeLessThan(ksBound(n));
    expect(Math.abs(mean(values) - 0.5)).toBeLessThan((5 * Math.sqrt(25 / 12)) / Math.sqrt(n));
  });
  it.each(['f32', 'f64'] as const)('normal, %s', (dtype) => {
    const values = list(key.foldIn(2).normal([n], { mean: 1, std: 2, dtype })).map((v) => (v - 1) / 2);
    expect(distance(values, normalCdf)).toBeLessThan(ksBound(n));
    // Moments 0, 1, 0, 3 with variances 1, 2, 15, 96 of their summands.
    expect(Math.abs(moment(values, 1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(values, 2) - 1)).toBeLessThan((5 * Math.sqrt(2)) / Math.sqrt(n));
    expect(Math.abs(moment(values, 3))).toBeLessThan((5 * Math.sqrt(15)) / Math.sqrt(n));
    expect(Math.abs(moment(values, 4) - 3)).toBeLessThan((5 * Math.sqrt(96)) / Math.sqrt(n));
    // Neighbours have nothing to do with each other.
    expect(Math.abs(mean(values.slice(1).map((v, i) => v * values[i]!)))).toBeLessThan(5 / Math.sqrt(n));
  });
  it('bernoulli', () => {
    const x = key.foldIn(3).bernoulli(0.3, [n]);
    expect(x.dtype).toBe('bool');
    expect(Math.abs(mean(list(x)) - 0.3)).toBeLessThan((5 * Math.sqrt(0.21)) / Math.sqrt(n));
    expect(list(key.bernoulli(0, [100])).every((v) => v === 0)).toBe(true);
    expect(list(key.bernoulli(1, [100])).every((v) => v === 1)).toBe(true);
  });
  it('randint', () => {
    const x = key.foldIn(4).randint(-3, 7, [n]);
    expect(x.dtype).toBe('i32');
    const { value, bound } = chiSquare(
      countsOf(
        list(x).map((v) => v + 3),
        10,
      ),
      new Array<number>(10).fill(n / 10),
    );
    expect(value).toBeLessThan(bound);
    const wide = list(key.randint(-(2 ** 31), 2 ** 31, [n]));
    expect(distance(wide, (v) => v / 2 ** 32 + 0.5)).toBeLessThan(ksBound(n));
  });
  it.each(['f32', 'f64'] as const)('categorical, %s', (dtype) => {
    const weights = [0.1, 0.2, 0.05, 0.65];
    const logits = tensor(
      weights.map((w) => Math.log(w) + 3),
      { dtype },
    ).expand([n, 4]);
    const x = key.foldIn(5).categorical(logits);
    expect([x.dtype, x.shape]).toEqual(['i32', [n]]);
    const { value, bound } = chiSquare(
      countsOf(list(x), 4),
      weights.map((w) => w * n),
    );
    expect(value).toBeLessThan(bound);
    const certain = tensor(
      [
        [0, -Infinity],
        [-Infinity, 0],
      ],
      { dtype },
    );
    expect(list(key.categorical(certain))).toEqual([0, 1]);
    expect(key.categorical(certain, 0).shape).toEqual([2]);
  });
  it('permutation', () => {
    for (const size of [0, 1, 2, 17]) {
      const order = list(key.foldIn(size).permutation(size));
      expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
    }
    // Each of the six orders of three comes equally often.
    const orders = key
      .foldIn(6)
      .split(6000)
      .map((k) => list(k.permutation(3)));
    const { value, bound } = chiSquare(
      countsOf(
        orders.map(([a, b, c]) => 2 * a! + Number(b! > c!)),
        6,
      ),
      new Array<number>(6).fill(1000),
    );
    expect(value).toBeLessThan(bound);
  });
});
