/** vmap in company: with gradients, tangents, scopes, the closure, and itself. */
import {
  grad,
  hessian,
  hvp,
  jacobian,
  jvp,
  noGrad,
  stopGradient,
  valueAndGrad,
  vjp,
  vmap,
} from '@infinigrad/autograd';
import { backendNames, keep, Key, scope, stack, withBackend, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run } from '../programs.ts';
import { gradientOf, leaf, list, runs, spread, t } from '../support.ts';
import { directions, expectSame, scalarOf } from './support.ts';

/** The inputs of several examples, as one batch and one by one; the last input is one for all. */
function examples(seed: number): {
  batch: Tensor[];
  each: Tensor[][];
  shared: Tensor;
  axes: (number | null)[];
} {
  const all = [0, 1, 2].map((i) => inputs(seed + 1000 * i));
  const shared = all[0]!.at(-1)!;
  const count = all[0]!.length - 1;
  return {
    batch: [...Array.from({ length: count }, (_, i) => stack(all.map((xs) => xs[i]!))), shared],
    each: all.map((xs) => [...xs.slice(0, -1), shared]),
    shared,
    axes: [...new Array<number>(count).fill(0), null],
  };
}

/** Whether a transformed function of a batch is the stack of what it gives for each example. */
function mapsOver<T extends readonly Tensor[]>(
  f: (xs: readonly Tensor[]) => T,
  seed: number,
  tolerance = 1e-10,
): void {
  const { batch, each, axes } = examples(seed);
  const all = vmap((xs: readonly Tensor[]) => f(xs), { inAxes: [axes] })(batch);
  const single = each.map(f);
  all.forEach((y, i) => expectSame(y, stack(single.map((ys) => ys[i]!)), tolerance));
}

const law = (body: (program: Parameters<typeof run>[0], seed: number) => void): void =>
  fc.assert(fc.property(programs, fc.nat(1e6), body), { numRuns: runs });

it.each(backendNames())(
  'programs of a batch are the stack of what they give for each example on %s',
  (backend) => withBackend(backend, () => law((program, seed) => mapsOver((xs) => [run(program, xs)], seed))),
);

describe('programs', () => {
  it('have the gradients of each example', () =>
    law((program, seed) => {
      const f = scalarOf(program, seed);
      mapsOver((xs) => grad(f)(xs), seed);
      mapsOver((xs) => {
        const { value, grad: g } = valueAndGrad(f)(xs);
        return [value, ...g];
      }, seed);
      mapsOver(
        (xs) => vjp((ys: readonly Tensor[]) => run(program, ys), xs).pullback(spread([2, 3], seed))[0],
        seed,
      );
    }));
  it('have the tangents of each example', () =>
    law((program, seed) => {
      mapsOver((xs) => {
        const { value, tangent } = jvp(
          (ys: readonly Tensor[]) => run(program, ys),
          [xs],
          [directions(xs, seed)],
        );
        return [value, tangent];
      }, seed);
    }));
  it('have the second derivatives of each example', () =>
    law((program, seed) => {
      const f = scalarOf(program, seed);
      mapsOver((xs) => hvp(f, xs, directions(xs, seed)), seed);
      mapsOver(
        (xs) =>
          grad((ys: readonly Tensor[]) =>
            grad(f)(ys).reduce((total, g) => total.add(g.square().sum()), t(0)),
          )(xs),
        seed,
        1e-9,
      );
    }));
  it('are differentiable from outside, through gradients inside too', () =>
    law((program, seed) => {
      const { batch, axes } = examples(seed);
      const f = scalarOf(program, seed);
      const sizes = (g: (xs: readonly Tensor[]) => Tensor) => (xs: readonly Tensor[]) =>
        vmap(g, { inAxes: [axes] })(xs).sum();
      const loop = (g: (xs: readonly Tensor[]) => Tensor) => (xs: readonly Tensor[]) =>
        [0, 1, 2].reduce(
          (total, i) => total.add(g(xs.map((x, k) => (axes[k] === null ? x : x.select(0, i))))),
          t(0),
        );
      const penalty = (xs: readonly Tensor[]): Tensor =>
        grad(f)(xs).reduce((total, g) => total.add(g.square().sum()), t(0));
      for (const g of [f, penalty]) {
        const [all, each] = [grad(sizes(g))(batch), grad(loop(g))(batch)];
        all.forEach((a, i) => expectSame(a, each[i]!, 1e-9));
        const vs = directions(batch, seed);
        expectSame(jvp(sizes(g), [batch], [vs]).tangent, jvp(loop(g), [batch], [vs]).tangent, 1e-9);
      }
    }));
});

describe('inside', () => {
  const xs = t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  it('one example shows: its shape, rank and size', () => {
    vmap((x: Tensor) => {
      expect([x.shape, x.rank, x.size, x.dtype, x.backend.name]).toEqual([[3], 1, 3, 'f64', xs.backend.name]);
      return x;
    })(xs);
  });
  it('in itself, any axis of any argument with any other', () => {
    const outer = vmap((x: Tensor) => vmap((y: Tensor) => x.mul(y).sum())(xs))(xs);
    expect(list(outer)).toEqual([14, 32, 32, 77]);
    const product = (a: Tensor, b: Tensor): Tensor => a.matmul(b);
    const rows = vmap(vmap(product, { inAxes: [null, 1] }), { inAxes: [0, null] });
    expectSame(rows(xs, xs.transpose()), xs.matmul(xs.transpose()));
    const third = vmap(vmap(vmap((x: Tensor) => x.exp())));
    expectSame(third(xs.reshape([1, 2, 3])), xs.reshape([1, 2, 3]).exp());
  });
  it('gradients of several depths: of each example, with respect to what all share', () => {
    const w = t([0.5, -1, 2]);
    const loss = (v: Tensor, x: Tensor): Tensor => v.mul(x).sin().sum();
    const each = vmap((x: Tensor) => grad((v: Tensor) => loss(v, x))(w))(xs);
    expectSame(each, stack([0, 1].map((i) => grad((v: Tensor) => loss(v, xs.select(0, i)))(w))));
    // Norms of the gradients of each example, differentiated with respect to w
    const norms = (v: Tensor): Tensor =>
      vmap((x: Tensor) =>
        grad((u: Tensor) => loss(u, x))(v)
          .square()
          .sum(),
      )(xs).sum();
    const looped = (v: Tensor): Tensor =>
      [0, 1].reduce(
        (total, i) =>
          total.add(
            grad((u: Tensor) => loss(u, xs.select(0, i)))(v)
              .square()
              .sum(),
          ),
        t(0),
      );
    expectSame(grad(norms)(w), grad(looped)(w));
    expectSame(hessian(norms)(w), hessian(looped)(w));
    expectSame(
      vmap(hessian((x: Tensor) => loss(w, x)))(xs),
      stack([0, 1].map((i) => hessian((x: Tensor) => loss(w, x))(xs.select(0, i)))),
    );
    expectSame(
      vmap(jacobian((x: Tensor) => w.mul(x).tanh()))(xs),
      stack([0, 1].map((i) => jacobian((x: Tensor) => w.mul(x).tanh())(xs.select(0, i)))),
    );
  });
  it('leaves of the closure and the arguments get their gradient from outside', () => {
    const [w, b] = [
      leaf([1, 2, 3]),
      leaf([
        [1, 1, 1],
        [2, 2, 2],
      ]),
    ];
    vmap((x: Tensor) => x.mul(w).sum())(b)
      .mul(t([1, 10]))
      .sum()
      .backward();
    expect([gradientOf(w), gradientOf(b)]).toEqual([
      [21, 21, 21],
      [1, 2, 3, 10, 20, 30],
    ]);
  });
  it('leaves and backward() inside are those of each example', () => {
    const g = vmap((x: Tensor) => {
      const v = x.detach().requireGrad();
      v.pow(3).sum().backward();
      expect(v.requiresGrad).toBe(true);
      return v.grad!;
    })(xs);
    expect(list(g)).toEqual([3, 12, 27, 48, 75, 108]);
  });
  it('an outer leaf takes no part in a backward pass inside', () => {
    const w = leaf([2, 2, 2]);
    const g = vmap((x: Tensor) => {
      const v = x.detach().requireGrad();
      v.mul(w).sum().backward();
      return v.grad!;
    })(xs);
    expect([list(g), w.grad]).toEqual([[2, 2, 2, 2, 2, 2], null]);
  });
  it('detach and stopGradient cut off the graphs outside, and their tangents; noGrad the graphs', () => {
    const cut: ((x: Tensor) => Tensor)[] = [(x) => x.detach(), stopGradient, (x) => noGrad(() => x.mul(1))];
    for (const f of cut)
      expect(list(grad((y: Tensor) => vmap((x: Tensor) => x.mul(f(x)).sum())(y).sum())(xs))).toEqual(
        list(xs),
      );
    expect(
      list(
        jvp(
          vmap((x: Tensor) => x.mul(x.detach())),
          [xs],
          [xs.mul(0).add(1)],
        ).tangent,
      ),
    ).toEqual(list(xs));
  });
  it('scopes, fusing or not, keep what they return and what is kept', () => {
    const kept: Tensor[] = [];
    const f = (x: Tensor): Tensor => {
      const y = scope(
        () => {
          kept.push(keep(x.mul(2).add(1)));
          return x.sin().mul(x);
        },
        { fuse: true },
      );
      return y.add(kept.at(-1)!);
    };
    const plain = xs.sin().mul(xs).add(xs.mul(2).add(1));
    expectSame(
      scope(() => vmap(f)(xs)),
      plain,
    );
    expectSame(grad((y: Tensor) => vmap(f)(y).sum())(xs), xs.cos().mul(xs).add(xs.sin()).add(2));
    expectSame(vmap(grad((x: Tensor) => f(x).sum()))(xs), xs.cos().mul(xs).add(xs.sin()).add(2));
  });
  it('one key gives every example the same numbers; numbers that are an argument differ', () => {
    const key = new Key(1);
    const same = vmap((x: Tensor) => x.mul(0).add(key.uniform([3], { dtype: 'f64' })))(xs);
    expectSame(same, stack([0, 1].map(() => key.uniform([3], { dtype: 'f64' }))));
    const noise = key.uniform([2, 3], { dtype: 'f64' });
    expectSame(vmap((x: Tensor, n: Tensor) => x.add(n))(xs, noise), xs.add(noise));
  });
  it('printing says what the tensor is', () => {
    let text = '';
    vmap((x: Tensor) => {
      text = `${x}`;
      return x;
    })(xs);
    expect(text).toBe(
      'Tensor f64 [3] (stands for every example of a vmap at once, so there is no one value to read)',
    );
  });
  it('compositions and methods see examples', () => {
    const f = (x: Tensor): Tensor =>
      x.unsqueeze(0).transpose().matmul(x.unsqueeze(0)).tril().std().add(x.norm());
    expectSame(vmap(f)(xs), stack([0, 1].map((i) => f(xs.select(0, i)))));
  });
});
