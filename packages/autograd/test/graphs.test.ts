/** Graphs: released and retained, with new values in between, of gradients, deep and wide. */
import { noGrad } from '@infinigrad/autograd';
import { GradientError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, giveValue, gradientOf, leaf, list, t, thrownBy } from './support.ts';

describe('released and retained graphs', () => {
  it('a second pass is refused, naming the op', () => {
    const x = leaf([1, 2]);
    const y = x.exp().sum();
    y.backward();
    const error = thrownBy(() => y.backward());
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toBe(
      'exp: the graph behind this tensor has been released by an earlier backward pass. Hint: pass retainGraph: true to the first one',
    );
    expectClose(gradientOf(x), [Math.E, Math.E ** 2]);
  });
  it('retainGraph allows another, and the last one may let go', () => {
    const x = leaf([1, 2]);
    const y = x.square().sum();
    y.backward(undefined, { retainGraph: true });
    y.backward(undefined, { retainGraph: true });
    y.backward();
    expect(gradientOf(x)).toEqual([6, 12]);
    expect(() => y.backward()).toThrow('released');
  });
  it('createGraph retains too, unless told otherwise', () => {
    const x = leaf([2]);
    const y = x.square().sum();
    y.backward(undefined, { createGraph: true });
    y.backward(undefined, { createGraph: true, retainGraph: false });
    expect(list(x.grad!)).toEqual([8]);
    expect(() => y.backward()).toThrow('released');
  });
  it('what two losses share is gone after the first pass, unless retained', () => {
    const build = (): { x: Tensor; first: Tensor; second: Tensor } => {
      const x = leaf([0.5]);
      const trunk = x.sin();
      return { x, first: trunk.square().sum(), second: trunk.exp().sum() };
    };
    const { first, second } = build();
    first.backward();
    expect(() => second.backward()).toThrow('sin: the graph behind this tensor has been released');
    const again = build();
    again.first.backward(undefined, { retainGraph: true });
    again.second.backward();
    const [s, c] = [Math.sin(0.5), Math.cos(0.5)];
    expectClose(gradientOf(again.x), [2 * s * c + Math.exp(s) * c]);
  });
  it('a pass that fails adds nothing anywhere', () => {
    const [a, b] = [leaf([1]), leaf([2])];
    const stale = a.exp();
    stale.sum().backward();
    a.grad = null;
    // b is reached before the pass comes to the released node.
    const y = stale.mul(b).sum();
    expect(() => y.backward()).toThrow('released');
    expect([a.grad, b.grad]).toEqual([null, null]);
  });
});

describe('a new value between forward and backward', () => {
  it('is refused where the rule needs the old one', () => {
    const x = leaf([1, 2]);
    const y = x.square().sum();
    giveValue(x, t([3, 4]));
    const error = thrownBy(() => y.backward());
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toBe(
      'square: input 0 was given a new value after the forward pass: [2] f64. Hint: update parameters after backward, not between forward and backward',
    );
    expect(x.grad).toBeNull();
  });
  it('names the input it is about', () => {
    const [a, b] = [leaf([1]), leaf([2])];
    const y = a.mul(b).sum();
    giveValue(b, t([3]));
    expect(() => y.backward()).toThrow('mul: input 1 was given a new value');
  });
  it('does no harm where the rule needs none', () => {
    const x = leaf([1, 2]);
    const y = x
      .mul(t([5, 6]))
      .add(x)
      .sum();
    const z = x.exp().sum();
    giveValue(x, t([3, 4]));
    y.backward();
    expect(gradientOf(x)).toEqual([6, 7]);
    // exp needs its own result, which nothing has changed.
    x.grad = null;
    z.backward();
    expectClose(gradientOf(x), [Math.E, Math.E ** 2]);
  });
  it('a view taken before keeps the old elements, and its gradient is that of the forward pass', () => {
    const x = leaf([
      [1, 2],
      [3, 4],
    ]);
    const y = x.transpose().square().sum();
    giveValue(x, t([[0, 0]]).expand([2, 2]));
    y.backward();
    expect(gradientOf(x)).toEqual([2, 4, 6, 8]);
  });
  it('is what the next forward pass computes with', () => {
    const x = leaf([1, 2]);
    x.square().sum().backward();
    giveValue(x, t([3, 4]));
    x.grad = null;
    x.square().sum().backward();
    expect(gradientOf(x)).toEqual([6, 8]);
  });
});

describe('gradients of gradients', () => {
  it('createGraph makes the gradients differentiable', () => {
    const x = leaf([2, 3]);
    x.square().mul(x).sum().backward(undefined, { createGraph: true });
    const first = x.grad!;
    expect([first.requiresGrad, list(first)]).toEqual([true, [12, 27]]);
    x.grad = null;
    first.sum().backward(undefined, { createGraph: true });
    const second = x.grad!;
    expect(list(second)).toEqual([12, 18]);
    x.grad = null;
    second.sum().backward();
    expect(gradientOf(x)).toEqual([6, 6]);
    expect(x.grad!.requiresGrad).toBe(false);
  });
  it('without it they are constants', () => {
    const x = leaf([2]);
    x.square().sum().backward();
    expect(x.grad!.requiresGrad).toBe(false);
    x.square().sum().backward();
    expect([x.grad!.requiresGrad, list(x.grad!)]).toEqual([false, [8]]);
  });
  it('what is added to a differentiable gradient stays differentiable', () => {
    const x = leaf([2]);
    const cube = (): Tensor => x.square().mul(x).sum();
    cube().backward(undefined, { createGraph: true });
    cube().backward(undefined, { createGraph: true });
    const twice = x.grad!;
    x.grad = null;
    twice.sum().backward();
    expect(gradientOf(x)).toEqual([24]);
  });
  it('a gradient penalty trains what it should', () => {
    // |∇ₓ (w x²)|² = 4 w² x²
    const [x, w] = [leaf([3]), leaf([2])];
    w.mul(x.square()).sum().backward(undefined, { createGraph: true });
    const penalty = x.grad!.square().sum();
    w.grad = null;
    penalty.backward();
    expect(gradientOf(w)).toEqual([8 * 2 * 9]);
  });
  it('work inside noGrad as well', () => {
    const x = leaf([2]);
    const y = x.square().mul(x).sum();
    noGrad(() => y.backward(undefined, { createGraph: true }));
    expect(x.grad!.requiresGrad).toBe(true);
  });
});

describe('deep and wide graphs', () => {
  const length = 20_000;
  it('a chain of 20,000 ops', () => {
    const x = leaf([1, -2]);
    let y = x;
    for (let i = 0; i < length / 2; i++) y = y.mul(1.0001).neg();
    y.sum().backward();
    expectClose(gradientOf(x), [1.0001 ** (length / 2), 1.0001 ** (length / 2)], 1e-9);
  });
  it('a chain of 20,000 ops differentiated twice', () => {
    // y ← y + c y² : a polynomial whose first and second derivatives come from the same recursion.
    const c = 1e-5;
    const x = leaf([0.5]);
    let y = x;
    let [v, d, dd] = [0.5, 1, 0];
    for (let i = 0; i < length / 4; i++) {
      y = y.add(y.square().mul(c));
      [v, d, dd] = [v + c * v * v, d * (1 + 2 * c * v), dd * (1 + 2 * c * v) + 2 * c * d * d];
    }
    y.sum().backward(undefined, { createGraph: true });
    const first = x.grad!;
    expectClose(list(first), [d], 1e-9);
    x.grad = null;
    first.sum().backward();
    expectClose(gradientOf(x), [dd], 1e-9);
  });
  it('a leaf that is used 20,000 times', () => {
    const x = leaf([3]);
    let y = t([0]);
    for (let i = 0; i < length; i++) y = y.add(x);
    y.sum().backward();
    expect(gradientOf(x)).toEqual([length]);
  });
});
