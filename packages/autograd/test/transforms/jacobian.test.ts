/** Matrices of derivatives: by either mode, in chunks, of trees; Hessians and their products with vectors. */
import { grad, hessian, hvp, jacobian, jvp, vjp } from '@infinigrad/autograd';
import {
  GradientError,
  ones,
  scope,
  stack,
  tensor,
  ValueError,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run } from '../programs.ts';
import { gradientOf, leaf, list, runs, spread, t, thrownBy } from '../support.ts';
import { directions, expectSame, scalarOf } from './support.ts';

const law = (body: (program: Parameters<typeof run>[0], seed: number) => void): void =>
  fc.assert(fc.property(programs, fc.nat(1e6), body), { numRuns: runs });

describe('programs', () => {
  it('have one Jacobian, by rows and by columns, at once and in chunks', () =>
    law((program, seed) => {
      const xs = inputs(seed);
      const f = (ys: readonly Tensor[]): Tensor => run(program, ys);
      const rows = jacobian(f, { mode: 'reverse' })(xs);
      const options = [
        { mode: 'forward' },
        { mode: 'forward', chunkSize: 2 },
        { mode: 'reverse', chunkSize: 4 },
        {},
      ] as const;
      for (const option of options)
        jacobian(f, option)(xs).forEach((block, i) => expectSame(block, rows[i]!));
      // Its products are those of vjp and jvp.
      const [vs, u] = [directions(xs, seed), spread([2, 3], seed)];
      const pushed = rows.reduce((total, block, i) => {
        const columns = block.reshape([6, xs[i]!.size]).matmul(vs[i]!.reshape([xs[i]!.size]));
        return total.add(columns.reshape([2, 3]));
      }, t(0));
      expectSame(pushed, jvp(f, [xs], [vs]).tangent);
      vjp(f, xs)
        .pullback(u)[0]
        .forEach((g, i) =>
          expectSame(
            g,
            u
              .reshape([6])
              .matmul(rows[i]!.reshape([6, xs[i]!.size]))
              .reshape(xs[i]!.shape),
          ),
        );
    }));

  it('have a symmetric Hessian: differences of gradients, and what hvp multiplies with', () =>
    law((program, seed) => {
      const xs = inputs(seed);
      const f = scalarOf(program, seed);
      const blocks = hessian(f)(xs);
      const vs = directions(xs, seed);
      const sizes = xs.map((x) => x.size);
      blocks.forEach((row, i) =>
        row.forEach((block, k) => {
          expect(block.shape).toEqual([...xs[i]!.shape, ...xs[k]!.shape]);
          const [a, b] = [block, blocks[k]![i]!].map((x, n) =>
            x.reshape(n === 0 ? [sizes[i]!, sizes[k]!] : [sizes[k]!, sizes[i]!]),
          );
          expectSame(a!, b!.transpose());
        }),
      );
      const product = hvp(f, xs, vs);
      const h = 1e-5;
      const at = (step: number): readonly Tensor[] => grad(f)(xs.map((x, i) => x.add(vs[i]!.mul(step))));
      const [up, down] = [at(h), at(-h)];
      product.forEach((p, i) => {
        const times = blocks[i]!.reduce(
          (total, block, k) =>
            total.add(block.reshape([sizes[i]!, sizes[k]!]).matmul(vs[k]!.reshape([sizes[k]!]))),
          t(0),
        );
        expectSame(p, times.reshape(xs[i]!.shape));
        expectSame(p, up[i]!.sub(down[i]!).div(2 * h), 1e-5);
      });
    }));
});

describe('shapes', () => {
  const w = spread([3, 2], 7);
  const f = (x: Tensor): Tensor => x.matmul(w).tanh();
  it('are those of the result, then those of the argument', () => {
    const x = spread([4, 3], 1);
    const whole = jacobian(f)(x);
    expect(whole.shape).toEqual([4, 2, 4, 3]);
    // Rows do not see each other.
    const own = stack([0, 1, 2, 3].map((i) => whole.slice([[i, i + 1], null, [i, i + 1]]).reshape([2, 3])));
    const slope = f(x).square().neg().add(1);
    expectSame(own, slope.unsqueeze(2).mul(w.transpose()));
    expect(jacobian((y: Tensor) => y.sum())(x).shape).toEqual([4, 3]);
    expect(jacobian((y: Tensor) => y.mul(ones([2, 1, 1])))(t(3)).shape).toEqual([2, 1, 1]);
  });
  it('of trees: a tree like the argument in the place of each tensor of the result', () => {
    const tree = { a: t([1, 2]), b: [t(3)] };
    const g = ({ a, b }: typeof tree): { sum: Tensor; product: Tensor[] } => ({
      sum: a.sum(),
      product: [a.mul(b[0]!)],
    });
    for (const mode of ['forward', 'reverse'] as const) {
      const { sum, product } = jacobian(g, { mode })(tree);
      expect([list(sum.a), list(sum.b[0]!)]).toEqual([[1, 1], [0]]);
      expect([product[0]!.a.shape, list(product[0]!.a), list(product[0]!.b[0]!)]).toEqual([
        [2, 2],
        [3, 0, 0, 3],
        [1, 2],
      ]);
    }
    const h = hessian(({ a, b }: typeof tree) => a.square().sum().mul(b[0]!))(tree);
    expect([list(h.a.a), list(h.a.b[0]!), list(h.b[0]!.a), list(h.b[0]!.b[0]!)]).toEqual([
      [6, 0, 0, 6],
      [2, 4],
      [2, 4],
      [0],
    ]);
  });
  it('integers have derivatives of zeros, in and out', () => {
    const index = tensor([1, 0], { dtype: 'i32' });
    const g = ({ x, i }: { x: Tensor; i: Tensor }): Tensor[] => [x.indexSelect(0, i), x.argMax()];
    for (const mode of ['forward', 'reverse'] as const) {
      const [picked, best] = jacobian(g, { mode })({ x: t([3, 4]), i: index }) as [
        { x: Tensor; i: Tensor },
        { x: Tensor; i: Tensor },
      ];
      expect([list(picked.x), list(picked.i), list(best.x), best.x.shape]).toEqual([
        [0, 1, 1, 0],
        [0, 0, 0, 0],
        [0, 0],
        [2],
      ]);
    }
  });
  it('nothing has the derivative of nothing', () => {
    const x = t([]);
    for (const mode of ['forward', 'reverse'] as const) {
      expect(jacobian((y: Tensor) => y.mul(2), { mode })(x).shape).toEqual([0, 0]);
      expect(jacobian<Tensor, Tensor, []>(() => t([1, 2]), { mode })(x).shape).toEqual([2, 0]);
    }
  });
  it('f32 stays f32', () => {
    const whole = jacobian((x: Tensor) => x.square(), { mode: 'forward' })(tensor([1, 2]));
    expect([whole.dtype, list(whole)]).toEqual(['f32', [2, 0, 0, 4]]);
  });
  it('further arguments go through', () => {
    const g = (x: Tensor, power: number): Tensor => x.pow(power);
    expect(list(jacobian(g)(t([2]), 3))).toEqual([12]);
    expect(list(hessian((x: Tensor, power: number) => g(x, power).sum())(t([2]), 3))).toEqual([12]);
  });
});

describe('the default mode', () => {
  /** How often a function is called, and for how many directions at once. */
  const calls = (outputs: number): number => {
    let count = 0;
    jacobian((x: Tensor) => {
      count++;
      return x.matmul(ones([3, outputs], { dtype: 'f64' }));
    })(spread([3]));
    return count;
  };
  it('goes by rows where there are fewer, and else by columns', () => {
    expect(calls(2)).toBe(1);
    expect(calls(4)).toBe(2);
  });
});

describe('nested', () => {
  it('is differentiable where a gradient would be', () => {
    const x = leaf([0.3, 0.7]);
    for (const mode of ['forward', 'reverse'] as const) {
      x.grad = null;
      // Σ J = Σ cos x, whose gradient is -sin x
      jacobian((y: Tensor) => y.sin(), { mode })(x)
        .sum()
        .backward();
      expectSame(x.grad!, x.detach().sin().neg());
      expectSame(
        grad((z: Tensor) => jacobian((y: Tensor) => y.sin(), { mode })(z).sum())(t([0.3, 0.7])),
        x.grad!,
      );
    }
    x.grad = null;
    hvp((y: Tensor) => y.pow(3).sum(), x, t([1, 1]))
      .sum()
      .backward();
    expectSame(t(gradientOf(x)), t([6, 6]));
  });
  it('a Jacobian of a Jacobian is a Hessian of each result', () => {
    const f = (x: Tensor): Tensor => stack([x.prod(), x.square().sum()]);
    const twice = jacobian(jacobian(f))(t([2, 3, 5]));
    expect([twice.shape, list(twice)]).toEqual([
      [2, 3, 3],
      [0, 5, 3, 5, 0, 2, 3, 2, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2],
    ]);
  });
  it('is a scope, and needs no gradient outside of others', () => {
    const x = t([1, 2]);
    for (const result of [
      jacobian((y: Tensor) => y.square())(x),
      hessian((y: Tensor) => y.pow(3).sum())(x),
      hvp((y: Tensor) => y.pow(3).sum(), x, x),
    ])
      expect(result.requiresGrad).toBe(false);
    expectSame(
      scope(() => hessian((y: Tensor) => y.pow(3).sum())(x)),
      t([
        [6, 0],
        [0, 12],
      ]),
    );
  });
  it('runs where the argument lives', () =>
    withBackend('js', () => {
      const x = t([1, 2]);
      withBackend('wasm', () => {
        for (const mode of ['forward', 'reverse'] as const)
          expect(jacobian((y: Tensor) => y.square(), { mode })(x).backend.name).toBe('js');
      });
    }));
});

describe('errors', () => {
  const f = (x: Tensor): Tensor => x.mul(2);
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'no floating-point argument',
      () => jacobian(f)(tensor([1], { dtype: 'i32' })),
      GradientError,
      'jacobian: no argument is a floating-point tensor',
    ],
    [
      'a number returned',
      () => jacobian((() => 3) as unknown as typeof f)(t([1])),
      GradientError,
      'jacobian: the function must return tensors',
    ],
    [
      'a promise returned',
      () => jacobian((async (x: Tensor) => x) as unknown as typeof f)(t([1])),
      GradientError,
      'jacobian: the function must return tensors',
    ],
    [
      'a chunk of nothing',
      () => jacobian(f, { chunkSize: 0 }),
      ValueError,
      'jacobian: chunkSize must be an integer ≥ 1, got 0',
    ],
    [
      'half a row',
      () => hessian(f, { chunkSize: 1.5 }),
      ValueError,
      'hessian: chunkSize must be an integer ≥ 1, got 1.5',
    ],
    [
      'another mode',
      () => jacobian(f, { mode: 'sideways' as 'forward' }),
      ValueError,
      "jacobian: mode must be 'reverse' or 'forward', got 'sideways'",
    ],
    [
      'a Hessian of several numbers',
      () => hessian(f)(t([1, 2])),
      GradientError,
      'hessian: the output is not a single number',
    ],
    [
      'a product with another shape',
      () => hvp((x: Tensor) => x.sum(), t([1, 2]), t([1])),
      GradientError,
      'jvp: argument and tangent must have one shape',
    ],
  ];
  it.each(rows)('%s', (_, body, kind, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(says);
  });
});
