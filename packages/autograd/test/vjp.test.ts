/** Pullbacks, of one result and several; gradients beside outer variables, and what is returned beside the value. */
import { grad, valueAndGrad, vjp } from '@infinigrad/autograd';
import { tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, spread, t } from './support.ts';

describe('vjp', () => {
  const f = (x: Tensor, y: Tensor): Tensor => x.mul(y).sin();
  it('gives the value and the pullback to every argument, again and again', () => {
    const [x, y] = [t([1, 2]), t([0.3])];
    const { value, pullback } = vjp(f, x, y);
    expectClose(list(value), [Math.sin(0.3), Math.sin(0.6)]);
    expect(value.requiresGrad).toBe(false);
    const cosines = [Math.cos(0.3), Math.cos(0.6)] as const;
    for (const [u, v] of [
      [1, 0],
      [0, 1],
      [2, -3],
    ] as const) {
      const [dx, dy] = pullback(t([u, v]));
      expectClose(list(dx), [u * cosines[0] * 0.3, v * cosines[1] * 0.3]);
      expectClose(list(dy), [u * cosines[0] + 2 * v * cosines[1]]);
    }
  });
  it('of unit vectors is the Jacobian', () => {
    const a = spread([3, 4], 5);
    const { pullback } = vjp((x: Tensor) => a.matmul(x.unsqueeze(1)).squeeze(1), spread([4], 1));
    const rows = [0, 1, 2].map((i) => list(pullback(t([0, 1, 2].map((k) => Number(k === i))))[0]));
    expect(rows.flat()).toEqual(list(a));
  });
  it('takes trees', () => {
    const { pullback } = vjp(({ a }: { a: Tensor }, [b]: readonly [Tensor]) => a.mul(b), { a: t([2]) }, [
      t([5]),
    ] as const);
    const [{ a }, [b]] = pullback(t([1]));
    expect([list(a), list(b)]).toEqual([[5], [2]]);
  });
  it('is differentiable in the cotangent where that needs a gradient', () => {
    const u = leaf([2]);
    const { pullback } = vjp((x: Tensor) => x.square(), t([3]));
    const [g] = pullback(u);
    expect(g.requiresGrad).toBe(true);
    g.sum().backward();
    expect(gradientOf(u)).toEqual([6]);
    expect(pullback(t([1]))[0].requiresGrad).toBe(false);
  });
  it('inside another differentiation gives what can be differentiated', () => {
    // d/dx of u·f'(x) for u = x, f = x³: d/dx 3x³ = 9x²
    const g = grad((x: Tensor) =>
      vjp((y: Tensor) => y.pow(3), x)
        .pullback(x)[0]
        .sum(),
    );
    expectClose(list(g(t([2]))), [36]);
    // for a constant u = 1: f''(x) = 6x
    const k = grad((x: Tensor) =>
      vjp((y: Tensor) => y.pow(3), x)
        .pullback(t([1]))[0]
        .sum(),
    );
    expectClose(list(k(t([2]))), [12]);
    // The value is differentiable too.
    const h = grad((x: Tensor) => vjp((y: Tensor) => y.pow(3), x).value.sum());
    expectClose(list(h(t([2]))), [12]);
  });
});

describe('beside outer variables', () => {
  it('arguments that need gradients make the result differentiable with respect to them', () => {
    const x = leaf([2, 3]);
    const { value, grad: g } = valueAndGrad((y: Tensor) => y.pow(3).sum())(x);
    expect([value.requiresGrad, g.requiresGrad]).toEqual([true, true]);
    g.sum().backward();
    expectClose(gradientOf(x), [12, 18]);
    x.grad = null;
    value.backward();
    expectClose(gradientOf(x), [12, 27]);
  });
  it('the argument is another variable than the leaf it was given', () => {
    const x = leaf([3]);
    // of y x with respect to y, where x is the very tensor that y stands for
    expect(list(grad((y: Tensor) => y.mul(x).sum())(x))).toEqual([3]);
    const [a, b] = grad(([u, v]: readonly [Tensor, Tensor]) => u.square().mul(v).sum())([x, x]);
    expect([list(a), list(b)]).toEqual([[18], [9]]);
  });
  it('through what the argument was made of as well', () => {
    const w = leaf([2]);
    // g = 3 (w²)² ; dg/dw = 12 w³
    const g = grad((y: Tensor) => y.pow(3).sum())(w.square());
    g.sum().backward();
    expectClose(gradientOf(w), [96]);
  });
  it('variables of the closure count where createGraph says so', () => {
    const w = leaf([5]);
    const f = (x: Tensor): Tensor => x.square().mul(w).sum();
    expect(grad(f)(t([3])).requiresGrad).toBe(false);
    const g = grad(f, { createGraph: true })(t([3]));
    g.sum().backward();
    expect(gradientOf(w)).toEqual([6]);
  });
  it('createGraph: false cuts the gradient off', () => {
    const x = leaf([2]);
    const { value, grad: g } = valueAndGrad((y: Tensor) => y.square().sum(), { createGraph: false })(x);
    expect([value.requiresGrad, g.requiresGrad, list(g)]).toEqual([false, false, [4]]);
    // Inside another differentiation it makes a constant: d/dx (x · c) with c = 2x.
    const half = grad((y: Tensor) =>
      y.mul(grad((z: Tensor) => z.square().sum(), { createGraph: false })(y)).sum(),
    );
    expect(list(half(t([3])))).toEqual([6]);
  });
  it('a pullback can be told to be differentiable', () => {
    const w = leaf([5]);
    const { pullback } = vjp((x: Tensor) => x.mul(w), t([3]));
    const [plain] = pullback(t([2]));
    const [linked] = pullback(t([2]), { createGraph: true });
    expect([plain.requiresGrad, linked.requiresGrad]).toEqual([false, true]);
    linked.sum().backward();
    expect(gradientOf(w)).toEqual([2]);
  });
});

describe('what is returned beside the value', () => {
  const f = (x: Tensor, factor: number): [Tensor, { readonly y: Tensor; readonly factor: number }] => {
    const y = x.square().mul(factor);
    return [y.sum(), { y, factor }];
  };
  it('is handed out without history, whatever it is', () => {
    const made = valueAndGrad(f, { hasAux: true })(t([1, 2]), 3);
    expect([made.value.itemSync(), list(made.grad), list(made.aux.y), made.aux.factor]).toEqual([
      15,
      [6, 12],
      [3, 12],
      3,
    ]);
    expect(made.aux.y.requiresGrad).toBe(false);
    const { grad: gradient, aux } = grad(f, { hasAux: true })(t([1, 2]), 3);
    expect([list(gradient), list(aux.y)]).toEqual([
      [6, 12],
      [3, 12],
    ]);
    expect(Object.keys(grad((x: Tensor) => [x.sum(), undefined], { hasAux: true })(t([1])))).toContain('aux');
  });
  it('stays where the graph is given back, also what a rule has saved and what shares its memory', () => {
    const { value, aux } = valueAndGrad(
      (x: Tensor) => {
        const y = x.exp();
        return [y.square().sum(), { y, rows: [y.reshape([1, 2]), y.sin()] }];
      },
      { hasAux: true },
    )(t([0, 1]));
    expectClose([value.itemSync(), ...list(aux.y)], [1 + Math.E ** 2, 1, Math.E]);
    expectClose(aux.rows.flatMap(list), [1, Math.E, Math.sin(1), Math.sin(Math.E)]);
  });
  it('can be differentiated inside another differentiation', () => {
    const outer = (x: Tensor): Tensor => {
      const { grad: g, aux } = grad(f, { hasAux: true })(x, 3);
      return g.mul(aux.y).sum(); // 6x · 3x²
    };
    expectClose(list(grad(outer)(t([1, 2]))), [54, 216]);
  });
});

describe('the pullback of several results', () => {
  it('takes a gradient for each, and adds up', () => {
    const f = (x: Tensor, y: Tensor): { sum: Tensor; list: readonly [Tensor, Tensor] } => ({
      sum: x.add(y),
      list: [x.mul(y), x.gt(y)],
    });
    const { value, pullback } = vjp(f, t([2, 3]), t([5, 7]));
    expect([list(value.sum), list(value.list[0]), list(value.list[1])]).toEqual([
      [7, 10],
      [10, 21],
      [0, 0],
    ]);
    expect(value.sum.requiresGrad).toBe(false);
    const [gx, gy] = pullback({ sum: t([1, 10]), list: [t([100, 1000]), t(0)] });
    expect([list(gx), list(gy)]).toEqual([
      [501, 7010],
      [201, 3010],
    ]);
  });
  it('converts gradients to the dtypes of the results', () => {
    const { pullback } = vjp((x: Tensor) => x.mul(2), tensor([1]));
    expect(pullback(t([3]))[0].dtype).toBe('f32');
  });
});
