/** Gradients of one's own: where they take the place of the ops' and what they may save. */
import { customGradient, enableGrad, grad, gradcheck, noGrad, vjp, vmap } from '@infinigrad/autograd';
import { memoryStats, scope, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, spread, t } from '../support.ts';
import { onEachKind } from './kinds.ts';

/** x², from what was given. */
const square = customGradient(
  (x: Tensor) => ({ output: x.square(), saved: { x } }),
  (g: Tensor, { x }) => g.mul(x).mul(2),
  { name: 'mySquare' },
);
/** exp x, from its own result. */
const exponential = customGradient(
  (x: Tensor) => {
    const y = x.exp();
    return { output: y, saved: [y] };
  },
  (g: Tensor, [y]) => g.mul(y!),
);
/** x cos x and sin x, from what is neither argument nor result. */
const turned = customGradient(
  (x: Tensor, factor: number) => {
    const [s, c] = [x.sin(), x.cos()];
    return { output: { first: x.mul(c).mul(factor), second: s.mul(1) }, saved: { s, c, x, factor } };
  },
  ({ first, second }, { s, c, x, factor }) => [
    first
      .mul(c.sub(x.mul(s)))
      .mul(factor)
      .add(second.mul(c)),
    null,
  ],
  { name: 'turned' },
);
/** A function that says three times what is so, to be told from the ops'. */
const tripled = customGradient(
  (x: Tensor) => ({ output: x.exp().log() }),
  (g: Tensor) => g.mul(3),
);

onEachKind(({ normal, leaf: leafOf, dtype }, test) => {
  const tolerance = dtype === 'f32' ? 1e-6 : 1e-13;
  const same = (a: Tensor, b: Tensor): void => expectClose(list(a), list(b), tolerance);

  test('is taken by backward, grad, vjp and a gradient inside a gradient', () => {
    const x = leafOf([2, 3]);
    square(x).sum().backward();
    same(x.grad!, x.detach().mul(2));
    const v = x.detach();
    same(grad((y: Tensor) => square(y).sum())(v), v.mul(2));
    const g = normal([2, 3], 1);
    same(vjp(square, v).pullback(g)[0], v.mul(2).mul(g));
    // d/dx Σ (d exp(x)/dx)² = 2 exp(2x)
    const penalty = (y: Tensor): Tensor =>
      grad((z: Tensor) => exponential(z).sum())(y)
        .square()
        .sum();
    same(grad(penalty)(v), v.mul(2).exp().mul(2));
  });

  test('takes the place of the ops that it is computed with', () => {
    const x = leafOf([4]);
    tripled(x).mul(2).sum().backward();
    expect(gradientOf(x)).toEqual([6, 6, 6, 6]);
  });

  test('has several results, used or not', () => {
    const x = normal([3]);
    const [s, c] = [x.sin(), x.cos()];
    const firstOnly = grad((y: Tensor) => turned(y, 2).first.sum())(x);
    same(firstOnly, c.sub(x.mul(s)).mul(2));
    const secondOnly = grad((y: Tensor) => turned(y, 2).second.sum())(x);
    same(secondOnly, c);
    const both = (y: Tensor): Tensor => {
      const { first, second } = turned(y, 2);
      return first.mul(second).add(second).sum();
    };
    same(grad(both)(x), x.mul(c).mul(c).mul(2).add(firstOnly.mul(s)).add(c));
  });

  test('what is saved outlives the scope it was made in, and the graph may be walked twice', () => {
    const x = leafOf([3]);
    const loss = scope(() => {
      const inner = x.mul(2);
      return scope(() => {
        const { first, second } = turned(exponential(square(inner.mul(0.3))), 2);
        return first.add(second).sum();
      });
    });
    loss.backward(undefined, { retainGraph: true });
    const once = list(x.grad!);
    loss.backward();
    const v = x.detach();
    const plain = grad((y: Tensor) => {
      const z = y.mul(2).mul(0.3).square().exp();
      return z.mul(z.cos()).mul(2).add(z.sin()).sum();
    })(v);
    expectClose(once, list(plain), 100 * tolerance);
    same(x.grad!, plain.mul(2));
  });

  test('leaves no memory behind, step after step, and gives back what it need not save', () => {
    const x = leafOf([64, 64]);
    const step = (): void => {
      x.grad = null;
      scope(() => {
        const { first, second } = turned(exponential(square(x)), 2);
        first.add(second).sum().backward(undefined, { consume: true });
      });
    };
    step();
    const { bytes } = memoryStats();
    for (let i = 0; i < 20; i++) step();
    expect(memoryStats().bytes).toBeLessThanOrEqual(bytes);
    // Five tensors on the way, none of them saved.
    const long = customGradient(
      (y: Tensor) => ({ output: y.exp().sin().matmul(y).tanh().mul(2) }),
      (g: Tensor) => g,
    );
    scope(() => {
      const before = memoryStats().bytes;
      long(x);
      expect(memoryStats().bytes - before).toBe(x.storage.bytes);
    });
  });

  test('gives the same where the backward pass consumes the graph, and inside fusing scopes', () => {
    const f = (x: Tensor): Tensor => {
      const { first, second } = turned(square(x), 0.5);
      return exponential(first.mul(0.1)).add(second).sum();
    };
    const [a, b] = [leafOf([5]), leafOf([5])];
    f(a).backward();
    scope(() => f(b.mul(1)).backward(undefined, { consume: true }), { fuse: true });
    same(b.grad!, a.grad!);
  });

  test('a gradient that is what was saved is not given back too early', () => {
    const weights = normal([3], 5);
    const constant = customGradient(
      (x: Tensor) => {
        const w = weights.mul(2);
        return { output: x.mul(w), saved: { w } };
      },
      (_: Tensor, { w }) => w,
    );
    const x = leafOf([3]);
    scope(() => constant(x.mul(1).add(1)).sum().backward(undefined, { consume: true }));
    same(x.grad!, weights.mul(2));
  });
});

describe('differentiated twice, in f64', () => {
  const x = spread([2, 2], 1);
  it('from arguments', () => gradcheck(square, [x], { order: 2 }));
  it('from results', () => gradcheck(exponential, [x], { order: 2 }));
  it('from what is computed on the way, with several results', () => {
    gradcheck((y) => turned(y, 2).first, [x], { order: 2 });
    gradcheck(
      (y) => {
        const { first, second } = turned(y, -1);
        return first.mul(second.exp());
      },
      [x],
      { order: 2 },
    );
  });
  it('from a mixture of all three, with trees of arguments', () => {
    const affine = customGradient(
      ({ w, b }: { w: Tensor; b: readonly [Tensor] }, y: Tensor) => {
        const output = y.matmul(w).add(b[0]).tanh();
        return { output, saved: { w, y, output, slope: output.square().neg().add(1) } };
      },
      (g: Tensor, { w, y, slope }) => {
        const h = g.mul(slope);
        return [{ w: y.transpose().matmul(h), b: [h.sum(0)] }, h.matmul(w.transpose())];
      },
    );
    gradcheck((w, b, y) => affine({ w: w!, b: [b!] }, y!), [spread([2, 2], 2), spread([2], 3), x], {
      order: 2,
    });
  });
  it('where an argument comes out as a result, what is saved is the argument', () => {
    const scaled = customGradient(
      (y: Tensor) => ({ output: y, saved: y }),
      (g: Tensor, y) => g.mul(y),
    );
    const twice = grad((y: Tensor) => grad((z: Tensor) => scaled(z).sum())(y).sum());
    expect(list(twice(t([3, 5])))).toEqual([1, 1]);
  });
  it('a result that is saved beside something else has its own gradient, not that of the ops', () => {
    const own = customGradient(
      (y: Tensor) => {
        const output = y.square();
        return { output, saved: { output, double: y.mul(2) } };
      },
      (g: Tensor, { output, double }) => g.mul(output).mul(double).mul(7),
    );
    // d/dx 14 x · out(x) = 14 out(x) + 14 x · (14 x · out(x))
    const second = grad((z: Tensor) => grad((y: Tensor) => own(y).sum())(z).sum())(x);
    expectClose(list(second), list(x.square().mul(14).add(x.square().mul(x.square()).mul(196))), 1e-9);
  });
  it('one inside the other', () => {
    const outer = customGradient(
      (y: Tensor) => ({ output: square(y).sum(), saved: { y } }),
      (g: Tensor, { y }) => square(y).div(y).mul(g).mul(2),
    );
    gradcheck(outer, [x], { order: 2 });
  });
});

describe('inside vmap', () => {
  // What is differentiated from around it: custom-batch.test.ts.
  const x = spread([3, 2]);
  it('has the gradient of every example', () => {
    const of = vmap(grad((y: Tensor) => square(y).mul(y).sum()));
    expectClose(list(of(x)), list(x.square().mul(3)));
  });
  it('runs forward as any function', () => expect(list(vmap(square)(x))).toEqual(list(x.square())));
});

describe('arguments', () => {
  it('without a gradient, or of integers, take none', () => {
    let needed: readonly boolean[] = [];
    const take = customGradient(
      (x: Tensor, index: Tensor, c: Tensor) => ({
        output: x.indexSelect(0, index).mul(c),
        saved: { index, c, n: x.shape[0]! },
      }),
      (g: Tensor, { index, c, n }, needs) => {
        needed = needs;
        return [t(new Array<number>(n).fill(0)).indexAdd(0, index, g.mul(c)), null, null];
      },
    );
    const x = leaf([1, 2, 3]);
    const c = t([5, 7]);
    take(x, tensor([2, 0], { dtype: 'i32' }), c)
      .sum()
      .backward();
    expect([gradientOf(x), c.grad, needed]).toEqual([[7, 0, 5], null, [true, false, false]]);
  });
  it('with a gradient of null keep none', () => {
    const blocked = customGradient(
      (x: Tensor, y: Tensor) => ({ output: x.mul(y), saved: y }),
      (g: Tensor, y) => [g.mul(y), null],
    );
    const [x, y] = [leaf([2]), leaf([3])];
    blocked(x, y).sum().backward();
    expect([gradientOf(x), y.grad]).toEqual([[3], null]);
  });
  it('may be the same tensor twice, and may come out again', () => {
    const swap = customGradient(
      (x: Tensor, y: Tensor) => ({ output: [y, x] as const }),
      ([gy, gx]: readonly [Tensor, Tensor]) => [gx.mul(10), gy.mul(100)],
    );
    const x = leaf([2]);
    const [a, b] = swap(x, x);
    a.mul(3).add(b).sum().backward();
    expect(gradientOf(x)).toEqual([10 + 300]);
    expect(list(a)).toEqual([2]);
  });
  it('a result of integers comes out without a gradient', () => {
    const rounded = customGradient(
      (x: Tensor) => ({ output: { whole: x.cast('i32'), rest: x.sub(x.floor()) } }),
      ({ whole, rest }) => {
        expect([whole.dtype, list(whole)]).toEqual(['i32', [0, 0]]);
        return rest;
      },
    );
    const x = leaf([1.5, 2.25]);
    const { whole, rest } = rounded(x);
    expect([whole.requiresGrad, list(whole)]).toEqual([false, [1, 2]]);
    rest.sum().backward();
    expect(gradientOf(x)).toEqual([1, 1]);
  });
  it('nothing is recorded where nothing needs a gradient', () => {
    expect(square(t([1])).requiresGrad).toBe(false);
    const x = leaf([1]);
    expect(noGrad(() => square(x)).requiresGrad).toBe(false);
    expect(noGrad(() => enableGrad(() => square(x))).requiresGrad).toBe(true);
  });
  it('reversal: the example of the documentation', () => {
    const reverse = customGradient(
      (x: Tensor, factor: number) => ({ output: x, saved: factor }),
      (g: Tensor, factor) => [g.mul(-factor), null],
      { name: 'reverse' },
    );
    const x = leaf([1, 2]);
    const y = reverse(x, 0.5);
    expect(list(y)).toEqual([1, 2]);
    y.mul(3).sum().backward();
    expect(gradientOf(x)).toEqual([-1.5, -1.5]);
  });
});
