/** scaledDotProductAttention: loops, one result whichever way it is computed, dropout, errors; PyTorch. */
import fc from 'fast-check';
import { gradcheck } from '@infinigrad/autograd';
import {
  attentionWithWeights,
  scaledDotProductAttention,
  windowMask,
  type AttentionOptions,
} from '@infinigrad/nn';
import { DTypeError, Key, ShapeError, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectCase, expectNumbers, fixture, lines, numbers, sum, type Case } from '../support.ts';
import { bools, dtype, normal } from './support.ts';

interface Setting {
  readonly options: AttentionOptions;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly mask: boolean[];
}

const settings = fc
  .record({
    keys: fc.integer({ min: 1, max: 6 }),
    fewer: fc.integer({ min: -3, max: 5 }),
    d: fc.integer({ min: 1, max: 3 }),
    dv: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(),
    masked: fc.boolean(),
    causal: fc.boolean(),
    biased: fc.boolean(),
    window: fc.option(fc.integer({ min: 1, max: 5 })),
    scale: fc.constantFrom(undefined, 0.5, 2),
    softcap: fc.constantFrom(null, 0.5, 3),
  })
  .map(({ keys, fewer, d, dv, seed, masked, causal, biased, window, scale, softcap }): Setting => {
    // There may be more queries than keys where they have no order.
    const ordered = causal || window !== null;
    const queries = Math.max(1, keys - (ordered ? Math.max(0, fewer) : fewer));
    const key = new Key(seed);
    const draw = (shape: number[], n: number): Tensor => key.foldIn(n).normal(shape, { dtype });
    const mask = numbers(key.foldIn(9).bernoulli(0.6, [2, queries, keys])).map(Boolean);
    return {
      q: draw([2, queries, d], 0),
      k: draw([2, keys, d], 1),
      v: draw([2, keys, dv], 2),
      mask: masked ? mask : mask.map(() => true),
      options: {
        causal,
        window,
        scale,
        softcap,
        ...(masked && { mask: bools(mask, [2, queries, keys]) }),
        ...(biased && { bias: draw([queries, keys], 3) }),
      },
    };
  });

/** Output and weights by loops. */
function reference({ q, k, v, mask, options }: Setting): { output: number[]; weights: number[] } {
  const { causal, window, scale = 1 / Math.sqrt(q.shape.at(-1)!), softcap, bias } = options;
  const [queries, keys] = [q.shape[1]!, k.shape[1]!];
  const biases = bias ? lines(bias) : null;
  const output: number[] = [];
  const weights: number[] = [];
  for (let b = 0; b < 2; b++) {
    const [qs, ks, vs] = [q, k, v].map((x) => lines(x.select(0, b))) as [number[][], number[][], number[][]];
    for (let i = 0; i < queries; i++) {
      const at = i + keys - queries;
      const e = ks.map((key, j) => {
        const raw = scale * dot(qs[i]!, key);
        const capped = softcap ? softcap * Math.tanh(raw / softcap) : raw;
        const hidden = ((causal || window != null) && j > at) || (window != null && at - j >= window);
        return hidden || !mask[(b * queries + i) * keys + j]
          ? 0
          : Math.exp(capped + (biases ? biases[i]![j]! : 0));
      });
      const total = sum(e) || 1;
      weights.push(...e.map((x) => x / total));
      for (let c = 0; c < v.shape[2]!; c++) output.push(sum(e.map((x, j) => (x / total) * vs[j]![c]!)));
    }
  }
  return { output, weights };
}

test('is the loops, whatever of mask, causality, window, bias, cap and scale is there', () =>
  fc.assert(
    fc.property(settings, (setting) => {
      const { q, k, v, options } = setting;
      const expected = reference(setting);
      expectNumbers(numbers(scaledDotProductAttention(q, k, v, options)), expected.output, 1e-11);
      const { output, weights } = attentionWithWeights(q, k, v, options);
      expectNumbers(numbers(output), expected.output, 1e-11);
      expectNumbers(numbers(weights), expected.weights, 1e-11);
    }),
    { numRuns: 300 },
  ));

test('fused and composed have one gradient', () =>
  fc.assert(
    fc.property(settings, ({ q, k, v, options: all }) => {
      const options = { ...all, bias: null, softcap: null };
      const gradients = (attend: (a: Tensor, b: Tensor, c: Tensor) => Tensor): number[] => {
        const leaves = [q, k, v].map((x) => x.detach().requireGrad()) as [Tensor, Tensor, Tensor];
        attend(...leaves)
          .square()
          .sum()
          .backward();
        return leaves.flatMap((x) => numbers(x.grad!));
      };
      expectNumbers(
        gradients((a, b, c) => scaledDotProductAttention(a, b, c, options)),
        gradients((a, b, c) => attentionWithWeights(a, b, c, options).output),
        1e-10,
      );
    }),
  ));

test('passes gradcheck with everything at once, of the bias too', () =>
  gradcheck(
    (q, k, v, bias) =>
      scaledDotProductAttention(q, k, v, {
        bias,
        softcap: 2,
        window: 2,
        mask: bools([true, true, false, true], [1, 4]),
        dropout: 0.4,
        key: new Key(1),
      }),
    [normal([2, 3, 2], 1), normal([2, 4, 2], 2), normal([2, 4, 3], 3), normal([3, 4], 4)],
    { order: 2 },
  ));

describe('dropout', () => {
  const [q, k, v] = [normal([8, 20, 4], 1), normal([8, 20, 4], 2), normal([8, 20, 4], 3)];
  const plain = attentionWithWeights(q, k, v).weights;
  test('drops weights, and scales the others up', () => {
    const { weights, output } = attentionWithWeights(q, k, v, { dropout: 0.25, key: new Key(4) });
    const ratios = numbers(weights).map((w, i) => w / numbers(plain)[i]!);
    const dropped = ratios.filter((r) => r === 0).length / ratios.length;
    expect(dropped).toBeGreaterThan(0.2);
    expect(dropped).toBeLessThan(0.3);
    for (const r of ratios.filter((x) => x !== 0)) expect(r).toBeCloseTo(4 / 3, 10);
    expectNumbers(numbers(output), numbers(weights.matmul(v)));
  });
  test('by its key alone; all of it leaves nothing', () => {
    const of = (seed: number, dropout: number): number[] =>
      numbers(scaledDotProductAttention(q, k, v, { dropout, key: new Key(seed) }));
    expect(of(1, 0.5)).toEqual(of(1, 0.5));
    expect(of(1, 0.5)).not.toEqual(of(2, 0.5));
    expect(of(1, 1).every((y) => y === 0)).toBe(true);
    expect(of(1, 0)).toEqual(numbers(scaledDotProductAttention(q, k, v)));
  });
});

describe('PyTorch', () => {
  const cases = fixture<{ sdpa: Record<string, Case> }>('multi-head').sdpa;
  test.each(Object.entries(cases))('%s', (_, one) => {
    const { is_causal: causal, scale, enable_gqa: groups } = one.options as Record<string, never>;
    // Four heads of queries for two of keys: theirs repeat, ours broadcast.
    const apart = (x: Tensor, group: number): Tensor =>
      groups ? x.reshape([2, 2, group, ...x.shape.slice(2)]) : x;
    expectCase(one, ({ q, k, v, mask, bias }) => {
      const y = scaledDotProductAttention(apart(q!, 2), apart(k!, 1), apart(v!, 1), {
        causal,
        scale,
        mask: mask?.cast('bool'),
        bias,
      });
      return groups ? y.reshape([2, 4, 3, 2]) : y;
    });
  });
});

describe('errors', () => {
  const [q, k, v] = [zeros([3, 2]), zeros([4, 2]), zeros([4, 5])];
  const attend = (options: AttentionOptions) => (): Tensor => scaledDotProductAttention(q, k, v, options);
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'a vector',
      () => scaledDotProductAttention(zeros([2]), k, v),
      ShapeError,
      'scaledDotProductAttention: needs queries, keys and values [..., T, d]: [2] f32, [4, 2] f32, [4, 5] f32',
    ],
    [
      'queries and keys of different sizes',
      () => scaledDotProductAttention(q, zeros([4, 3]), v),
      ShapeError,
      'queries and keys differ in size',
    ],
    [
      'keys and values of different numbers',
      () => scaledDotProductAttention(q, k, zeros([3, 5])),
      ShapeError,
      'keys and values differ in number',
    ],
    [
      'more queries than keys, causal',
      () => scaledDotProductAttention(zeros([5, 2]), k, v, { causal: true }),
      ShapeError,
      '5 queries for 4 keys',
    ],
    [
      'more queries than keys, in a window',
      () => scaledDotProductAttention(zeros([5, 2]), k, v, { window: 9 }),
      ShapeError,
      '5 queries for 4 keys',
    ],
    [
      'more queries than keys, by a mask',
      () => scaledDotProductAttention(zeros([5, 2]), k, v, { mask: windowMask(2) }),
      ShapeError,
      '5 queries for 4 keys',
    ],
    [
      'a mask of numbers',
      attend({ mask: zeros([3, 4]) }),
      DTypeError,
      'the mask must be bool: [3, 4] f32. Hint: true where a query may see a key; numbers to add to the scores are a bias',
    ],
    ['a cap of 0', attend({ softcap: 0 }), ValueError, 'softcap must be a number > 0, got 0'],
    ['a window of 0', attend({ window: 0 }), ValueError, 'size must be an integer ≥ 1, got 0'],
    ['too much dropout', attend({ dropout: 1.5 }), ValueError, 'dropout must lie in [0, 1], got 1.5'],
    ['dropout without a key', attend({ dropout: 0.5 }), ValueError, 'needs a key where weights are dropped'],
    [
      'weights of a mask of numbers',
      () => attentionWithWeights(q, k, v, { mask: zeros([3, 4]) }),
      DTypeError,
      'the mask must be bool',
    ],
  ];
  test.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});
