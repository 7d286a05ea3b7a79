/** PyTorch's door: what `backward` adds where, what it refuses, what it forgets, and when ops are recorded. */
import {
  backward,
  derivatives,
  enableGrad,
  noGrad,
  recording,
  type DerivativeTable,
  type Rule,
} from '@infinigrad/autograd';
import { concat, GradientError, tensor, where, type OpName, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectClose, giveValue, gradientOf, leaf, list, runs, spread, t, thrownBy } from './support.ts';

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

describe('requiresGrad, grad, isLeaf, detach', () => {
  it('are off for new tensors and on for what is made of leaves', () => {
    const plain = t([1]);
    expect([plain.requiresGrad, plain.isLeaf, plain.grad]).toEqual([false, true, null]);
    const x = leaf([1]);
    expect([x.requiresGrad, x.isLeaf, x.grad]).toEqual([true, true, null]);
    const y = x.add(plain);
    expect([y.requiresGrad, y.isLeaf, y.grad]).toEqual([true, false, null]);
    const z = plain.add(plain);
    expect([z.requiresGrad, z.isLeaf]).toEqual([false, true]);
  });
  it('requireGrad gives the tensor itself; setting what is set keeps the gradient', () => {
    const x = t([1]);
    expect(x.requireGrad()).toBe(x);
    x.sum().backward();
    x.requiresGrad = true;
    expect(gradientOf(x)).toEqual([1]);
  });
  it('switched off, a leaf is a constant and forgets its gradient', () => {
    const x = leaf([1]);
    x.sum().backward();
    x.requiresGrad = false;
    expect([x.requiresGrad, x.grad, x.mul(2).requiresGrad]).toEqual([false, null, false]);
  });
  it('a leaf takes the gradient it is given', () => {
    const x = leaf([1, 2]);
    x.grad = t([10, 20]);
    x.sum().backward();
    expect(gradientOf(x)).toEqual([11, 21]);
  });
  it('results keep no gradient of their own', () => {
    const x = leaf([2]);
    const y = x.square();
    y.mul(3).sum().backward();
    expect([y.grad, gradientOf(x)]).toEqual([null, [12]]);
  });
  it('detach gives the same elements without the history', () => {
    const x = leaf([2]);
    const y = x.square();
    const cut = y.detach();
    expect([list(cut), cut.dtype, cut.requiresGrad, cut.isLeaf]).toEqual([[4], 'f64', false, true]);
    y.mul(cut).sum().backward();
    expect(gradientOf(x)).toEqual([4 * 4]);
    expect(cut.grad).toBeNull();
  });
  it('a detached leaf can be a leaf of its own', () => {
    const x = leaf([2]);
    const y = x.detach().requireGrad();
    x.mul(y).sum().backward();
    expect([gradientOf(x), gradientOf(y)]).toEqual([[2], [2]]);
    y.requiresGrad = false;
    expect(x.requiresGrad).toBe(true);
  });
});

describe('recording', () => {
  it('noGrad records nothing and gives back what its body returns', () => {
    const x = leaf([2]);
    const { y, was } = noGrad(() => ({ y: x.square(), was: recording() }));
    expect([y.requiresGrad, list(y), was, recording()]).toEqual([false, [4], false, true]);
    expect(x.square().requiresGrad).toBe(true);
  });
  it.each([
    ['noGrad', noGrad],
    ['enableGrad', enableGrad],
  ])('%s refuses a body that goes on later', (name, mode) => {
    expect(thrownBy(() => mode(async () => {})).message).toBe(
      `${name}: the body is asynchronous: what comes after its first await is outside. Hint: await outside, or put each part between two awaits into one of its own`,
    );
    expect(leaf([1]).mul(2).requiresGrad).toBe(true);
  });
  it('a result made under noGrad is a constant to what follows', () => {
    const x = leaf([3]);
    const factor = noGrad(() => x.mul(10));
    x.mul(factor).sum().backward();
    expect(gradientOf(x)).toEqual([30]);
  });
  it('nests, each level restoring the one outside', () => {
    const x = leaf([1]);
    const seen: boolean[] = [];
    const look = (): void => void seen.push(x.mul(2).requiresGrad, recording());
    look();
    noGrad(() => {
      look();
      enableGrad(() => {
        look();
        noGrad(look);
        look();
      });
      look();
      noGrad(look);
      look();
    });
    look();
    const [on, off] = [
      [true, true],
      [false, false],
    ];
    expect(seen).toEqual([on, off, on, off, on, off, off, off, on].flat());
  });
  it.each([
    ['noGrad', noGrad, true],
    ['noGrad within noGrad', (body: () => never) => noGrad(() => noGrad(body)), true],
    ['enableGrad within noGrad', (body: () => never) => noGrad(() => enableGrad(body)), true],
  ] as const)('%s is undone by an exception, which goes on its way', (_, run, expected) => {
    const failure = new Error('of the body');
    expect(
      thrownBy(() =>
        run(() => {
          throw failure;
        }),
      ),
    ).toBe(failure);
    expect(recording()).toBe(expected);
    expect(leaf([1]).mul(2).requiresGrad).toBe(true);
    noGrad(() => {
      expect(() => enableGrad(() => t([1]).add(t([1, 2, 3]).reshape([5])))).toThrow('reshape');
      expect(recording()).toBe(false);
    });
  });
  it('backward switches it off and restores it, also where it fails', () => {
    const x = leaf([1]);
    const y = x.exp().sum();
    y.backward();
    expect(recording()).toBe(true);
    expect(() => y.backward()).toThrow('released');
    expect(recording()).toBe(true);
  });
  it('leaves can be made and gradients taken inside noGrad', () => {
    const x = leaf([2]);
    const y = x.square().sum();
    noGrad(() => {
      y.backward();
      expect(t([1]).requireGrad().requiresGrad).toBe(true);
    });
    expect(gradientOf(x)).toEqual([4]);
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
