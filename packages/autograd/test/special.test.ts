/** Gradients of special functions where their formulas have a hole: zeros, equal infinities, ends, kinks. */
import { complex, tensor, type Tensor } from '@infinigrad/tensor';
import { grad } from '@infinigrad/autograd';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';

const inf = Infinity;
const t = (values: number[]): Tensor => tensor(values, { dtype: 'f64' });
const list = (x: Tensor): number[] => Array.from(x.dataSync());
/** d/dx of the sum of f. */
const slope =
  (f: (x: Tensor) => Tensor) =>
  (x: Tensor): Tensor =>
    grad((v: Tensor) => f(v).sum())(x);
const [first, second] = [
  (f: (x: Tensor) => Tensor, x: Tensor): number[] => list(slope(f)(x)),
  (f: (x: Tensor) => Tensor, x: Tensor): number[] => list(slope(slope(f))(x)),
];

describe('holes in the formulas', () => {
  it('the deviation of equal values has the gradient 0, as has the norm of nothing', () => {
    expect(first((v) => v.std(), t([3, 3, 3]))).toEqual([0, 0, 0]);
    expect(first((v) => v.std(undefined, { correction: 0 }), t([5]))).toEqual([0]);
    expect(first((v) => v.norm(), t([0, 0]))).toEqual([0, 0]);
    // Of one value without its mean there is no deviation.
    expect(first((v) => v.std(), t([5]))).toEqual([NaN]);
  });
  it('clip with one end passes all on that lies on its other side', () => {
    expect(first((v) => v.clip(0), t([-1, 0, 1e300]))).toEqual([0, 1, 1]);
    expect(first((v) => v.clip(null, 0), t([-1e300, 0, 1]))).toEqual([1, 1, 0]);
  });
  it('sinc is smooth at 0, to every order', () => {
    const third = (f: (x: Tensor) => Tensor, x: Tensor): Tensor => slope(slope(slope(f)))(x);
    const x = t([0]);
    expect(first((v) => v.sinc(), x)).toEqual([0]);
    expectAllClose(t(second((v) => v.sinc(), x)), [-(Math.PI ** 2) / 3], { rtol: 1e-15 });
    expect(list(third((v) => v.sinc(), x)).map(Math.abs)).toEqual([0]);
    expectAllClose(slope((v) => slope(slope(slope((u) => u.sinc())))(v))(x), [Math.PI ** 4 / 5], {
      rtol: 1e-15,
    });
  });
  it('i1 has the slope ½ at 0, and a third derivative of 3/8', () => {
    expect(first((v) => v.i1(), t([0]))).toEqual([0.5]);
    expect(list(slope(slope(slope((v) => v.i1())))(t([0])))).toEqual([0.375]);
  });
  it('xlogy and xlog1py: 0 where x is 0 and the logarithm has no value', () => {
    const y = t([0, -1, 2]);
    expect(first((x) => x.xlogy(y), t([0, 0, 0]))).toEqual([0, 0, Math.LN2]);
    expect(first((v) => t([0, 0, 3]).xlogy(v), y)).toEqual([0, 0, 1.5]);
    expect(first((x) => x.xlog1py(t([-1, 1])), t([0, 0]))).toEqual([0, Math.LN2]);
    expect(second((x) => x.xlogy(t([0])), t([0]))).toEqual([0]);
  });
  it('logAddExp of equal infinities: half each; of unequal ones, all to the larger', () => {
    expect(first((x) => x.logAddExp(t([-inf, inf, -inf, 0])), t([-inf, inf, 0, -inf]))).toEqual([
      0.5, 0.5, 1, 0,
    ]);
    expect(second((x) => x.logAddExp(t([1])), t([1]))).toEqual([0.25]);
  });
  it('hypot and complexAbs of nothing: 0', () => {
    expect(first((x) => x.hypot(t([0, 4])), t([0, 3]))).toEqual([0, 0.6]);
    expect(first((x) => complex(x, t([0])).complexAbs(), t([0]))).toEqual([0]);
  });
  it('logNdtr far below 0 and far above: -x and 0', () => {
    expectAllClose(t(first((x) => x.logNdtr(), t([-1e6, 1e3]))), [1e6, 0], { rtol: 1e-11 });
  });
  it('the incomplete gamma function at x = 0: its density', () => {
    expect(first((x) => t([2, 1]).gammainc(x), t([0, 0]))).toEqual([0, 1]);
  });
});

describe('what carries no gradient, and what is replaced', () => {
  it('nanToNum, heaviside, copySign', () => {
    expect(first((x) => x.nanToNum(), t([NaN, inf, -inf, 2]))).toEqual([0, 0, 0, 1]);
    expect(first((x) => x.heaviside(t([5, 5])), t([0, 1]))).toEqual([0, 0]);
    expect(first((v) => t([0, 1]).heaviside(v), t([5, 5]))).toEqual([1, 0]);
    expect(first((x) => x.copySign(-2), t([3, -3]))).toEqual([-1, 1]);
  });
  it('logit with eps: 0 beyond the ends', () => {
    expectAllClose(t(first((x) => x.logit(0.25), t([0.1, 0.5, 0.9]))), [0, 4, 0]);
  });
  it('activations far out', () => {
    const far = t([-1e4, 1e4]);
    for (const [f, wanted] of [
      [(x: Tensor) => x.mish(), [0, 1]],
      [(x: Tensor) => x.logSigmoid(), [1, 0]],
      [(x: Tensor) => x.hardswish(), [0, 1]],
      [(x: Tensor) => x.hardsigmoid(), [0, 0]],
      [(x: Tensor) => x.celu(0.5), [0, 1]],
      [(x: Tensor) => x.selu(), [0, 1.0507009873554805]],
      [(x: Tensor) => x.leakyRelu(0.25), [0.25, 1]],
    ] as const)
      expectAllClose(t(first(f, far)), wanted, { atol: 1e-300, rtol: 1e-15 });
  });
});
