/** Checkpointing: the same gradients to the bit, in less memory. */
import {
  backward,
  checkpoint,
  customGradient,
  grad,
  gradcheck,
  jvp,
  noGrad,
  valueAndGrad,
  vjp,
  vmap,
} from '@infinigrad/autograd';
import { Key, keep, memoryStats, scope, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectGarbage, expectClose, gradientOf, list, runs, spread } from '../support.ts';
import { inputs, programs, run, shape } from '../programs.ts';
import { onEachKind, peakOf } from './kinds.ts';

onEachKind(({ normal, leaf: leafOf, dtype }, test) => {
  type Block = (x: Tensor) => Tensor;
  const wrapped = (f: Block): Block => checkpoint(f);
  const plainly = (f: Block): Block => f;

  /** Blocks over shared and own weights, with x used many times inside and out. */
  const network = (wrap: (f: Block) => Block, w: readonly Tensor[], x: Tensor): Tensor => {
    let y = x;
    for (let i = 0; i < 3; i++) {
      const block = wrap((z) => {
        const a = z.matmul(w[0]!).gelu();
        const b = z.matmul(w[1 + i]!).softmax();
        return a.mul(b).add(z.mul(w[4]!)).layerNorm(w[4]!, w[4]!).add(z);
      });
      y = block(y).add(y.mul(0.3)).add(x.mul(y));
    }
    return y.square().mean().add(w[0]!.square().sum().mul(0.01));
  };
  const weights = (): Tensor[] => [...[0, 1, 2, 3].map((i) => leafOf([4, 4], i)), leafOf([4], 9)];
  const gradients = (w: readonly Tensor[]): number[][] => w.map(gradientOf);

  const compare = (step: (wrap: (f: Block) => Block, w: Tensor[], x: Tensor) => void): void => {
    const [w, v] = [weights(), weights()];
    const [x, y] = [leafOf([3, 4], 20), leafOf([3, 4], 20)];
    step(plainly, w, x);
    step(wrapped, v, y);
    expect(gradients([...v, y])).toEqual(gradients([...w, x]));
  };

  test('gives the gradients of arguments and of what is captured to the bit', () => {
    compare((wrap, w, x) => network(wrap, w, x).backward());
    compare((wrap, w, x) => scope(() => network(wrap, w, x).backward(undefined, { consume: true })));
    compare((wrap, w, x) => scope(() => network(wrap, w, x.mul(1)).backward(), { fuse: true }));
    compare((wrap, w, x) => scope(() => network(wrap, w, x)).backward());
  });
  test('the value too, and twice over a graph that is retained', () => {
    compare((wrap, w, x) => {
      const loss = network(wrap, w, x);
      loss.backward(undefined, { retainGraph: true });
      loss.backward();
    });
    const [w, x] = [weights(), leafOf([3, 4])];
    expect(list(network(wrapped, w, x))).toEqual(list(network(plainly, w, x)));
  });
  test('one inside the other', () => {
    const nested = (f: Block): Block =>
      checkpoint((z: Tensor) => checkpoint(f)(checkpoint((u: Tensor) => u.tanh())(z)).add(z));
    const both =
      (f: Block): Block =>
      (z) =>
        f(z.tanh()).add(z);
    const [w, v] = [weights(), weights()];
    const [x, y] = [leafOf([3, 4], 20), leafOf([3, 4], 20)];
    network(both, w, x).backward();
    network(nested, v, y).backward();
    expect(gradients([...v, y])).toEqual(gradients([...w, x]));
  });
  test('in grad, valueAndGrad and vjp; a gradient of a gradient but for the order of sums', () => {
    const w = weights().map((x) => x.detach());
    const x = normal([3, 4], 20);
    for (const of of [
      (f: Block): Tensor[] => [grad(f)(x)],
      (f: Block): Tensor[] => Object.values(valueAndGrad(f)(x)),
      (f: Block): Tensor[] => [...vjp(f, x).pullback(f(x))],
    ]) {
      const [checkpointed, plain] = [wrapped, plainly].map((wrap) =>
        of((y) => network(wrap, w, y)).map(list),
      );
      expect(checkpointed).toEqual(plain);
    }
    const twice = (wrap: (f: Block) => Block): number[] => {
      const f = (y: Tensor): Tensor =>
        wrap((z) => z.mul(w[4]!).tanh())(wrap((z) => z.matmul(w[0]!))(y)).sum();
      return list(grad((y: Tensor) => grad(f)(y).square().sum())(x));
    };
    expectClose(twice(wrapped), twice(plainly), dtype === 'f32' ? 1e-6 : 1e-14);
    // The captured ones, with respect to trees.
    const tree = (wrap: (f: Block) => Block): number[][] =>
      grad((u: readonly Tensor[]) => network(wrap, u, x))(w).map(list);
    expect(tree(wrapped)).toEqual(tree(plainly));
  });
  test('has several results, in trees, among them some without a gradient and some from outside', () => {
    const two = ({ a, b }: { a: Tensor; b: readonly Tensor[] }, n: number, same: Tensor) => ({
      sum: a.add(b[0]!).mul(n),
      rest: [a.mul(b[0]!).exp(), a.gt(0), same] as const,
    });
    const gradientsOf = (f: typeof two): number[][] => {
      const [a, b, c] = [leafOf([3]), leafOf([3], 1), leafOf([3], 2)];
      const { sum, rest } = scope(() => f({ a, b: [b] }, 2, c));
      expect([rest[1].requiresGrad, rest[1].dtype]).toEqual([false, 'bool']);
      sum.mul(rest[0]).add(rest[1].where(rest[2], 0)).sum().backward();
      return gradients([a, b, c]);
    };
    expect(gradientsOf(checkpoint(two))).toEqual(gradientsOf(two));
    // One of them alone.
    const [x, y] = [leafOf([3]), leafOf([3], 1)];
    checkpoint(two)({ a: x, b: [y] }, 2, x)
      .sum.sum()
      .backward();
    expect(gradients([x, y])).toEqual([
      [2, 2, 2],
      [2, 2, 2],
    ]);
  });
  test('draws the same numbers again, since they come by key', () => {
    const dropped = (wrap: (f: Block) => Block, x: Tensor): Tensor => {
      let y = x;
      for (let i = 0; i < 3; i++)
        y = wrap((z) => new Key(7).foldIn(i).bernoulli(0.5, z.shape).where(z.sin(), 0).add(z))(y);
      return y.square().sum();
    };
    const [x, y] = [leafOf([8, 8]), leafOf([8, 8])];
    dropped(plainly, x).backward();
    dropped(wrapped, y).backward();
    expect(gradientOf(y)).toEqual(gradientOf(x));
  });
  test('what it captures outlives its scope with the result', () => {
    const x = leafOf([3]);
    const loss = scope(() => {
      const [h, c] = [x.exp(), normal([3], 5).mul(2)];
      return scope(() => checkpoint((y: Tensor) => y.mul(h).mul(c))(x.sin()).sum());
    });
    loss.backward();
    const c = normal([3], 5).mul(2);
    const plain = grad((y: Tensor) => y.sin().mul(y.exp()).mul(c).sum())(x.detach());
    expect(gradientOf(x)).toEqual(list(plain));
  });
  test('gives back at once what the function makes, but for what it keeps', () => {
    const x = leafOf([3]);
    let seen: Tensor[] = [];
    scope(() => {
      const y = checkpoint((z: Tensor) => {
        seen = [z.exp(), keep(z.cos().detach())];
        return seen[0]!.mul(seen[1]!);
      })(x);
      expect(seen.map(({ storage }) => storage.disposed)).toEqual([true, false]);
      expect(y.storage.disposed).toBe(false);
    });
  });
  test('records nothing where nothing is recorded', () => {
    const [f, x] = [checkpoint((y: Tensor) => y.exp()), leafOf([2])];
    expect(noGrad(() => f(x)).requiresGrad).toBe(false);
    expect(f(x.detach()).requiresGrad).toBe(false);
    expect(f(x).requiresGrad).toBe(true);
    expect(checkpoint((y: Tensor) => y)(x)).toBe(x);
  });

  describe('memory', () => {
    const size = 64 * 64 * (dtype === 'f32' ? 4 : 8);
    const blocks = 16;
    /** Three tensors of a block are saved. */
    const chain = (wrap: (f: Block) => Block, x: Tensor): Tensor => {
      let y = x;
      for (let i = 0; i < blocks; i++) y = wrap((z) => z.tanh().sin().exp())(y);
      return y.sum();
    };
    const step = (wrap: (f: Block) => Block) => (): void => {
      const x = leafOf([64, 64]);
      scope(() => chain(wrap, x).backward(undefined, { consume: true }));
    };
    test('is that of what lies between the blocks, and of one block', () => {
      step(plainly)();
      const [plain, checkpointed] = [peakOf(step(plainly)), peakOf(step(wrapped))];
      expect(plain / size).toBeGreaterThanOrEqual(3 * blocks);
      expect(checkpointed / size).toBeLessThanOrEqual(blocks + 10);
    });
    test('is of the order of the root, in segments of segments', () => {
      const chainOf = (depth: number, x: Tensor): Tensor =>
        depth === 0
          ? x.tanh().sin().exp()
          : [0, 1, 2, 3].reduce((y) => checkpoint((z: Tensor) => chainOf(depth - 1, z))(y), x);
      const x = leafOf([64, 64]);
      const peak = peakOf(() => scope(() => chainOf(2, x).sum().backward(undefined, { consume: true })));
      // 16 blocks: 4 between segments, 4 inside one, and one block.
      expect(peak / size).toBeLessThanOrEqual(18);
    });
    test('of small gradients is small, though they are parts of something large', () => {
      const gains = Array.from({ length: blocks }, (_, i) => leafOf([64], i));
      const x = leafOf([64, 64]);
      let atTheEnd = Infinity;
      scope(() => {
        const { bytes } = memoryStats();
        x.registerHook(() => void (atTheEnd = memoryStats().bytes - bytes));
        gains
          .reduce((y, gain) => y.rmsNorm(gain), x)
          .sum()
          .backward(undefined, { consume: true });
      });
      // The gradient of x, and what its own was computed from; on js what the norms were made of in the forward pass, too.
      expect(atTheEnd / size).toBeLessThanOrEqual(dtype === 'f32' ? 4 : 3 * blocks);
    });
    test('does not grow with the steps', () => {
      step(wrapped)();
      const { bytes } = memoryStats();
      for (let i = 0; i < 10; i++) step(wrapped)();
      // The gradients of the leaves are the garbage collector's.
      expect(memoryStats().bytes - bytes).toBeLessThanOrEqual(10 * 2 * size);
    });
  });
});

describe('in f64', () => {
  it('random programs have the same gradients to the bit, whole or in part', () => {
    const law = fc.property(programs, programs, fc.nat(), (inner, outer, seed) => {
      const weights = spread(shape, seed);
      const of = (
        wrap: <A extends readonly unknown[]>(f: (...args: A) => Tensor) => (...args: A) => Tensor,
      ) => {
        const [a, b] = [inputs(seed), inputs(seed + 1)].map((xs) => xs.map((x) => x.requireGrad()));
        const block = wrap((xs: readonly Tensor[]) => run(inner, [...xs, ...b!]));
        const first = block(a!);
        backward(run(outer, [first, ...b!, block([...b!, first])]), weights);
        return [...a!, ...b!].map((x) => x.grad && list(x.grad));
      };
      expect(of(checkpoint)).toEqual(of((f) => f));
    });
    fc.assert(law, { numRuns: runs });
  });
  it('inside vmap is its function, in and out of a gradient', () => {
    const [x, w] = [spread([3, 2]), spread([2], 4)];
    const f = (y: Tensor): Tensor => y.mul(w).tanh().mul(y);
    const of = (g: typeof f): number[][] =>
      [
        grad((y: Tensor) => vmap(g)(y).sum())(x),
        vmap(grad((y: Tensor) => g(y).sum()))(x),
        grad((y: Tensor) => checkpoint((z: Tensor) => vmap(g)(z))(y).sum())(x),
      ].map(list);
    expect(of(checkpoint(f))).toEqual(of(f));
  });
  it('is differentiated twice', () => {
    const w = spread([3], 5);
    const f = checkpoint((x: Tensor, y: Tensor) => x.mul(y).tanh().mul(w).add(x.exp()));
    gradcheck((x, y) => f(x!, f(y!, x!)), [spread([2, 3]), spread([3], 1)], { order: 2 });
    const captured = spread([3], 2);
    gradcheck((x, c) => checkpoint((y: Tensor) => y.mul(c!).sin())(x!), [spread([3]), captured], {
      order: 2,
    });
  });
  describe('derivatives of derivatives are those of its function, reverse and forward in every order', () => {
    type Scalar = (x: Tensor, w: Tensor) => Tensor;
    const [x, w, v] = [spread([3]), spread([3], 1), spread([3], 2)];
    const orders = {
      reverse: grad,
      forward: (f: Scalar) => (y: Tensor, z: Tensor) => jvp(f, [y, z], [v, z.detach()]).tangent,
    };
    const names = ['reverse', 'forward'] as const;
    const nests = names.flatMap((a) => names.flatMap((b) => names.map((c) => [a, b, c] as const)));
    const inner = (y: Tensor, z: Tensor): Tensor => y.mul(z).sin().mul(y.square().add(z.exp()));
    it.each(nests)('%s, of %s, of %s', (...nest) => {
      const of = (f: Scalar): Tensor =>
        nest.toReversed().reduce<Scalar>(
          (g, order) => (y, z) => orders[order](g)(y, z).mul(y.cos()).sum(),
          (y, z) => f(y, z).sum(),
        )(x, w);
      const expected = list(of(inner));
      expectClose(list(of(checkpoint(inner))), expected, 1e-10);
      expectClose(
        list(of((y, z) => checkpoint(inner)(checkpoint(inner)(y, z), z))),
        list(of((y, z) => inner(inner(y, z), z))),
        1e-9,
      );
    });
    it('so is a direction along which a direction moves', () => {
      const of = (f: (y: Tensor) => Tensor) =>
        grad((u: Tensor) => {
          const along = (d: Tensor): Tensor => jvp(f, [x], [d]).tangent.sum();
          return jvp(along, [w], [u]).tangent;
        })(v);
      expectClose(list(of(checkpoint((y: Tensor) => y.sin()))), list(x.cos()));
    });
    it('a tangent beside it is differentiated through it', () => {
      const of = (f: (y: Tensor) => Tensor) =>
        grad((y: Tensor) => jvp((t: Tensor) => t.mul(f(y)).sum(), [v], [w]).tangent)(x);
      expectClose(list(of(checkpoint((y: Tensor) => y.sin()))), list(w.mul(x.cos())));
    });
  });
  it('a leaf that its function makes when it is called first has its gradient', () => {
    let w: Tensor | null = null;
    const f = checkpoint((x: Tensor) => x.mul((w ??= keep(spread([2]).requireGrad()))));
    f(spread([2], 1))
      .sum()
      .backward();
    expectClose(gradientOf(w!), list(spread([2], 1)), 0);
  });
  it('holds a function with a gradient of its own, and stands in one', () => {
    const doubled = customGradient(
      (x: Tensor) => ({ output: x.exp(), saved: x }),
      (g: Tensor, x) => g.mul(x.exp()),
    );
    gradcheck((x) => checkpoint((y: Tensor) => doubled(y.sin()))(x), [spread([3])], { order: 2 });
    const outer = customGradient(
      (x: Tensor) => ({ output: checkpoint((y: Tensor) => y.square())(x), saved: x }),
      (g: Tensor, x) => checkpoint((h: Tensor) => h.mul(x).mul(2))(g),
    );
    gradcheck(outer, [spread([3])], { order: 2 });
  });
  it('holds no activations while it waits', async () => {
    const x = spread([50]).requireGrad();
    const build = (): { loss: Tensor; middle: WeakRef<Tensor> } => {
      let middle: WeakRef<Tensor> | undefined;
      const loss = checkpoint((y: Tensor) => {
        const e = y.exp();
        middle = new WeakRef(e);
        return e.square();
      })(x).sum();
      return { loss, middle: middle! };
    };
    const { loss, middle } = build();
    await collectGarbage();
    expect(middle.deref()).toBeUndefined();
    loss.backward();
    expect(x.grad).not.toBeNull();
  });
});
