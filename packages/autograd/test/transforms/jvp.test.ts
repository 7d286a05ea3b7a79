/** Forward mode: agreement with finite differences and with reverse mode, nesting, what carries a tangent. */
import {
  checkpoint,
  customGradient,
  grad,
  hvp,
  inferenceMode,
  jvp,
  noGrad,
  stopGradient,
  straightThrough,
  valueAndGrad,
  vjp,
} from '@infinigrad/autograd';
import { backendNames, scope, tensor, withBackend, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run, shape } from '../programs.ts';
import { expectClose, gradientOf, leaf, list, runs, spread, t } from '../support.ts';
import { directions, dot, dotAll, expectSame, scalarOf } from './support.ts';

describe.each(backendNames())('programs on %s', (backend) => {
  const law = (body: (program: Parameters<typeof run>[0], seed: number) => void): void =>
    withBackend(backend, () => fc.assert(fc.property(programs, fc.nat(), body), { numRuns: runs }));

  it('agree with central differences', () =>
    law((program, seed) => {
      const xs = inputs(seed);
      const vs = directions(xs, seed);
      const f = (step: number): number[] =>
        list(
          run(
            program,
            xs.map((x, i) => x.add(vs[i]!.mul(step))),
          ),
        );
      const { value, tangent } = jvp((ys: readonly Tensor[]) => run(program, ys), [xs], [vs]);
      expectSame(value, run(program, xs), 1e-13);
      const h = 1e-5;
      const [up, down] = [f(h), f(-h)];
      expectClose(
        list(tangent),
        up.map((u, i) => (u - down[i]!) / (2 * h)),
        1e-6,
      );
    }));

  it('agree with the pullback, in scopes that fuse or not, and outside', () =>
    law((program, seed) => {
      const xs = inputs(seed);
      const vs = directions(xs, seed);
      const u = spread(shape, seed);
      const [back] = vjp((ys: readonly Tensor[]) => run(program, ys), xs).pullback(u);
      const push = (): Tensor => jvp((ys: readonly Tensor[]) => run(program, ys), [xs], [vs]).tangent;
      for (const tangent of [push(), scope(push), scope(push, { fuse: true }), noGrad(push)]) {
        const expected = dotAll(back, vs);
        expect(Math.abs(dot(u, tangent) - expected)).toBeLessThanOrEqual(
          1e-10 * Math.max(1, Math.abs(expected)),
        );
      }
    }));

  it('give second derivatives, whichever modes are nested', () =>
    law((program, seed) => {
      const xs = inputs(seed);
      const vs = directions(xs, seed);
      const f = scalarOf(program, seed);
      const product = hvp(f, xs, vs);
      const twice = grad((ys: readonly Tensor[]) =>
        grad(f)(ys).reduce((total, g, i) => total.add(g.mul(vs[i]!).sum()), t(0)),
      )(xs);
      product.forEach((p, i) => expectSame(p, twice[i]!));
      const reverseOfForward = grad((ys: readonly Tensor[]) => jvp(f, [ys], [vs]).tangent)(xs);
      product.forEach((p, i) => expectSame(p, reverseOfForward[i]!));
      const forwardOfForward = jvp((ys: readonly Tensor[]) => jvp(f, [ys], [vs]).tangent, [xs], [vs]).tangent;
      const quadratic = dotAll(product, vs);
      expect(Math.abs(forwardOfForward.itemSync() - quadratic)).toBeLessThanOrEqual(
        1e-9 * Math.max(1, Math.abs(quadratic)),
      );
    }));
});

describe('nesting', () => {
  const one = t(1);
  /** Derivatives of functions of a number, by either mode. */
  const modes: Record<string, (f: (x: Tensor) => Tensor) => (x: Tensor) => Tensor> = {
    jvp: (f) => (x) => jvp(f, [x], [one]).tangent,
    grad: (f) => grad(f),
  };
  const pairs = Object.keys(modes).flatMap((a) => Object.keys(modes).map((b) => [a, b] as const));
  it.each(pairs)('%s of %s tells inner and outer variables apart', (a, b) => {
    const [outer, inner] = [modes[a]!, modes[b]!];
    // d/dx (x · d/dy (x + y)) = 1, not 2
    expect(outer((x) => x.mul(inner((y) => x.add(y))(one)))(t(3)).itemSync()).toBe(1);
    // d/dx (x · d/dy (x y)) = 2x
    expect(outer((x) => x.mul(inner((y) => x.mul(y))(one)))(t(3)).itemSync()).toBe(6);
    // The inner variable stands at the outer one: d/dx (x · 2x) = 4x
    expect(outer((x) => x.mul(inner((y) => y.square())(x)))(t(3)).itemSync()).toBe(12);
    // The outer variable itself is a constant of the inner function: d/dx (d/dy y x² at y = x) = 2x
    expect(outer((x) => inner((y) => y.mul(x.square()))(x))(t(3)).itemSync()).toBe(6);
    // Fourth power: 12 x²
    expect(outer(inner((x) => x.square().square()))(t(3)).itemSync()).toBe(108);
  });
  it.each(Object.keys(modes).flatMap((a) => pairs.map(([b, c]) => [a, b, c] as const)))(
    '%s of %s of %s is a third derivative',
    (a, b, c) => {
      // d³/dx³ sin(2x) = -8 cos(2x)
      const third = modes[a]!(modes[b]!(modes[c]!((x) => x.mul(2).sin())));
      expectClose([third(t(0.7)).itemSync()], [-8 * Math.cos(1.4)]);
    },
  );
  it('value and gradient of an inner function both carry the outer tangent', () => {
    const { tangent } = jvp((x: Tensor) => valueAndGrad((y: Tensor) => y.pow(3))(x), [t(2)], [one]);
    expect([tangent.value.itemSync(), tangent.grad.itemSync()]).toEqual([12, 12]);
  });
  it('a pullback made inside carries the outer tangent, also in its cotangent', () => {
    const f = (x: Tensor): Tensor => vjp((y: Tensor) => y.pow(3), x).pullback(x)[0];
    // d/dx 3x³
    expect(jvp(f, [t(2)], [one]).tangent.itemSync()).toBe(36);
  });
  it('beside leaves, value and tangent are differentiable', () => {
    const [x, w, v] = [leaf([2, 3]), leaf([5, 7]), leaf([1, 10])];
    const { value, tangent } = jvp((y: Tensor) => y.square().mul(w), [x], [v]);
    expect([value.requiresGrad, tangent.requiresGrad]).toEqual([true, true]);
    // 2 x v w
    tangent.sum().backward();
    expect([x, w, v].map(gradientOf)).toEqual([
      [10, 140],
      [4, 60],
      [20, 42],
    ]);
    value.sum().backward();
    expect(gradientOf(w)).toEqual([8, 69]);
  });
  it('without leaves, nothing needs a gradient, nor do tangents hold the graph of an inner gradient', () => {
    const { value, tangent } = jvp((x: Tensor) => grad((y: Tensor) => y.sin().sum())(x), [t([1])], [t([1])]);
    expect([value.requiresGrad, tangent.requiresGrad]).toEqual([false, false]);
  });
});

describe('what carries a tangent', () => {
  const slope = (f: (x: Tensor) => Tensor): number[] => list(jvp(f, [t([3, 4])], [t([1, 10])]).tangent);
  it('detach and stopGradient end it', () => {
    expect(slope((x) => x.mul(x.detach()))).toEqual([3, 40]);
    expect(slope((x) => x.mul(stopGradient(x)))).toEqual([3, 40]);
  });
  it('noGrad and inferenceMode do not', () => {
    expect(slope((x) => x.mul(noGrad(() => x.mul(2))))).toEqual([12, 160]);
    expect(slope((x) => inferenceMode(() => x.square()))).toEqual([6, 80]);
  });
  it('scopes keep it with what they return or keep', () => {
    expect(slope((x) => scope(() => scope(() => x.square()).mul(x), { fuse: true }))).toEqual([27, 480]);
  });
  it('it is zero where the result does not depend on the arguments, and for integers', () => {
    expect(slope(() => t([1, 2]))).toEqual([0, 0]);
    const { tangent } = jvp((x: Tensor) => [x.argMax(), x.gt(0).cast('f64')], [t([3, 4])], [t([1, 1])]);
    expect(tangent.map((y) => [y.dtype, ...list(y)])).toEqual([
      ['i32', 0],
      ['f64', 0, 0],
    ]);
  });
  it('trees go in and come out, a tensor in two places moving in two ways', () => {
    const x = t([2]);
    const { value, tangent } = jvp(
      ({ a, b: [b] }: { a: Tensor; b: readonly [Tensor] }, c: Tensor) => ({
        sum: a.add(b),
        more: [a.mul(b).mul(c)],
      }),
      [{ a: x, b: [x] as const }, x],
      [{ a: t([1]), b: [t([10])] as const }, t([100])],
    );
    expect([list(value.sum), list(tangent.sum), list(value.more[0]!), list(tangent.more[0]!)]).toEqual([
      [4],
      [11],
      [8],
      [444],
    ]);
  });
  it('integers among the arguments go through', () => {
    const index = tensor([1, 1], { dtype: 'i32' });
    const { tangent } = jvp(
      (x: Tensor, i: Tensor) => x.indexSelect(0, i),
      [t([3, 4]), index],
      [t([5, 6]), index],
    );
    expect(list(tangent)).toEqual([6, 6]);
  });
  it('f32 stays f32, whatever float the tangent came in', () => {
    const { tangent } = jvp((x: Tensor) => x.cast('f64').mul(2).cast('f32'), [tensor([1])], [t([3])]);
    expect([tangent.dtype, ...list(tangent)]).toEqual(['f32', 6]);
  });
});

describe('functions with gradients of their own', () => {
  const reverse = customGradient(
    (x: Tensor, factor: number) => ({ output: x, saved: factor }),
    (g: Tensor, factor: number) => [g.mul(-factor), null],
  );
  // sin, by a rule with the cosine saved
  const sine = customGradient(
    (x: Tensor) => ({ output: x.sin(), saved: x.cos() }),
    (g: Tensor, cosine: Tensor) => g.mul(cosine),
  );
  it('push forward what their gradient is the transpose of', () => {
    const { value, tangent } = jvp((x: Tensor) => reverse(x.square(), 5), [t([3])], [t([1])]);
    expect([list(value), list(tangent), value.requiresGrad, tangent.requiresGrad]).toEqual([
      [9],
      [-30],
      false,
      false,
    ]);
    const swap = customGradient(
      (x: Tensor, y: Tensor) => ({ output: { x: y.mul(2), y: x.mul(3) } }),
      (g: { x: Tensor; y: Tensor }) => [g.y.mul(3), g.x.mul(2)],
    );
    const two = jvp((x: Tensor) => swap(x, x.square()), [t([3])], [t([1])]).tangent;
    expect([list(two.x), list(two.y)]).toEqual([[12], [3]]);
    expect(
      list(jvp((x: Tensor) => straightThrough((y: Tensor) => y.round())(x), [t([3.3])], [t([2])]).tangent),
    ).toEqual([2]);
  });
  it('to any order, in any nesting', () => {
    const f = (x: Tensor): Tensor => sine(x.mul(2)).sum();
    const [x, v] = [t([0.3, 0.4]), t([1, 2])];
    const plain = (y: Tensor): Tensor => y.mul(2).sin().sum();
    expectSame(hvp(f, x, v), hvp(plain, x, v));
    expectSame(grad((y: Tensor) => jvp(f, [y], [v]).tangent)(x), hvp(plain, x, v));
    const second = (g: typeof f): Tensor => jvp((y: Tensor) => jvp(g, [y], [v]).tangent, [x], [v]).tangent;
    expectSame(second(f), second(plain));
    const third = (g: typeof f): Tensor => jvp((y: Tensor) => hvp(g, y, v), [x], [v]).tangent;
    expectSame(third(f), third(plain));
  });
  it('checkpoints pass tangents on, in either order', () => {
    const block = checkpoint((x: Tensor) => x.sin().mul(x));
    const plain = (x: Tensor): Tensor => x.sin().mul(x);
    const of = (g: typeof plain) => (x: Tensor) => g(g(x)).sum();
    const [x, v] = [t([0.3, 0.4]), t([1, 2])];
    for (const wrap of [<T>(body: () => T): T => body(), scope])
      wrap(() => {
        expectSame(jvp(of(block), [x], [v]).tangent, jvp(of(plain), [x], [v]).tangent);
        expectSame(hvp(of(block), x, v), hvp(of(plain), x, v));
        expectSame(grad((y: Tensor) => jvp(of(block), [y], [v]).tangent)(x), hvp(of(plain), x, v));
      });
  });
});
