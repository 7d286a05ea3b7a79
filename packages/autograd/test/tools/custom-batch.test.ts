/** Functions with a gradient of one's own inside vmap, differentiated inside it, around it, and both: as if they had none. */
import {
  customGradient,
  grad,
  gradcheck,
  hessian,
  jacobian,
  jvp,
  linearize,
  noGrad,
  stopGradient,
  straightThrough,
  vjp,
  vmap,
} from '@infinigrad/autograd';
import { tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { leaf, list, spread, t, thrownBy } from '../support.ts';
import { expectSame } from '../transforms/support.ts';

/** Of a vector of 3 and one of 2. */
type Of = (x: Tensor, p: Tensor) => Tensor;

const plainNorm = (x: Tensor): Tensor => x.square().sum().add(1).sqrt();

/** Written with a gradient of its own, in every form that there is; and plainly. */
const functions: Readonly<Record<string, readonly [Of, Of]>> = {
  'an argument saved': [
    (x, p) => {
      const f = customGradient(
        (y: Tensor) => ({ output: y.sin(), saved: y }),
        (g: Tensor, y) => g.mul(y.cos()),
      );
      return f(x.mul(p.sum())).sum();
    },
    (x, p) => x.mul(p.sum()).sin().sum(),
  ],
  'a result saved': [
    (x, p) => {
      const f = customGradient(
        (y: Tensor) => {
          const output = y.tanh();
          return { output, saved: output };
        },
        (g: Tensor, y) => g.mul(y.square().neg().add(1)),
      );
      return f(x).mul(f(p).prod()).sum();
    },
    (x, p) => x.tanh().mul(p.tanh().prod()).sum(),
  ],
  'something else saved, and a setting': [
    (x, p) => {
      const f = customGradient(
        (y: Tensor, power: number, z: Tensor) => {
          const n = plainNorm(y);
          return { output: n.mul(z).mul(power), saved: { n, y, z, power } };
        },
        (g: Tensor, { n, y, z, power }) => [
          y.div(n).mul(g.mul(z).sum()).mul(power),
          null,
          g.mul(n).mul(power),
        ],
      );
      return f(x, 3, p).square().sum();
    },
    (x, p) => plainNorm(x).mul(p).mul(3).square().sum(),
  ],
  'several results, arguments in an object': [
    (x, p) => {
      const f = customGradient(
        ({ a, b }: { readonly a: Tensor; readonly b: readonly Tensor[] }) => ({
          output: { product: a.mul(b[0]!), rest: [a.exp(), a.gt(0)] as const },
          saved: { a, b: b[0]! },
        }),
        (g, { a, b }) => [
          {
            a: g.product.mul(b).add(g.rest[0].mul(a.exp())),
            b: [g.product.mul(a)],
          },
        ],
      );
      const { product, rest } = f({ a: x, b: [x.mul(0).add(p.mean())] });
      return product.square().sum().add(rest[0].sum());
    },
    (x, p) => x.mul(p.mean()).square().sum().add(x.exp().sum()),
  ],
  'a gradient that does not look at the examples': [
    (x, p) => {
      const f = customGradient(
        (y: Tensor, z: Tensor) => ({ output: y.mul(2).add(z.sum()) }),
        (g: Tensor) => [g.mul(2), g.sum().expand([2])],
      );
      return f(x, p).sum();
    },
    (x, p) => x.mul(2).add(p.sum()).sum(),
  ],
  'one inside another': [
    (x, p) => {
      const inner = customGradient(
        (y: Tensor) => ({ output: y.exp(), saved: y }),
        (g: Tensor, y) => g.mul(y.exp()),
      );
      const outer = customGradient(
        (y: Tensor, z: Tensor) => ({ output: inner(y).mul(z.sum()), saved: { y, z } }),
        (g: Tensor, { y, z }) => [inner(y).mul(z.sum()).mul(g), inner(y).mul(g).sum().expand([2])],
      );
      return outer(x, p).mean();
    },
    (x, p) => x.exp().mul(p.sum()).mean(),
  ],
  'a straight-through estimator': [
    (x, p) =>
      straightThrough(
        (y: Tensor) => y.sin(),
        (y: Tensor) => y.sin(),
      )(x.mul(p.mean())).sum(),
    (x, p) => x.mul(p.mean()).sin().sum(),
  ],
  'a pullback in its gradient': [
    (x, p) => {
      const f = (y: Tensor, z: Tensor): Tensor => y.mul(z.sum()).sigmoid();
      const own = customGradient(
        (y: Tensor, z: Tensor) => ({ output: f(y, z), saved: [y, z] as const }),
        (g: Tensor, [y, z]) => vjp(f, y, z).pullback(g),
      );
      return own(x, p).sum();
    },
    (x, p) => x.mul(p.sum()).sigmoid().sum(),
  ],
};

const X = spread([4, 3]);
const P = spread([2], 1);
const each = (f: Of) => (xs: Tensor, p: Tensor) => vmap(f, { inAxes: [0, null] })(xs, p);
const [vX, vP] = [spread([4, 3], 2), spread([2], 3)];

/** Ways to differentiate inside, around, and both. */
const ways: Readonly<Record<string, (f: Of) => readonly Tensor[]>> = {
  'gradients inside': (f) => [vmap(grad(f), { inAxes: [0, null] })(X, P)],
  'a gradient around, of what differs': (f) => [grad((xs: Tensor) => each(f)(xs, P).square().sum())(X)],
  'a gradient around, of what is one for all': (f) => [grad((p: Tensor) => each(f)(X, p).square().sum())(P)],
  'leaves around': (f) => {
    const [xs, p] = [leaf(X.toArraySync() as number[][]), leaf(P.toArraySync() as number[])];
    each(f)(xs, p).sum().backward();
    return [xs.grad!, p.grad!];
  },
  'a tangent around': (f) => [
    jvp(each(f), [X, P], [vX, vP]).tangent,
    jvp((p: Tensor) => each(f)(X, p), [P], [vP]).tangent,
    noGrad(() => jvp(each(f), [X, P], [vX, vP]).tangent),
  ],
  'Jacobians around, by rows and columns': (f) =>
    (['reverse', 'forward'] as const).flatMap((mode) => [
      jacobian((xs: Tensor) => each(f)(xs, P), { mode })(X),
      jacobian((p: Tensor) => each(f)(X, p), { mode })(P),
    ]),
  'Jacobians without vmap': (f) =>
    (['reverse', 'forward'] as const).map((mode) =>
      jacobian((x: Tensor) => f(x, P), { mode })(X.select(0, 1)),
    ),
  'gradients inside and around': (f) => {
    const of = (xs: Tensor, p: Tensor): Tensor =>
      vmap((x: Tensor, q: Tensor) => grad(f)(x, q).square().sum(), { inAxes: [0, null] })(xs, p).sum();
    return [grad(of)(X, P), grad((p: Tensor) => of(X, p))(P)];
  },
  'gradients inside, tangents around': (f) => {
    const inside = (xs: Tensor, p: Tensor): Tensor => vmap(grad(f), { inAxes: [0, null] })(xs, p);
    return [jvp(inside, [X, P], [vX, vP]).tangent, linearize(inside, X, P).pushforward(vX, vP)];
  },
  'tangents inside, gradients around': (f) => {
    const of = (xs: Tensor, p: Tensor): Tensor =>
      vmap((x: Tensor, v: Tensor) => jvp((y: Tensor) => f(y, p), [x], [v]).tangent)(xs, vX)
        .square()
        .sum();
    return [grad(of)(X, P), grad((p: Tensor) => of(X, p))(P)];
  },
  'tangents inside and around': (f) => {
    const of = (xs: Tensor, p: Tensor): Tensor =>
      vmap((x: Tensor, v: Tensor) => jvp((y: Tensor) => f(y, p), [x], [v]).tangent)(xs, vX);
    return [jvp(of, [X, P], [vX, vP]).tangent];
  },
  'Hessians, inside and around': (f) => [
    vmap((x: Tensor) => hessian((y: Tensor) => f(y, P))(x))(X),
    hessian((p: Tensor) => each(f)(X, p).sum())(P),
    hessian((xs: Tensor) => each(f)(xs, P).sum())(X),
  ],
  'two depths of vmap': (f) => {
    const of = (xs: Tensor, ps: Tensor): Tensor => vmap((p: Tensor) => vmap((x: Tensor) => f(x, p))(xs))(ps);
    const ps = spread([3, 2], 4);
    return [
      grad((q: Tensor) => of(X, q).square().sum())(ps),
      grad((xs: Tensor) => of(xs, ps).square().sum())(X),
      jvp(of, [X, ps], [vX, spread([3, 2], 5)]).tangent,
      // In the middle, too.
      vmap((p: Tensor) =>
        grad((xs: Tensor) =>
          vmap((x: Tensor) => f(x, p))(xs)
            .square()
            .sum(),
        )(X),
      )(ps),
      grad((q: Tensor) =>
        vmap((p: Tensor) =>
          grad((r: Tensor) =>
            vmap((x: Tensor) => f(x, r))(X)
              .square()
              .sum(),
          )(p),
        )(q).sum(),
      )(ps),
    ];
  },
};

describe.each(Object.entries(functions))('%s', (_, [own, plain]) => {
  it.each(Object.entries(ways))('%s', (_name, way) => {
    const [made, expected] = [way(own), way(plain)];
    expect(made.length).toBe(expected.length);
    made.forEach((x, i) => expectSame(x, expected[i]!, 1e-9));
  });
});

describe('a gradient that is not the derivative', () => {
  const f = customGradient(
    (x: Tensor, factor: number, w: Tensor) => ({ output: x.mul(w).square(), saved: { factor, x } }),
    (g: Tensor, { factor, x }, needs) => [g.mul(factor), null, needs[2] ? x.mul(g).sum() : null],
    { name: 'own' },
  );
  const w = t(2);
  it('is the one that counts, inside, around, forward and reverse', () => {
    const x = spread([3, 2]);
    const whole = (y: Tensor): Tensor => vmap(f, { inAxes: [0, null, null] })(y, 7, w);
    const sevens = x.mul(0).add(7);
    expectSame(grad((y: Tensor) => whole(y).sum())(x), sevens);
    expectSame(jvp(whole, [x], [x]).tangent, x.mul(7));
    expectSame(
      noGrad(() => jvp(whole, [x], [x]).tangent),
      x.mul(7),
    );
    expectSame(vmap(grad((y: Tensor) => f(y, 7, w).sum()))(x), sevens);
    expectSame(jacobian((v: Tensor) => vmap(f, { inAxes: [0, null, null] })(x, 7, v).sum())(w), x.sum());
  });
  it('and gradcheck sees it through vmap', () => {
    const whole = (y: Tensor): Tensor => vmap(f, { inAxes: [0, null, null] })(y, 7, w);
    expect(thrownBy(() => gradcheck(whole, [spread([3, 2])])).message).toContain(
      'gradcheck: order 1, input 0',
    );
  });
});

describe('what the function is told and what it tells', () => {
  it('sees one example, forward and backward, and whose gradient is wanted', () => {
    const seen: unknown[] = [];
    const f = customGradient(
      (x: Tensor, w: Tensor) => {
        seen.push([x.shape, w.shape]);
        return { output: x.mul(w), saved: { x, w } };
      },
      (g: Tensor, { x, w }, needs) => {
        seen.push([g.shape, x.shape, w.shape, needs]);
        return [null, needs[1] ? g.mul(x).sum() : null];
      },
    );
    grad((w: Tensor) => vmap(f, { inAxes: [0, null] })(spread([5, 2]), w).sum())(t(3));
    expect(seen).toEqual([
      [[2], []],
      [[2], [2], [], [false, true]],
    ]);
  });
  it('a gradient of the wrong shape is refused in the words of one example', () => {
    const f = customGradient(
      (x: Tensor) => ({ output: x.mul(2) }),
      (g: Tensor) => g.sum(),
      { name: 'wrong' },
    );
    expect(thrownBy(() => grad((x: Tensor) => vmap(f)(x).sum())(spread([5, 2]))).message).toContain(
      'wrong: argument 0 and the gradient that backward gave for it differ in shape or dtype: [2] f64, [] f64',
    );
  });
  it('a tensor of the vmap that is no argument is refused where a batch is recorded, and can be made an argument', () => {
    const of = (f: (x: Tensor, y: Tensor) => Tensor) => (xs: Tensor) =>
      vmap((x: Tensor) => f(x, x.mul(2)))(xs).sum();
    const captured = (x: Tensor, y: Tensor): Tensor =>
      customGradient(
        (z: Tensor) => ({ output: z.mul(stopGradient(y)) }),
        (g: Tensor) => g,
      )(x);
    const error = thrownBy(() => grad(of(captured))(spread([3])));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain(
      'a tensor from inside a vmap is used in a customGradient function that it is no argument of',
    );
    expect(error.message).toContain('Hint: pass it as an argument');
    expect(list(vmap((x: Tensor) => captured(x, x.mul(2)))(t([1, 2])))).toEqual([2, 8]);
    const passed = customGradient(
      (z: Tensor, y: Tensor) => ({ output: z.mul(y) }),
      (g: Tensor) => [g, null],
    );
    expect(list(grad(of(passed))(t([1, 2, 3])))).toEqual([1, 1, 1]);
  });
  it('a captured tensor that needs a gradient is refused as ever', () => {
    const w = leaf([1, 2]);
    const f = customGradient(
      (x: Tensor) => ({ output: x.mul(w) }),
      (g: Tensor) => g,
      { name: 'capturing' },
    );
    expect(thrownBy(() => grad((x: Tensor) => vmap(f)(x).sum())(spread([3, 2]))).message).toContain(
      'is no argument of the customGradient function',
    );
  });
  it('no examples at all have gradients of zeros', () => {
    const f = customGradient(
      (x: Tensor, w: Tensor) => ({ output: x.mul(w), saved: x }),
      (g: Tensor, x) => [g, g.mul(x).sum()],
    );
    const none = tensor([], { dtype: 'f64' }).reshape([0, 2]);
    expect(grad((w: Tensor) => vmap(f, { inAxes: [0, null] })(none, w).sum())(t(3)).itemSync()).toBe(0);
    expect(grad((x: Tensor) => vmap(f, { inAxes: [0, null] })(x, t(3)).sum())(none).shape).toEqual([0, 2]);
  });
});
