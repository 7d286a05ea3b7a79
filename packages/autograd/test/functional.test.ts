/** JAX's door: gradients as functions, of trees, of gradients; what is refused. */
import { grad, mapTree, noGrad, valueAndGrad, vjp, type Tree } from '@infinigrad/autograd';
import { GradientError, tensor, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, runs, spread, t, thrownBy } from './support.ts';

const total = (f: (x: Tensor) => Tensor) => (x: Tensor) => f(x).sum();

describe('closed forms, to third order', () => {
  interface Row {
    readonly f: (x: Tensor) => Tensor;
    readonly derivatives: readonly ((x: number) => number)[];
    readonly from?: number;
    readonly to?: number;
  }
  const { sin, cos, exp, sqrt, tanh } = Math;
  const logistic = (x: number): number => 1 / (1 + exp(-x));
  const rows: Record<string, Row> = {
    'x⁴': {
      f: (x) => x.square().square(),
      derivatives: [(x) => 4 * x ** 3, (x) => 12 * x * x, (x) => 24 * x],
    },
    'sin x': { f: (x) => x.sin(), derivatives: [cos, (x) => -sin(x), (x) => -cos(x)] },
    'x eˣ': {
      f: (x) => x.mul(x.exp()),
      derivatives: [1, 2, 3].map((n) => (x: number) => (x + n) * exp(x)),
    },
    'log x': {
      f: (x) => x.log(),
      derivatives: [(x) => 1 / x, (x) => -1 / x ** 2, (x) => 2 / x ** 3],
      from: 0.3,
    },
    '√x': {
      f: (x) => x.sqrt(),
      derivatives: [(x) => 0.5 / sqrt(x), (x) => -0.25 * x ** -1.5, (x) => 0.375 * x ** -2.5],
      from: 0.3,
    },
    '1/x': {
      f: (x) => x.reciprocal(),
      derivatives: [(x) => -1 / x ** 2, (x) => 2 / x ** 3, (x) => -6 / x ** 4],
      from: 0.5,
    },
    'x^2.5': {
      f: (x) => x.pow(2.5),
      derivatives: [(x) => 2.5 * x ** 1.5, (x) => 3.75 * x ** 0.5, (x) => 1.875 * x ** -0.5],
      from: 0.3,
    },
    'tanh x': {
      f: (x) => x.tanh(),
      derivatives: [
        (x) => 1 - tanh(x) ** 2,
        (x) => -2 * tanh(x) * (1 - tanh(x) ** 2),
        (x) => (1 - tanh(x) ** 2) * (6 * tanh(x) ** 2 - 2),
      ],
    },
    'sigmoid x': {
      f: (x) => x.sigmoid(),
      derivatives: [
        (x) => logistic(x) * (1 - logistic(x)),
        (x) => logistic(x) * (1 - logistic(x)) * (1 - 2 * logistic(x)),
        (x) => {
          const s = logistic(x);
          return s * (1 - s) * (1 - 6 * s + 6 * s * s);
        },
      ],
    },
    'atan x': {
      f: (x) => x.atan(),
      derivatives: [
        (x) => 1 / (1 + x * x),
        (x) => (-2 * x) / (1 + x * x) ** 2,
        (x) => (6 * x * x - 2) / (1 + x * x) ** 3,
      ],
    },
    'e^(-x²)': {
      f: (x) => x.square().neg().exp(),
      derivatives: [
        (x) => -2 * x * exp(-x * x),
        (x) => (4 * x * x - 2) * exp(-x * x),
        (x) => (12 * x - 8 * x ** 3) * exp(-x * x),
      ],
    },
  };
  it.each(Object.entries(rows))('%s', (_, { f, derivatives, from = -2, to = 2 }) => {
    const first = grad(total(f));
    const second = grad(total(first));
    const third = grad(total(second));
    const point = fc.double({ min: from, max: to, noNaN: true });
    const law = fc.property(fc.array(point, { minLength: 1, maxLength: 4 }), (points) => {
      [first, second, third].forEach((g, order) =>
        expectClose(list(g(t(points))), points.map(derivatives[order]!), 1e-9),
      );
    });
    fc.assert(law, { numRuns: runs });
  });
  it('mixed second derivatives do not depend on the order', () => {
    // f = Σ sin(x y²) x
    const f = (x: Tensor, y: Tensor): Tensor => x.mul(y.square()).sin().mul(x).sum();
    const dx = (x: Tensor, y: Tensor): Tensor => grad(f)(x, y);
    const dy = (y: Tensor, x: Tensor): Tensor => grad((v: Tensor, u: Tensor) => f(u, v))(y, x);
    const [x, y] = [spread([4], 1), spread([4], 2)];
    const xy = grad((v: Tensor) => dx(x, v).sum())(y);
    const yx = grad((u: Tensor) => dy(y, u).sum())(x);
    expectClose(list(xy), list(yx));
    const closed = list(x).map((u, i) => {
      const v = list(y)[i]!;
      const [s, c, z] = [Math.sin(u * v * v), Math.cos(u * v * v), 2 * u * v];
      // ∂/∂y (v² cos(u v²) u + sin(u v²))
      return 2 * v * c * u - v * v * s * z * u + c * z;
    });
    expectClose(list(xy), closed);
  });
  it('inner and outer variables are told apart', () => {
    // d/dx (x · d/dy (x + y)) = 1, not 2
    const one = grad((x: Tensor) => x.mul(grad((y: Tensor) => x.add(y))(t(1))));
    expect(list(one(t(3)))).toEqual([1]);
    // d/dx (x · d/dy (x y)) = 2x
    const twice = grad((x: Tensor) => x.mul(grad((y: Tensor) => x.mul(y))(t(1))));
    expect(list(twice(t(3)))).toEqual([6]);
  });
});

describe('grad and valueAndGrad', () => {
  it('take the first argument alone; the others go through', () => {
    const f = (x: Tensor, y: Tensor, options: { power: number }): Tensor => x.mul(y.pow(options.power)).sum();
    const [x, y] = [t([1, 2]), t([3, 4])];
    expect(list(grad(f)(x, y, { power: 2 }))).toEqual([9, 16]);
  });
  it('give the value that the function returns, without history', () => {
    const { value, grad: g } = valueAndGrad((x: Tensor) => x.square().sum())(t([3, 4]));
    expect([list(value), value.requiresGrad]).toEqual([[25], false]);
    expect([list(g), g.requiresGrad]).toEqual([[6, 8], false]);
  });
  it('take results of one element in any rank', () => {
    expect(list(grad((x: Tensor) => x.square().sum(0, true))(t([3, 4])))).toEqual([6, 8]);
  });
  it('of f32 is f32, also where the value is f64', () => {
    const g = grad((x: Tensor) => x.mul(t([2, 3])).sum())(tensor([1, 1]));
    expect([g.dtype, list(g)]).toEqual(['f32', [2, 3]]);
  });
  it('leave `grad` of every leaf alone, inside and out', () => {
    const [x, w] = [leaf([1]), leaf([2])];
    grad((y: Tensor) => y.mul(w).mul(x).sum())(x);
    expect([x.grad, w.grad]).toEqual([null, null]);
  });
  it('do not use up the graph of outer variables', () => {
    const x = leaf([0.5]);
    const h = x.exp();
    expectClose(list(grad((y: Tensor) => y.mul(h).sum())(t([1]))), [Math.exp(0.5)]);
    h.sum().backward();
    expectClose(gradientOf(x), [Math.exp(0.5)]);
  });
  it('work inside noGrad, and see what the function does not record as constant', () => {
    for (const x of [t([3]), leaf([3])])
      expect(noGrad(() => list(grad((y: Tensor) => y.square().sum())(x)))).toEqual([6]);
    const half = grad((x: Tensor) => x.mul(noGrad(() => x.mul(5))).sum());
    expect(list(half(t([3])))).toEqual([15]);
  });
  it('are zero, of the right shape and dtype, where nothing depends on the argument', () => {
    const g = grad<Tensor, []>(() => t(1))(tensor([[1, 2]]));
    expect([g.shape, g.dtype, list(g)]).toEqual([[1, 2], 'f32', [0, 0]]);
    const { a, b } = grad(({ a }: { a: Tensor; b: Tensor }) => a.sum())({ a: t([1]), b: t([2, 3]) });
    expect([list(a), list(b)]).toEqual([[1], [0, 0]]);
  });
  it('second derivatives of what is linear are zero', () => {
    expect(list(grad(total(grad(total((x) => x.mul(3)))))(t([1, 2])))).toEqual([0, 0]);
  });
});

describe('trees', () => {
  it('keep their structure, however deep', () => {
    const params = {
      layers: [
        { w: t([1, 2]), b: t([3]) },
        { w: t([4, 5]), b: t([6]) },
      ],
      scale: t(2),
    };
    const f = ({ layers, scale }: typeof params): Tensor =>
      layers.reduce((y, { w, b }) => y.add(w.square().sum().mul(b)), scale.square()).sum();
    const { value, grad: g } = valueAndGrad(f)(params);
    expect(list(value)).toEqual([4 + 5 * 3 + 41 * 6]);
    expect(mapTree(g, (x) => x)).toEqual(g);
    expect(g.layers.map(({ w, b }) => [list(w), list(b)])).toEqual([
      [[6, 12], [5]],
      [[48, 60], [41]],
    ]);
    expect(list(g.scale)).toEqual([4]);
  });
  it('mapTree visits every tensor once, in order, and leaves the original alone', () => {
    const tree = { a: [t(1), [t(2)]], b: { c: t(3) } };
    const seen: number[] = [];
    const twice = mapTree(tree, (x) => {
      seen.push(x.itemSync());
      return x.mul(2);
    });
    expect(seen).toEqual([1, 2, 3]);
    expect([twice.a, twice.b.c].flat(3).map((x) => (x as Tensor).itemSync())).toEqual([2, 4, 6]);
    expect(tree.b.c.itemSync()).toBe(3);
    expect(mapTree([] as Tree[], (x) => x)).toEqual([]);
  });
  it('a tensor that stands in two places counts as two variables', () => {
    const x = t([3]);
    const [a, b] = grad(([u, v]: readonly [Tensor, Tensor]) => u.square().mul(v).sum())([x, x]);
    expect([list(a), list(b)]).toEqual([[18], [9]]);
  });
  it('integers go through, with a gradient of zeros', () => {
    const index = tensor([2, 0], { dtype: 'i32' });
    const g = grad(({ x, index: i }: { x: Tensor; index: Tensor }) => x.indexSelect(0, i).sum())({
      x: t([1, 2, 3]),
      index,
    });
    expect(list(g.x)).toEqual([1, 0, 1]);
    expect([g.index.dtype, list(g.index)]).toEqual(['i32', [0, 0]]);
  });
});

describe('errors', () => {
  const rows: [string, () => unknown, string][] = [
    [
      'no floating-point argument',
      () => grad((x: Tensor) => x.sum())(tensor([1], { dtype: 'i32' })),
      'grad: no argument is a floating-point tensor',
    ],
    ['no tensor at all', () => grad(() => t(1))([] as Tree), 'grad: no argument is a floating-point tensor'],
    [
      'several numbers',
      () => grad((x: Tensor) => x.mul(2))(t([1, 2])),
      'grad: the output is not a single number: [2] f64. Hint: reduce it (sum, mean)',
    ],
    [
      'no tensor returned',
      () => grad((() => 3) as unknown as (x: Tensor) => Tensor)(t([1])),
      'grad: the function must return one tensor',
    ],
    [
      'a promise returned',
      () => vjp((async (x: Tensor) => x) as unknown as (x: Tensor) => Tensor, t([1])),
      'vjp: the function must return tensors. Hint: one, or several in arrays and plain objects',
    ],
    [
      'integers returned',
      () => grad((x: Tensor) => x.argMax())(t([1, 2])),
      'grad: the function must return a floating-point tensor: [] i32',
    ],
    [
      'truth values returned',
      () => vjp((x: Tensor) => x.gt(0), t([1, 2])),
      'vjp: the function must return a floating-point tensor: [2] bool',
    ],
    [
      'a number in a tree',
      () => grad((x: Tree) => (x as { a: Tensor }).a.sum())({ a: t([1]), power: 2 } as unknown as Tree),
      'grad: a tree holds tensors alone, got 2 at [0].power. Hint: hand numbers and options over as further arguments',
    ],
    [
      'nothing in a tree',
      () => mapTree([t(1), null] as unknown as Tree, (x) => x),
      'mapTree: a tree holds tensors alone, got null at [1]',
    ],
    [
      'text in a tree',
      () => mapTree('ab' as unknown as Tree, (x) => x),
      'mapTree: a tree holds tensors alone, got ab',
    ],
    [
      'an object with methods in a tree',
      () =>
        grad((d: Tree) => (d as unknown as Date).getDate() as unknown as Tensor)(
          new Date(0) as unknown as Tree,
        ),
      'grad: a tree holds tensors alone, got an instance of Date at [0]. Hint: hand it over as a further argument; functionalCall',
    ],
    [
      'several results without hasAux',
      () => valueAndGrad(((x: Tensor) => [x.sum(), x]) as unknown as (x: Tensor) => Tensor)(t([1])),
      'valueAndGrad: the function must return one tensor. Hint: with hasAux: true it returns [value, aux]',
    ],
    [
      'one result with hasAux',
      () =>
        grad(((x: Tensor) => x.sum()) as unknown as (x: Tensor) => [Tensor, null], { hasAux: true })(t([1])),
      'grad: with hasAux the function must return [value, aux]',
    ],
    [
      'several numbers with hasAux',
      () => valueAndGrad((x: Tensor) => [x, 1], { hasAux: true })(t([1, 2])),
      'valueAndGrad: the output is not a single number: [2] f64',
    ],
    [
      'no tensor among several returned',
      () => vjp((() => [t(1), 3]) as unknown as (x: Tensor) => Tensor, t([1])),
      'vjp: the function must return tensors',
    ],
    [
      'a cotangent of another structure',
      () =>
        vjp((x: Tensor) => ({ a: [x, x] }), t([1])).pullback({ a: [t([1])] } as unknown as { a: Tensor[] }),
      'vjp: value and gradient must have one structure, and differ at a',
    ],
    [
      'a cotangent of another shape',
      () => vjp((x: Tensor) => x.mul(2), t([1, 2])).pullback(t([1])),
      'vjp: output and gradient must have one shape: [2] f64, [1] f64',
    ],
    [
      'a cotangent of integers',
      () => vjp((x: Tensor) => x.mul(2), t([1])).pullback(tensor([1], { dtype: 'i32' })),
      '[1] f64, [1] i32',
    ],
  ];
  it.each(rows)('%s', (_, body, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(says);
  });
  it('what the function throws goes on its way, and the next call stands outside again', () => {
    const failure = new Error('of the function');
    expect(
      thrownBy(() =>
        grad((): Tensor => {
          throw failure;
        })(t([1])),
      ),
    ).toBe(failure);
    // Were the failed call still counted as open, this gradient would be one inside another.
    expect(grad((x: Tensor) => x.square().sum())(t([3])).requiresGrad).toBe(false);
  });
});
