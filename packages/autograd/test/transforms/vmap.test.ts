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
import {
  backendNames,
  DisposedError,
  IndexError,
  keep,
  Key,
  scope,
  ShapeError,
  stack,
  tensor,
  ValueError,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run } from '../programs.ts';
import { expectClose, gradientOf, leaf, list, runs, spread, t, thrownBy } from '../support.ts';
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

describe('axes', () => {
  const xs = t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  it('count from the end too, in and out', () => {
    expectSame(vmap((x: Tensor) => x.mul(2), { inAxes: -1, outAxes: -1 })(xs), xs.mul(2));
    expectSame(vmap((x: Tensor) => x, { inAxes: 1 })(xs), xs.transpose());
  });
  it('of trees: one for all parts, or one for each; null hands over one for all examples', () => {
    const f = ({ a, b }: { a: Tensor; b: readonly Tensor[] }, c: Tensor): { sum: Tensor; same: Tensor } => ({
      sum: a.add(b[0]!).add(c),
      same: c,
    });
    const args = { a: xs, b: [xs.transpose()] };
    const { sum, same } = vmap(f, { inAxes: [{ a: 0, b: [1] }, null], outAxes: { sum: 1, same: null } })(
      args,
      t(10),
    );
    expectSame(sum, xs.mul(2).add(10).transpose());
    expectSame(same, t(10));
    const both = vmap(f, { inAxes: [0, null] })({ a: xs, b: [xs] }, t(1));
    expectSame(both.sum, xs.mul(2).add(1));
    expectSame(both.same, t([1, 1]));
  });
  it('null hands over anything', () => {
    const f = (x: Tensor, options: { power: number }, axis: number): Tensor => x.pow(options.power).sum(axis);
    expect(list(vmap(f, { inAxes: [0, null, null] })(xs, { power: 2 }, 0))).toEqual([14, 77]);
  });
});

describe('errors', () => {
  const xs = t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const id = (x: Tensor): Tensor => x;
  let escaped = xs;
  vmap((x: Tensor) => (escaped = x))(xs);
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'reading an element',
      () => vmap((x: Tensor) => t(x.sum().itemSync()))(xs),
      ValueError,
      'data: stands for every example of a vmap at once, so there is no one value to read: [] f64. Hint: return it',
    ],
    [
      'reading all',
      () => vmap((x: Tensor) => t(Array.from(x.dataSync())))(xs),
      ValueError,
      'data: stands for every example',
    ],
    [
      'reading nested arrays',
      () => vmap((x: Tensor) => t(x.toArraySync()))(xs),
      ValueError,
      'data: stands for every example',
    ],
    [
      'sizes that differ',
      () => vmap((x: Tensor, y: Tensor) => x.add(y), { inAxes: [0, 1] })(xs, xs),
      ShapeError,
      'vmap: the mapped axes differ in size (2 and 3): [2, 3] f64, [2, 3] f64',
    ],
    ['nothing mapped', () => vmap(id, { inAxes: null })(xs), ValueError, 'vmap: no argument is mapped'],
    ['no argument', () => vmap(() => xs)(), ValueError, 'vmap: no argument is mapped'],
    [
      'an axis too far',
      () => vmap(id, { inAxes: 2 })(xs),
      IndexError,
      'vmap: axis 2 is out of range for rank 2',
    ],
    ['an axis of a number', () => vmap(id)(t(1)), IndexError, 'vmap: axis 0 is out of range for rank 0'],
    [
      'an out axis too far',
      () => vmap(id, { outAxes: 2 })(xs),
      IndexError,
      'vmap: axis 2 is out of range for rank 2',
    ],
    [
      'no axis for what differs',
      () => vmap(id, { outAxes: null })(xs),
      ValueError,
      'vmap: a result differs from example to example, but outAxes names no axis for it: [3] f64',
    ],
    [
      'fewer axes than arguments',
      () => vmap((x: Tensor, y: Tensor) => x.add(y), { inAxes: [0] })(xs, xs),
      ValueError,
      'vmap: inAxes has other parts than what it names axes for',
    ],
    [
      'axes for other parts',
      () => vmap((x: { a: Tensor }) => x.a, { inAxes: [{ b: 0 }] })({ a: xs }),
      ValueError,
      'vmap: inAxes has other parts',
    ],
    [
      'axes for parts of a tensor',
      () => vmap(id, { inAxes: [[0]] })(xs),
      ValueError,
      'vmap: inAxes names axes for parts, but there is one tensor: [2, 3] f64',
    ],
    [
      'out axes for other parts',
      () => vmap(id, { outAxes: [0] })(xs),
      ValueError,
      'vmap: outAxes names axes for parts, but there is one tensor',
    ],
    [
      'an axis of a setting',
      () => vmap((x: Tensor, n: number) => x.mul(n))(xs, 3),
      ValueError,
      'vmap: inAxes names an axis for 3, which is no tensor. Hint: null hands it over',
    ],
    [
      'a number returned',
      () => vmap((() => 3) as unknown as typeof id)(xs),
      ValueError,
      'vmap: outAxes names an axis for 3, which is no tensor',
    ],
    [
      'a promise returned',
      () => vmap((async (x: Tensor) => x) as unknown as typeof id)(xs),
      ValueError,
      'vmap: the function is asynchronous',
    ],
    [
      'a tensor that has escaped',
      () => escaped.add(1),
      DisposedError,
      'add: a tensor from inside a vmap is used after it has ended: [3] f64',
    ],
    [
      'an op that refuses an example',
      () => vmap((x: Tensor) => x.matmul(t([[1], [2]])))(xs),
      ShapeError,
      'matmul: inner sizes differ (3 and 2): [1, 3] f64, [2, 1] f64',
    ],
    [
      'an index out of range in one example',
      () => vmap((x: Tensor, i: Tensor) => x.indexSelect(0, i))(xs, tensor([0, 3], { dtype: 'i32' })),
      IndexError,
      'index 3 is out of range',
    ],
  ];
  it.each(rows)('%s', (_, body, kind, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(says);
  });
  it('reading later is a rejection', async () => {
    let later: Promise<unknown> = Promise.resolve();
    vmap((x: Tensor) => {
      later = x.data();
      later.catch(() => {});
      return x;
    })(xs);
    await expect(later).rejects.toThrow('data: stands for every example');
  });
  it('what the function throws goes on its way, and nothing is mapped any more', () => {
    const failure = new Error('of the function');
    expect(
      thrownBy(() =>
        vmap((x: Tensor): Tensor => {
          x.add(1);
          throw failure;
        })(xs),
      ),
    ).toBe(failure);
    expectClose(list(grad((x: Tensor) => x.square().sum())(xs)), list(xs.mul(2)));
  });
});
