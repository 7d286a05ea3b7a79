/** Dropout of channels, of examples, and the one that keeps mean and variance: which elements share a fate, values, gradients. */
import { AlphaDropout, ChannelDropout, Dropout, DropPath } from '@infinigrad/nn';
import { Key, ones, ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers, sum } from '../support.ts';
import { callKey, layersConform, type LayerRow } from './conformance.ts';

const dtype = 'f64' as const;
const key = new Key(5);
type Drop = Dropout | ChannelDropout | DropPath | AlphaDropout;
const forward = (layer: Drop, [x]: readonly Tensor[], k: Key): Tensor => layer.forward(x!, k);
const inputs = (k: Key): Tensor[] => [k.normal([4, 3, 2], { dtype })];

/** Where α′ of SELU takes the place of what is dropped (arXiv 1706.02515, section 3): a and b keep mean 0 and variance 1. */
function alpha(p: number): { a: number; b: number; low: number } {
  const low = -1.7580993408473766;
  const a = (1 - p + p * (1 - p) * low ** 2) ** -0.5;
  return { a, b: -a * p * low, low };
}

const rows: Record<string, LayerRow> = {
  Dropout: {
    make: () => new Dropout(0.25),
    inputs,
    forward,
    modes: 'differ',
    naive: (_, [x]) => {
      const kept = numbers(callKey.bernoulli(0.75, [4, 3, 2]));
      return numbers(x!).map((v, i) => (kept[i] ? v / 0.75 : 0));
    },
  },
  ChannelDropout: {
    make: () => new ChannelDropout(0.5),
    inputs,
    forward,
    modes: 'differ',
    naive: (_, [x]) => {
      const kept = numbers(callKey.bernoulli(0.5, [4, 3, 1]));
      return numbers(x!).map((v, i) => (kept[Math.floor(i / 2)] ? 2 * v : 0));
    },
    errors: {
      'no channels': {
        body: () => new ChannelDropout(0.5).forward(ones([3]), key),
        type: ShapeError,
        says: 'ChannelDropout: needs [batch, channels, …]: [3] f32',
      },
    },
  },
  DropPath: {
    make: () => new DropPath(0.5),
    inputs,
    forward,
    modes: 'differ',
    naive: (_, [x]) => {
      const kept = numbers(callKey.bernoulli(0.5, [4, 1, 1]));
      return numbers(x!).map((v, i) => (kept[Math.floor(i / 6)] ? 2 * v : 0));
    },
    errors: {
      'no batch': {
        body: () => new DropPath(0.5).forward(ones([]), key),
        type: ShapeError,
        says: 'DropPath: needs [batch, …]',
      },
    },
  },
  AlphaDropout: {
    make: () => new AlphaDropout(0.25),
    inputs,
    forward,
    modes: 'differ',
    naive: (_, [x]) => {
      const kept = numbers(callKey.bernoulli(0.75, [4, 3, 2]));
      const { a, b, low } = alpha(0.25);
      return numbers(x!).map((v, i) => a * (kept[i] ? v : low) + b);
    },
  },
};

layersConform('dropout', rows);

test('AlphaDropout keeps a mean of 0 and a variance of 1', () => {
  for (const p of [0.1, 0.5]) {
    const values = numbers(new AlphaDropout(p).forward(key.normal([40_000], { dtype }), key.foldIn(1)));
    const mean = sum(values) / values.length;
    const variance = sum(values.map((v) => (v - mean) ** 2)) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.025);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  }
});

describe.each([
  ['Dropout', (p: number): Drop => new Dropout(p)],
  ['ChannelDropout', (p: number): Drop => new ChannelDropout(p)],
  ['DropPath', (p: number): Drop => new DropPath(p)],
  ['AlphaDropout', (p: number): Drop => new AlphaDropout(p)],
] as const)('%s', (name, make) => {
  const x = key.normal([4, 3, 2], { dtype });
  test('gives x itself in evaluation and at p = 0, zeros at p = 1', () => {
    expect(make(0).forward(x)).toBe(x);
    expect(make(0.5).eval().forward(x, key)).toBe(x);
    expect(numbers(make(1).forward(x, key)).every((v) => v === 0)).toBe(true);
  });
  test('needs a key in training, and a probability', () => {
    expect(() => make(0.5).forward(x)).toThrow(ValueError);
    expect(() => make(0.5).forward(x)).toThrow(`${name}: needs a key in training: [4, 3, 2] f64`);
    expect(() => make(1.5)).toThrow(`${name}: the probability must lie in [0, 1], got 1.5`);
  });
});
