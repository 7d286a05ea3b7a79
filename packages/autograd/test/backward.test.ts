/** PyTorch's door: what `backward` adds where, broadcasting, kinks, dtypes, and what it refuses. */
import { backward, derivatives, noGrad, type DerivativeTable, type Rule } from '@infinigrad/autograd';
import { concat, GradientError, tensor, where, type OpName, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, runs, spread, t, thrownBy } from './support.ts';

describe('accumulation', () => {
  it('adds up every use of a leaf', () => {
    const x = leaf([2, 3]);
    // x + x·x + x²·5: each use by itself
    x.add(x.mul(x)).add(x.square().mul(5)).sum().backward();
    expect(gradientOf(x)).toEqual([1 + 4 + 20, 1 + 6 + 30]);
  });
  it('adds to the gradient that is there, until it is set to null', () => {
    const x = leaf([2, 3]);
    const loss = (): Tensor => x.square().sum();
    loss().backward();
    expect(gradientOf(x)).toEqual([4, 6]);
    loss().backward();
    loss().mul(10).backward();
    expect(gradientOf(x)).toEqual([48, 72]);
    x.grad = null;
    loss().backward();
    expect(gradientOf(x)).toEqual([4, 6]);
  });
  it('leaves gradients taken before as they were', () => {
    const x = leaf([1, 2]);
    x.sum().backward();
    const before = x.grad!;
    x.sum().backward();
    expect([list(before), gradientOf(x)]).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });
  it('goes to every leaf, and only to those that need one', () => {
    const [a, b, c] = [leaf([2]), leaf([3]), t([5])];
    a.mul(b).mul(c).sum().backward();
    expect([gradientOf(a), gradientOf(b), c.grad]).toEqual([[15], [10], null]);
  });
  it('keeps the gradients of leaves apart that hold the same elements', () => {
    const a = leaf([2]);
    const b = a.detach().requireGrad();
    a.mul(b.mul(b)).sum().backward();
    expect([gradientOf(a), gradientOf(b)]).toEqual([[4], [8]]);
  });
  it('reaches a leaf through both sides of a diamond, and through diamonds in a row', () => {
    const x = leaf([0.5]);
    const doubled = (y: Tensor): Tensor => y.add(y);
    // 2^60 paths, 60 nodes
    let y = x.mul(1);
    for (let i = 0; i < 60; i++) y = doubled(y);
    y.sum().backward();
    expect(gradientOf(x)).toEqual([2 ** 60]);
  });
  it('of a leaf itself is the gradient given', () => {
    const x = leaf([1, 2]);
    x.backward(t([3, 4]));
    x.backward(t([10, 10]));
    expect(gradientOf(x)).toEqual([13, 14]);
    const one = leaf([[7]]);
    one.backward();
    expect(gradientOf(one)).toEqual([1]);
  });
  it('weights the output by the gradient given', () => {
    const x = leaf([1, 2, 3]);
    x.square().backward(t([1, 0, -2]));
    expect(gradientOf(x)).toEqual([2, 0, -12]);
    const z = leaf([1, 2, 3]);
    backward(z.square(), t([1, 0, -2]));
    expect(gradientOf(z)).toEqual([2, 0, -12]);
  });
  it('takes outputs of one element in any rank without a gradient', () => {
    for (const shape of [[], [1], [1, 1, 1]]) {
      const x = leaf([3]);
      x.square().reshape(shape).backward();
      expect(gradientOf(x)).toEqual([6]);
    }
  });
  it('through concat and where goes to the operand that was taken', () => {
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    concat([a, b, a])
      .mul(t([1, 2, 3, 4, 5, 6]))
      .sum()
      .backward();
    expect([gradientOf(a), gradientOf(b)]).toEqual([
      [6, 8],
      [3, 4],
    ]);
    const [c, d] = [leaf([1, 2]), leaf([3, 4])];
    where(tensor([true, false]), c, d)
      .sum()
      .backward();
    expect([gradientOf(c), gradientOf(d)]).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });
});

describe('broadcasting', () => {
  /** Every index of a shape. */
  const places = (shape: readonly number[]): number[][] =>
    shape.reduce<number[][]>(
      (rows, n) => rows.flatMap((row) => Array.from({ length: n }, (_, i) => [...row, i])),
      [[]],
    );
  const at = (shape: readonly number[], index: readonly number[]): number =>
    shape.reduce((k, n, axis) => k * n + (n === 1 ? 0 : index[axis - shape.length + index.length]!), 0);
  const whole = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 });
  const part = (shape: readonly number[]): fc.Arbitrary<number[]> =>
    fc
      .tuple(fc.nat(shape.length), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
      .map(([cut, ones]) => shape.slice(cut).map((n, i) => (ones[i] ? 1 : n)));

  it('sums the gradient over all that an element was stretched to', () => {
    const law = fc.property(
      whole.chain((shape) => fc.tuple(fc.constant(shape), part(shape), part(shape))),
      ([shape, one, two]) => {
        const [a, b] = [spread(one, 1).requireGrad(), spread(two, 2).requireGrad()];
        const y = a.mul(b).expand(shape);
        const weights = spread(shape, 3);
        y.backward(weights);
        const [av, bv, wv] = [a, b, weights].map(list) as [number[], number[], number[]];
        const [da, db] = [av.map(() => 0), bv.map(() => 0)];
        places(shape).forEach((index, k) => {
          const [i, j] = [at(one, index), at(two, index)];
          da[i]! += wv[k]! * bv[j]!;
          db[j]! += wv[k]! * av[i]!;
        });
        expectClose(gradientOf(a), da);
        expectClose(gradientOf(b), db);
      },
    );
    fc.assert(law, { numRuns: runs });
  });
});

describe('where there is no derivative the documented one stands in', () => {
  const gradientAt = (f: (x: Tensor) => Tensor, values: number[]): number[] => {
    const x = leaf(values);
    f(x).sum().backward();
    return gradientOf(x);
  };
  it('equal extremes share the gradient', () => {
    expect(gradientAt((x) => x.max(), [3, 1, 3])).toEqual([0.5, 0, 0.5]);
    expect(gradientAt((x) => x.min(), [1, 1, 1, 1])).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(gradientAt((x) => x.maximum(t([2, 2, 2])), [1, 2, 3])).toEqual([0, 0.5, 1]);
    expect(gradientAt((x) => x.minimum(t([2, 2, 2])), [1, 2, 3])).toEqual([1, 0.5, 0]);
    expect(gradientAt((x) => x.maximum(x), [5])).toEqual([1]);
  });
  it('kinks take one side or the middle', () => {
    expect(gradientAt((x) => x.relu(), [-1, 0, 1])).toEqual([0, 0, 1]);
    expect(gradientAt((x) => x.abs(), [-1, 0, 1])).toEqual([-1, 0, 1]);
    expect(gradientAt((x) => x.clip(-1, 1), [-2, -1, 0, 1, 2])).toEqual([0, 1, 1, 1, 0]);
  });
  it('a product with zeros has the product of the others', () => {
    expect(gradientAt((x) => x.prod(), [2, 3, 4])).toEqual([12, 8, 6]);
    expect(gradientAt((x) => x.prod(), [2, 0, 4])).toEqual([0, 8, 0]);
    expect(gradientAt((x) => x.prod(), [0, 0, 4])).toEqual([0, 0, 0]);
    // and the second derivative with respect to both zeros is what is left: 4
    const x = leaf([0, 0, 4]);
    x.prod().backward(undefined, { createGraph: true });
    const first = x.grad!;
    x.grad = null;
    first
      .mul(t([1, 0, 0]))
      .sum()
      .backward();
    expect(gradientOf(x)).toEqual([0, 4, 0]);
  });
  it('powers of zero have finite gradients where there is one', () => {
    const at = (base: number, exponent: number): number[] => {
      const [x, y] = [leaf(base), leaf(exponent)];
      x.pow(y).backward();
      return [gradientOf(x)[0]!, gradientOf(y)[0]!];
    };
    expect(at(0, 2)).toEqual([0, 0]);
    expect(at(0, 1)).toEqual([1, 0]);
    expect(at(0, 0)[0]).toBe(0);
    expect(at(-2, 3)[0]).toBe(12);
  });
});

describe('dtypes', () => {
  it('a gradient has the dtype of its leaf, whatever the graph computes in', () => {
    const single = tensor([1, 2]).requireGrad();
    const double = leaf([3, 4]);
    const whole = tensor([5, 6], { dtype: 'i32' });
    single.mul(double).mul(whole).sum().backward();
    expect(gradientOf(single)).toEqual([15, 24]);
    expect(gradientOf(double)).toEqual([5, 12]);
    expect([whole.requiresGrad, whole.grad]).toEqual([false, null]);
  });
  it('a gradient given in another float is converted to that of the result', () => {
    const x = tensor([1, 2]).requireGrad();
    x.mul(3).backward(t([1, 10]));
    expect([x.grad!.dtype, list(x.grad!)]).toEqual(['f32', [3, 30]]);
  });
  it('results that are no floats need no gradient', () => {
    const x = leaf([1.5, -2]);
    for (const y of [x.cast('i32'), x.gt(0), x.argMax(), x.isNaN(), x.ne(0).logicalNot()])
      expect([y.requiresGrad, y.isLeaf]).toEqual([false, true]);
    // What is made of them goes on without one.
    expect(x.cast('i32').cast('f64').requiresGrad).toBe(false);
    expect(() => x.cast('i32').sum().backward()).toThrow('does not depend on any tensor');
  });
  it('steps have a gradient of zero, not none', () => {
    const x = leaf([1.5, -2.25]);
    x.floor().add(x.sign()).sum().backward();
    expect(gradientOf(x)).toEqual([0, 0]);
  });
});

describe('errors', () => {
  const rows: [string, () => unknown, string][] = [
    [
      'nothing needs a gradient',
      () => t([1]).mul(2).sum().backward(),
      'backward: the tensor does not depend on any tensor that needs a gradient: [] f64. Hint: set requiresGrad on an input, outside noGrad',
    ],
    [
      'all was made under noGrad',
      () => noGrad(() => leaf([1]).sum()).backward(),
      'backward: the tensor does not depend on any tensor that needs a gradient: [] f64',
    ],
    [
      'the output has several elements',
      () => leaf([1, 2]).mul(2).backward(),
      'backward: the output is not a single number: [2] f64. Hint: reduce it (sum, mean) or pass the gradient with respect to it',
    ],
    [
      'the output has no elements',
      () => leaf([]).mul(2).backward(),
      'backward: the output is not a single number: [0] f64',
    ],
    [
      'the gradient has another shape',
      () =>
        leaf([1, 2])
          .mul(2)
          .backward(t([1, 2, 3])),
      'backward: output and gradient must have one shape: [2] f64, [3] f64',
    ],
    [
      'the gradient would broadcast',
      () =>
        leaf([1, 2])
          .mul(2)
          .backward(t([1])),
      'backward: output and gradient must have one shape: [2] f64, [1] f64',
    ],
    [
      'the gradient is integers',
      () =>
        leaf([1, 2])
          .mul(2)
          .backward(tensor([1, 2], { dtype: 'i32' })),
      '[2] f64, [2] i32',
    ],
    [
      'integers are to have a gradient',
      () => tensor([1, 2], { dtype: 'i32' }).requireGrad(),
      'requiresGrad: only floating-point tensors have gradients: [2] i32',
    ],
    [
      'truth values are to have a gradient',
      () => (tensor([true]).requiresGrad = true),
      'requiresGrad: only floating-point tensors have gradients: [1] bool',
    ],
    [
      'a result is to need none',
      () => (leaf([1]).mul(2).requiresGrad = false),
      'requiresGrad: cannot be taken from the result of an op: [1] f64. Hint: detach() it',
    ],
    [
      'a result is given a gradient',
      () => (leaf([1]).mul(2).grad = t([1])),
      'grad: only a leaf that requires a gradient holds one: [1] f64',
    ],
    [
      'a constant is given a gradient',
      () => (t([1]).grad = t([1])),
      'grad: only a leaf that requires a gradient holds one: [1] f64',
    ],
    [
      'a leaf is given a gradient of another shape',
      () => (leaf([1, 2]).grad = t([1])),
      'grad: tensor and gradient must have one shape and one dtype: [2] f64, [1] f64',
    ],
    [
      'a leaf is given a gradient of another dtype',
      () => (leaf([1, 2]).grad = tensor([1, 2])),
      'grad: tensor and gradient must have one shape and one dtype: [2] f64, [2] f32',
    ],
  ];
  it.each(rows)('%s', (_, body, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(says);
  });
  it('a wrong call of backward does not use up the graph', () => {
    const x = leaf([1, 2]);
    const y = x.square();
    expect(() => y.backward()).toThrow(GradientError);
    expect(() => y.backward(t([1]))).toThrow(GradientError);
    y.backward(t([1, 1]));
    expect(gradientOf(x)).toEqual([2, 4]);
  });
  it('an op without a derivative is refused where one is needed, with the reason', () => {
    const table = derivatives as { -readonly [K in keyof DerivativeTable]: Rule };
    const op: OpName = 'sin';
    const rule = table[op];
    table[op] = { kind: 'none', reason: 'of the test' };
    try {
      const x = leaf([1]);
      expect(() => x.sin()).toThrow(
        'sin: has no derivative (of the test): [1] f64. Hint: detach() the inputs',
      );
      expect(list(x.detach().sin())).toEqual([Math.sin(1)]);
      expect(list(noGrad(() => x.sin()))).toEqual([Math.sin(1)]);
    } finally {
      table[op] = rule;
    }
  });
});
