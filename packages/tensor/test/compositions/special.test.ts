/** Functions made of special functions and comparisons, each against its meaning, in every layout, and what each refuses. */
import { DTypeError, ShapeError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor, meet, naive, stretchedAt } from '../naive.ts';
import { specialMethods } from '../../src/compositions/special.ts';
import { runs } from '../support.ts';

const [nan, inf] = [NaN, Infinity];
const t = (values: number[], dtype: 'f64' | 'f32' = 'f64'): Tensor => tensor(values, { dtype });
const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** A function of `count` numbers, element by element, broadcasting, on multiples of 1/8. */
function means(
  count: number,
  f: (...x: Tensor[]) => Tensor,
  meaning: (...x: number[]) => number,
  [min, max]: readonly [number, number] = [-24, 24],
): void {
  const size = fc.constantFrom(1, 3);
  const values = (length: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min, max }), { minLength: length, maxLength: length });
  const law = fc.property(fc.gen(), (g) => {
    const inputs = Array.from({ length: count }, () => {
      const shape = count === 1 ? [2, 3] : [g(() => size), g(() => size)];
      return realise(
        g(values, shape[0]! * shape[1]!).map((v) => v / 8),
        shape,
        'f64',
        drawLayout(g, shape, { repeats: false }),
      );
    });
    const given = inputs.map(fromTensor);
    const actual = f(...inputs);
    const expected = naive(meet(...given.map((x) => x.shape)), (index) =>
      meaning(...given.map((x) => stretchedAt(x, index))),
    );
    expect(actual.shape).toEqual(expected.shape);
    expectAllClose(actual, flat(expected), { rtol: 1e-12, atol: 1e-12 });
  });
  fc.assert(law, { numRuns: runs });
}

/** (1/π) ∫ e^(x cos θ) cos nθ dθ; the trapezoidal rule is exact to rounding. */
function bessel(n: number, x: number): number {
  let sum = 0;
  for (let i = 0; i < 64; i++) {
    const angle = (2 * Math.PI * i) / 64;
    sum += Math.exp(x * Math.cos(angle)) * Math.cos(n * angle);
  }
  return sum / 64;
}

describe('meanings', () => {
  it('prelu has one slope, or one for each channel', () => {
    means(
      1,
      (x) => x.prelu(t([0.25])),
      (x) => (x > 0 ? x : x / 4),
    );
    const x = t([-1, 1, -2, 2]).reshape([1, 2, 2]);
    expect(list(x.prelu(t([0.5, 0.25])))).toEqual([-0.5, 1, -0.5, 2]);
    expect(list(x.prelu(t([2]).reshape([])))).toEqual([-2, 1, -4, 2]);
  });
  it('i0, i1 and the scaled ones', () => {
    means(
      1,
      (x) => x.i0(),
      (x) => bessel(0, x),
    );
    means(
      1,
      (x) => x.i1(),
      (x) => bessel(1, x),
    );
    means(
      1,
      (x) => x.i0e(),
      (x) => Math.exp(-Math.abs(x)) * bessel(0, x),
    );
    means(
      1,
      (x) => x.i1e(),
      (x) => Math.exp(-Math.abs(x)) * bessel(1, x),
    );
  });
  it('multigammaln: of p = 1 log Γ, and Γ_p(x) = π^((p-1)/2) Γ(x) Γ_(p-1)(x - ½)', () => {
    const x = t([2, 2.25, 3.5, 10]);
    expectAllClose(x.multigammaln(1), x.lgamma());
    for (const p of [2, 3, 4]) {
      const steps = x
        .lgamma()
        .add(x.sub(0.5).multigammaln(p - 1))
        .add(((p - 1) / 2) * Math.log(Math.PI));
      expectAllClose(x.multigammaln(p), steps, { rtol: 1e-13, atol: 1e-13 });
    }
    // Γ₂(3/2) = √π Γ(3/2) Γ(1) = π/2
    expectAllClose(t([1.5]).multigammaln(2), [Math.log(Math.PI / 2)], { rtol: 1e-14 });
  });
  it('logAddExp2', () => {
    means(
      2,
      (x, y) => x.logAddExp2(y),
      (x, y) => Math.log2(2 ** x + 2 ** y),
    );
    expectAllClose(t([3000, -inf]).logAddExp2(t([3000, -inf])), [3001, -inf], { rtol: 1e-15 });
    expectAllClose(t([1]).logAddExp2(1), [2], { rtol: 1e-15 });
  });
  it('copySign', () => {
    means(
      2,
      (x, y) => x.copySign(y),
      (x, y) => (y < 0 ? -Math.abs(x) : Math.abs(x)),
    );
    expect(list(t([1, 1, -2, 3, -4]).copySign(t([0, -0, -0, -inf, inf])))).toEqual([1, -1, -2, -3, 4]);
    expect(list(t([1, -2]).copySign(-0))).toEqual([-1, -2]);
    expect(list(t([1, -2]).copySign(0))).toEqual([1, 2]);
    const whole = tensor([3, -3], { dtype: 'i32' }).copySign(-1);
    expect([whole.dtype, list(whole)]).toEqual(['f32', [-3, -3]]);
  });
  it('heaviside', () => {
    means(
      2,
      (x, y) => x.heaviside(y),
      (x, y) => (x < 0 ? 0 : x > 0 ? 1 : y),
    );
    expect(list(t([-1, 0, 2]).heaviside(0.5))).toEqual([0, 0.5, 1]);
  });
  it('lerp, exact at both ends', () => {
    means(
      3,
      (x, y, w) => x.lerp(y, w),
      (x, y, w) => x + w * (y - x),
    );
    means(
      2,
      (x, y) => x.lerp(y, 0.25),
      (x, y) => x + (y - x) / 4,
    );
    const [x, y] = [t([0.1, 1e10, -7]), t([0.3, 0.7, 1e-9])];
    for (const [w, end] of [
      [0, x],
      [1, y],
    ] as const) {
      expect(list(x.lerp(y, w))).toEqual(list(end));
      expect(list(x.lerp(y, t([w])))).toEqual(list(end));
    }
  });
  it('hardtanh and relu6', () => {
    means(
      1,
      (x) => x.hardtanh(),
      (x) => Math.min(Math.max(x, -1), 1),
    );
    means(
      1,
      (x) => x.hardtanh(-2, 0.5),
      (x) => Math.min(Math.max(x, -2), 0.5),
    );
    means(
      1,
      (x) => x.relu6(),
      (x) => Math.min(Math.max(x, 0), 6),
      [-60, 60],
    );
  });
  it('nanToNum', () => {
    const values = [nan, inf, -inf, 1, -0];
    expect(list(t(values).nanToNum())).toEqual([0, Number.MAX_VALUE, -Number.MAX_VALUE, 1, -0]);
    expect(list(t(values, 'f32').nanToNum())).toEqual([
      0, 3.4028234663852886e38, -3.4028234663852886e38, 1, -0,
    ]);
    expect(list(t(values).nanToNum({ nan: 7, posinf: 8, neginf: 9 }))).toEqual([7, 8, 9, 1, -0]);
    const half = tensor(values, { dtype: 'f16' }).nanToNum();
    expect([half.dtype, list(half.cast('f64'))]).toEqual(['f16', [0, 65504, -65504, 1, -0]]);
    const whole = tensor([1], { dtype: 'i32' });
    expect(whole.nanToNum()).toBe(whole);
  });
});

describe('refuses', () => {
  const x = zeros([2]);
  const other = zeros([3]);
  const bool = zeros([2], { dtype: 'bool' });
  type Row = readonly [call: () => unknown, error: new (...args: never[]) => Error, says: string];
  const apart = 'shapes do not broadcast';
  const rows: Partial<Record<keyof typeof specialMethods, readonly Row[]>> = {
    multigammaln: [
      [() => x.multigammaln(0), ValueError, 'needs a whole p ≥ 1, got 0'],
      [() => x.multigammaln(1.5), ValueError, 'got 1.5'],
    ],
    logAddExp2: [[() => x.logAddExp2(other), ShapeError, apart]],
    copySign: [[() => x.copySign(other), ShapeError, apart]],
    heaviside: [[() => x.heaviside(other), ShapeError, apart]],
    lerp: [
      [() => x.lerp(other, 0.5), ShapeError, apart],
      [() => x.lerp(x, other), ShapeError, apart],
    ],
    hardtanh: [
      [() => x.hardtanh(1, 0), ValueError, 'min 1 is not ≤ max 0'],
      [() => bool.hardtanh(), DTypeError, 'does not accept bool'],
    ],
    prelu: [
      [() => zeros([2, 3]).prelu(zeros([2])), ShapeError, 'needs one slope, or one for each of 3 channels'],
      [() => zeros([3]).prelu(zeros([3])), ShapeError, 'needs one slope, or one for each of 3 channels'],
      [() => zeros([2, 3]).prelu(zeros([1, 3])), ShapeError, 'needs one slope'],
    ],
    relu6: [[() => bool.relu6(), DTypeError, 'does not accept bool']],
  };
  it.each(Object.entries(rows))('%s', (name, calls) => {
    for (const [call, error, says] of calls) {
      expect(call).toThrow(error);
      expect(call).toThrow(says);
      expect(call).toThrow(new RegExp(`^${name}: `));
    }
  });
  /** Those that take any one tensor. */
  const all: readonly (keyof typeof specialMethods)[] = ['i0', 'i0e', 'i1', 'i1e', 'nanToNum'];
  it('has a row for every method that can refuse', () =>
    expect([...Object.keys(rows), ...all].sort()).toEqual(Object.keys(specialMethods).sort()));
});
