/** stopGradient, and values with the gradients of others. */
import { backward, grad, gradcheck, stopGradient, straightThrough, vjp } from '@infinigrad/autograd';
import { scope, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, spread, t, thrownBy } from '../support.ts';
import { onEachKind } from './kinds.ts';

onEachKind(({ normal, leaf: leafOf }, test) => {
  test('stopGradient makes constants of tensors in trees', () => {
    const x = leafOf([2]);
    const { a, rest } = stopGradient({ a: x, rest: [x.mul(2), 3, 'name'] as const });
    expect([a.requiresGrad, rest[0].requiresGrad, rest[1], rest[2]]).toEqual([false, false, 3, 'name']);
    scope(() => x.mul(stopGradient(x)).sum().backward());
    expect(gradientOf(x)).toEqual(list(x));
    const twice = grad((y: Tensor) => y.mul(stopGradient(y)).sum())(x.detach());
    expect(list(twice)).toEqual(list(x));
  });

  test('straightThrough has the value of the one and the gradient of the other', () => {
    const x = normal([2, 3]).mul(3);
    const round = straightThrough((y: Tensor) => y.round());
    expect(list(round(x))).toEqual(list(x.round()));
    const weights = normal([2, 3], 1);
    expect(list(grad((y: Tensor) => round(y).mul(weights).sum())(x))).toEqual(list(weights));
    const sign = straightThrough(
      (y: Tensor, c: Tensor) => y.sign().mul(c.abs().sign()),
      (y, scale) => y.mul(scale).tanh(),
    );
    const scale = leafOf([3], 2);
    const [v, s] = [leafOf([2, 3], 3), scale];
    scope(() => sign(v, s).mul(weights).sum().backward());
    const [dv, ds] = vjp((y: Tensor, c: Tensor) => y.mul(c).tanh(), v.detach(), s.detach()).pullback(weights);
    expect([gradientOf(v), gradientOf(s)]).toEqual([list(dv), list(ds)]);
  });
});

describe('straightThrough', () => {
  it('passes nothing to its further arguments without a surrogate', () => {
    const [x, y] = [leaf([1.2]), leaf([2])];
    straightThrough((a: Tensor, b: Tensor) => a.mul(b).round())(x, y)
      .sum()
      .backward();
    expect([gradientOf(x), y.grad]).toEqual([[1], null]);
  });
  it('has the second derivative of the surrogate', () => {
    const hard = straightThrough(
      (y: Tensor) => y.gt(0).cast('f64'),
      (y) => y.sigmoid(),
    );
    const x = spread([3]);
    const slope = grad((y: Tensor) => hard(y).sum());
    gradcheck((y) => slope(y), [x]);
    expectClose(list(slope(x)), list(grad((y: Tensor) => y.sigmoid().sum())(x)));
  });
  it('refuses values and surrogates that do not fit', () => {
    expect(thrownBy(() => straightThrough((y: Tensor) => y.sum())(leaf([1, 2]))).message).toBe(
      'straightThrough: the value and the argument whose gradient it has differ in shape or dtype: [] f64, [2] f64',
    );
    const wrong = straightThrough(
      (y: Tensor) => y.sign(),
      (y) => y.sum(),
    );
    expect(thrownBy(() => backward(wrong(leaf([1, 2])), t([1, 1]))).message).toBe(
      'straightThrough: the value and the surrogate differ in shape or dtype: [2] f64, [] f64',
    );
  });
});
