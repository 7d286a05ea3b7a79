/** NaN, infinities, zeros with a sign, ties, overflow: what the docs of the records promise, in PyTorch's terms. */
import { ops, tensor, type DType, type NestedArray, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

const [nan, inf] = [NaN, Infinity];
const t = (values: NestedArray, dtype: DType = 'f64'): Tensor => tensor(values, { dtype });
const list = (x: Tensor): number[] => Array.from(x.dataSync());

describe('NaN wins', () => {
  it('maximum and minimum, on either side', () => {
    expect(list(t([nan, 1, nan, inf]).maximum(t([1, nan, nan, 2])))).toEqual([nan, nan, nan, inf]);
    expect(list(t([nan, 1, nan, -inf]).minimum(t([1, nan, nan, 2])))).toEqual([nan, nan, nan, -inf]);
  });
  it('max and min, wherever it stands', () => {
    for (const values of [
      [nan, 1, 2],
      [1, nan, 2],
      [1, 2, nan],
      [inf, nan, -inf],
    ]) {
      expect(t(values).max().itemSync()).toBe(nan);
      expect(t(values).min().itemSync()).toBe(nan);
    }
    expect(t([-inf, -inf]).max().itemSync()).toBe(-inf);
    expect(t([inf, inf]).min().itemSync()).toBe(inf);
  });
  it('argMax and argMin give the first NaN, else the first extreme', () => {
    expect(t([1, nan, 3, nan]).argMax().itemSync()).toBe(1);
    expect(t([1, nan, 3, nan]).argMin().itemSync()).toBe(1);
    expect(t([nan, 5]).argMax().itemSync()).toBe(0);
    expect(t([2, 7, 7, 1, 1]).argMax().itemSync()).toBe(1);
    expect(t([2, 7, 7, 1, 1]).argMin().itemSync()).toBe(3);
    expect(t([-inf, -inf]).argMax().itemSync()).toBe(0);
    expect(
      list(
        t([
          [1, 9],
          [8, 2],
        ]).argMax(0),
      ),
    ).toEqual([1, 0]);
    expect(
      t([
        [1, 9],
        [8, 2],
      ])
        .argMax()
        .itemSync(),
    ).toBe(1);
  });
  it('relu, clip, sign and the sums keep it', () => {
    for (const y of [
      t([nan]).relu(),
      t([nan]).clip(-1, 1),
      t([nan]).sign(),
      t([nan, 1]).sum(),
      t([nan, 1]).mean(),
      t([0, nan]).prod(),
    ])
      expect(y.reshape([]).itemSync()).toBe(nan);
  });
  it('compares unequal to everything', () => {
    const x = t([nan, nan]);
    const y = t([nan, 1]);
    for (const relation of ['eq', 'lt', 'le', 'gt', 'ge'] as const)
      expect(list(x[relation](y))).toEqual([0, 0]);
    expect(list(x.ne(y))).toEqual([1, 1]);
  });
  it('is told apart from the infinities', () => {
    expect(list(t([nan, inf, -inf, 0]).isNaN())).toEqual([1, 0, 0, 0]);
    expect(list(t([nan, inf, -inf, 0]).isFinite())).toEqual([0, 0, 0, 1]);
    expect(list(tensor([1, 2], { dtype: 'i32' }).isNaN())).toEqual([0, 0]);
  });
  it('is true', () => {
    expect(list(t([nan, 0, -0]).cast('bool'))).toEqual([1, 0, 0]);
    expect(t([nan]).any().itemSync()).toBe(1);
    expect(t([nan]).all().itemSync()).toBe(1);
    expect(list(tensor([nan, 0], { dtype: 'bool' }))).toEqual([1, 0]);
  });
});

describe('softmax and its kin', () => {
  it('do not overflow', () => {
    expect(list(t([1000, 1000]).softmax())).toEqual([0.5, 0.5]);
    expect(list(t([-1000, -1000]).logSoftmax())).toEqual([-Math.LN2, -Math.LN2]);
    expect(t([1000, 1000]).logSumExp().itemSync()).toBe(1000 + Math.LN2);
    expect(list(t([0, -1e9]).softmax())).toEqual([1, 0]);
    expect(list(t([0, -1e9]).logSoftmax())).toEqual([0, -1e9]);
  });
  it('give -Infinity no weight, and NaN where nothing or something infinite has weight', () => {
    expect(list(t([-inf, 0, 0]).softmax())).toEqual([0, 0.5, 0.5]);
    expect(list(t([-inf, 0]).logSoftmax())).toEqual([-inf, 0]);
    expect(list(t([-inf, -inf]).softmax())).toEqual([nan, nan]);
    expect(list(t([inf, 0]).softmax())).toEqual([nan, nan]);
    expect(list(t([nan, 0]).softmax())).toEqual([nan, nan]);
    expect(list(t([nan, 0]).logSoftmax())).toEqual([nan, nan]);
  });
  it('logSumExp of infinities is the largest, of nothing -Infinity', () => {
    expect(t([inf, 0]).logSumExp().itemSync()).toBe(inf);
    expect(t([-inf, -inf]).logSumExp().itemSync()).toBe(-inf);
    expect(t([nan, inf]).logSumExp().itemSync()).toBe(nan);
    expect(t([]).logSumExp().itemSync()).toBe(-inf);
    expect(list(t([[], []]).logSumExp(1))).toEqual([-inf, -inf]);
  });
  it('softplus and sigmoid reach their ends', () => {
    expect(list(t([-1000, 0, 1000, inf, -inf]).softplus())).toEqual([0, Math.LN2, 1000, inf, 0]);
    expect(list(t([-1000, 0, 1000, inf, -inf]).sigmoid())).toEqual([0, 0.5, 1, 1, 0]);
    expect(list(t([-1000, 1000]).tanh())).toEqual([-1, 1]);
    expect(list(t([-inf, -10, 10, inf]).erf())).toEqual([-1, -1, 1, 1]);
    expect(list(t([-1000, 1000]).elu())).toEqual([-1, 1000]);
  });
});

describe('reductions of nothing', () => {
  it('are neutral, NaN or refused', () => {
    expect(t([]).sum().itemSync()).toBe(0);
    expect(t([]).prod().itemSync()).toBe(1);
    expect(t([]).mean().itemSync()).toBe(nan);
    expect(t([]).any().itemSync()).toBe(0);
    expect(t([]).all().itemSync()).toBe(1);
    expect(() => t([]).max()).toThrow('empty');
    // No lines, so no empty line.
    expect(t([]).reshape([0, 3]).max(1).shape).toEqual([0]);
    expect(() => t([]).reshape([0, 3]).max(0)).toThrow('empty');
  });
});

describe('rounding', () => {
  it('goes half to even, and keeps the sign of zero', () => {
    expect(list(t([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4999, 1e300, inf, nan]).round())).toEqual([
      0,
      2,
      2,
      -0,
      -2,
      -2,
      2,
      1e300,
      inf,
      nan,
    ]);
    expect(list(t([-0.2, -0]).round())).toEqual([-0, -0]);
    // 0.49999999999999994 + 0.5 is 1 in floating point.
    expect(list(t([0.49999999999999994, 4503599627370497, 2 ** 52 + 1]).round())).toEqual([
      0,
      4503599627370497,
      2 ** 52 + 1,
    ]);
    expect(list(t([-1.5, 1.5, -0.5]).trunc())).toEqual([-1, 1, -0]);
    expect(list(t([-1.5, 1.5]).floor())).toEqual([-2, 1]);
    expect(list(t([-1.5, 1.5]).ceil())).toEqual([-1, 2]);
  });
  it('leaves integers alone', () => {
    for (const op of ['floor', 'ceil', 'round', 'trunc'] as const) {
      const y = tensor([-3, 4], { dtype: 'i32' })[op]();
      expect([y.dtype, list(y)]).toEqual(['i32', [-3, 4]]);
    }
  });
  it('zeros keep their sign through max, min and products', () => {
    expect(list(t([-0]).maximum(t([0])))).toEqual([0]);
    expect(list(t([-0]).minimum(t([0])))).toEqual([-0]);
    expect(list(t([0]).neg())).toEqual([-0]);
    expect(list(t([0]).mul(-1))).toEqual([-0]);
  });
});

describe('integers', () => {
  const big = 2 ** 31 - 1;
  it('wrap around', () => {
    const x = tensor([big, -(2 ** 31)], { dtype: 'i32' });
    expect(list(x.add(1))).toEqual([-(2 ** 31), -(2 ** 31) + 1]);
    expect(list(x.sub(1))).toEqual([big - 1, big]);
    expect(list(x.neg())).toEqual([-big, -(2 ** 31)]);
    expect(list(x.abs())).toEqual([big, -(2 ** 31)]);
    expect(x.sum().itemSync()).toBe(-1);
    expect(list(tensor([big, big, big], { dtype: 'i32' }).cumsum())).toEqual([big, -2, big - 2]);
    expect(list(tensor([200, 0], { dtype: 'u8' }).add(tensor([100, 255], { dtype: 'u8' })))).toEqual([
      44, 255,
    ]);
    expect(list(tensor([0], { dtype: 'u8' }).sub(tensor([1], { dtype: 'u8' })))).toEqual([255]);
    expect(list(tensor([20], { dtype: 'u8' }).square())).toEqual([400 % 256]);
  });
  it('multiply and raise to powers modulo 2^32, exactly', () => {
    const wrap = (n: bigint): number => Number(BigInt.asIntN(32, n));
    const word = fc.integer({ min: -(2 ** 31), max: big });
    const law = fc.property(word, word, fc.integer({ min: 0, max: 60 }), (a, b, n) => {
      const [x, y] = [tensor([a], { dtype: 'i32' }), tensor([b], { dtype: 'i32' })];
      expect(list(x.mul(y))).toEqual([wrap(BigInt(a) * BigInt(b))]);
      expect(list(x.add(y))).toEqual([wrap(BigInt(a) + BigInt(b))]);
      expect(list(x.pow(n))).toEqual([wrap(BigInt(a) ** BigInt(n))]);
    });
    fc.assert(law, { numRuns: runs });
    expect(list(tensor([2, 1, -1, 0], { dtype: 'i32' }).pow(-1))).toEqual([0, 1, -1, 0]);
  });
  it('add up beyond their kind', () => {
    const bytes = tensor([200, 100], { dtype: 'u8' });
    for (const [y, value] of [
      [bytes.sum(), 300],
      [bytes.prod(), 20000],
    ] as const)
      expect([y.dtype, y.itemSync()]).toEqual(['i32', value]);
    expect([bytes.cumsum().dtype, list(bytes.cumsum())]).toEqual(['i32', [200, 300]]);
    const bits = tensor([true, true, false]);
    expect([bits.sum().dtype, bits.sum().itemSync()]).toEqual(['i32', 2]);
    expect([bytes.mean().dtype, bytes.mean().itemSync()]).toEqual(['f32', 150]);
    expect([bytes.max().dtype, bytes.max().itemSync()]).toEqual(['u8', 200]);
  });
  it('divide by zero to zero, and round toward minus infinity', () => {
    const [x, y] = [tensor([7, -7, 7, -7, 5], { dtype: 'i32' }), tensor([2, 2, -2, -2, 0], { dtype: 'i32' })];
    expect(list(x.floorDivide(y))).toEqual([3, -4, -4, 3, 0]);
    expect(list(x.remainder(y))).toEqual([1, 1, -1, -1, 0]);
    expect(list(x.div(y))).toEqual([3.5, -3.5, -3.5, 3.5, inf]);
    expect(x.div(y).dtype).toBe('f32');
  });
});

describe('cast', () => {
  const edges = [1.9, -1.9, 3e9, -3e9, nan, inf, -inf, 2 ** 31];
  it('truncates, saturates in i32 and wraps in u8', () => {
    expect(list(t(edges).cast('i32'))).toEqual([
      1,
      -1,
      2 ** 31 - 1,
      -(2 ** 31),
      0,
      2 ** 31 - 1,
      -(2 ** 31),
      2 ** 31 - 1,
    ]);
    expect(list(t([1.9, 255.9, 256, 300, -1, -1.9]).cast('u8'))).toEqual([1, 255, 0, 44, 255, 255]);
    expect(list(tensor([-1, 256, 257], { dtype: 'i32' }).cast('u8'))).toEqual([255, 0, 1]);
    expect(list(tensor([-1, 0, 2], { dtype: 'i32' }).cast('bool'))).toEqual([1, 0, 1]);
    expect(list(t([0.1, 1e-300]).cast('f32'))).toEqual([Math.fround(0.1), 0]);
    expect(list(tensor([true, false]).cast('f64'))).toEqual([1, 0]);
    expect(list(tensor([2 ** 24 + 1], { dtype: 'i32' }).cast('f32'))).toEqual([2 ** 24]);
  });
});

describe('values at the edge', () => {
  it('division and powers follow IEEE 754', () => {
    expect(list(t([1, -1, 0]).div(0))).toEqual([inf, -inf, nan]);
    expect(list(t([0, 0, inf, 2]).pow(t([0, -1, 0, -inf])))).toEqual([1, inf, 1, 0]);
    expect(list(t([-8]).pow(1 / 3))).toEqual([nan]);
    expect(list(t([-1, 0]).log())).toEqual([nan, -inf]);
    expect(list(t([-1, 0, inf]).sqrt())).toEqual([nan, 0, inf]);
    expect(list(t([0, 0, -0, -0]).atan2(t([1, -1, 1, -1])))).toEqual([0, Math.PI, -0, -Math.PI]);
    expect(list(t([5.5, -5.5, 5.5]).remainder(t([2, 2, -2])))).toEqual([1.5, 0.5, -0.5]);
  });
  it('clip with infinite bounds: each pair of bounds its own', () => {
    const x = t([-5, 0, 5]);
    expect(list(x.clip(-inf, inf))).toEqual([-5, 0, 5]);
    expect(list(x.clip(inf, inf))).toEqual([inf, inf, inf]);
    expect(list(x.clip(-inf, -inf))).toEqual([-inf, -inf, -inf]);
    expect(list(x.clip(-inf, 1))).toEqual([-5, 0, 1]);
    expect(() => x.clip(nan, 1)).toThrow('min NaN is not ≤ max 1');
  });
  it('pad takes its value in the dtype of the tensor', () => {
    expect(list(tensor([false]).pad([[1, 0]], 7))).toEqual([1, 0]);
    expect(list(tensor([3], { dtype: 'u8' }).pad([[0, 1]], 257))).toEqual([3, 1]);
    expect(list(t([3]).pad([[0, 1]], -inf))).toEqual([3, -inf]);
  });
  it('scalars take the dtype beside them', () => {
    expect(tensor([1], { dtype: 'i32' }).add(1).dtype).toBe('i32');
    expect(tensor([1], { dtype: 'i32' }).add(0.5).dtype).toBe('f32');
    expect(tensor([1], { dtype: 'u8' }).add(1).dtype).toBe('u8');
    expect(tensor([1], { dtype: 'u8' }).add(-1).dtype).toBe('i32');
    expect(tensor([true]).add(1).dtype).toBe('i32');
    expect(tensor([1]).add(0.1).dtype).toBe('f32');
    expect(t([1]).add(0.1).itemSync()).toBe(1.1);
    expect(tensor([1]).mul(true).dtype).toBe('f32');
    expect(ops.where(tensor([true, false]), 1, 0).dtype).toBe('f32');
    expect(tensor([1], { dtype: 'i32' }).add(tensor([1])).dtype).toBe('f32');
  });
});
