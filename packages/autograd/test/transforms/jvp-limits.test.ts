/** Forward mode: what it holds in memory, and what it refuses. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { grad, hvp, jvp, vjp } from '@infinigrad/autograd';
import {
  GradientError,
  memoryStats,
  ones,
  ops,
  scope,
  tensor,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { spread, t, thrownBy } from '../support.ts';
import { peakOf } from '../tools/kinds.ts';

describe('memory', () => {
  const step = (x: Tensor): Tensor => x.mul(0.9).sin().softmax();
  const chain = (steps: number, look?: () => void) => (x: Tensor) => {
    for (let i = 0; i < steps; i++) {
      x = step(x);
      if (i % 50 === 49) look?.();
    }
    return x;
  };

  it('one tangent for each value, in a scope too: what a rule makes on the way is given back at once', () => {
    const [x, bytes] = [ones([1000]), 4000];
    const held = (body: () => unknown): number =>
      scope(() => {
        const before = memoryStats().bytes;
        body();
        return memoryStats().bytes - before;
      });
    // The numbers that stand in steps and rules are kept for all.
    jvp(chain(1), [x], [x]);
    expect(held(() => chain(100)(x))).toBe(300 * bytes);
    expect(held(() => jvp(chain(100), [x], [x]))).toBe(600 * bytes);
  });

  it('a product with the Hessian keeps one graph, not two: its peak is about twice that of the gradient', () => {
    const x = spread([1024]);
    const f = (y: Tensor): Tensor =>
      Array.from({ length: 20 })
        .reduce<Tensor>((z) => z.tanh(), y)
        .sum();
    const [gradient, product] = [peakOf(() => grad(f)(x)), peakOf(() => hvp(f, x, x))];
    expect(product).toBeLessThanOrEqual(2.5 * gradient);
  });
  it('a chain of a thousand steps keeps none of its values, all of which a way back needs', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    // The second one waits until the first has swept up behind it.
    const collect = (): void => [gc, gc].forEach((run) => run());
    const bytes = 80_000;
    withBackend('js', () => {
      const x = ones([bytes / 4]);
      const most = (steps: number, run: (f: (x: Tensor) => Tensor) => unknown): number => {
        collect();
        const before = process.memoryUsage().arrayBuffers;
        let peak = 0;
        run(
          chain(steps, () => {
            collect();
            peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
          }),
        );
        return peak / bytes;
      };
      const forward = (f: (x: Tensor) => Tensor): unknown => jvp(f, [x], [x]);
      // Of 6,000 values and tangents.
      expect(most(1000, forward)).toBeLessThan(60);
      expect(most(1000, (f) => vjp(f, x))).toBeGreaterThan(1000);
    });
  });
});

describe('errors', () => {
  const f = (x: Tensor): Tensor => x.mul(2);
  const rows: [string, () => unknown, string][] = [
    [
      'no floating-point argument',
      () => jvp(f, [tensor([1], { dtype: 'i32' })], [t([1])]),
      'jvp: no argument is a floating-point tensor',
    ],
    [
      'another shape',
      () => jvp(f, [t([1, 2])], [t([1])]),
      'jvp: argument and tangent must have one shape: [2] f64, [1] f64',
    ],
    [
      'integers as a tangent',
      () => jvp(f, [t([1])], [tensor([1], { dtype: 'i32' })]),
      'jvp: the tangent must be of floating point',
    ],
    [
      'too few tangents',
      () => jvp(f, [t([1])], [] as unknown as [Tensor]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'a tensor for a tree',
      () => jvp((x: { a: Tensor }) => x.a, [{ a: t([1]) }], [t([1])] as unknown as [{ a: Tensor }]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'a tree for a tensor',
      () => jvp(f, [t([1])], [{ a: t([1]) }] as unknown as [Tensor]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'other names',
      () => jvp((x: { a: Tensor }) => x.a, [{ a: t([1]) }], [{ b: t([1]) }] as unknown as [{ a: Tensor }]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'a list for an object',
      () => jvp((x: { 0: Tensor }) => x[0], [{ 0: t([1]) }], [[t([1])]] as unknown as [{ 0: Tensor }]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'nothing for a tensor',
      () => jvp(f, [t([1])], [null] as unknown as [Tensor]),
      'jvp: arguments and tangents must have one structure',
    ],
    [
      'arguments that are no list',
      () => jvp(f, t([1]) as unknown as [Tensor], t([1]) as unknown as [Tensor]),
      'jvp: primals and tangents must be arrays, with an entry for each argument. Hint: jvp(f, [x], [t])',
    ],
    [
      'a number returned',
      () => jvp((() => 3) as unknown as typeof f, [t([1])], [t([1])]),
      'jvp: the function must return tensors',
    ],
    [
      'a promise returned',
      () => jvp((async (x: Tensor) => x) as unknown as typeof f, [t([1])], [t([1])]),
      'jvp: the function must return tensors',
    ],
    [
      'a number in a tree returned',
      () => jvp((() => [3]) as unknown as typeof f, [t([1])], [t([1])]),
      'jvp: a tree holds tensors alone, got 3 at [0]',
    ],
  ];
  it.each(rows)('%s', (_, body, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(says);
  });
  it('what the function throws goes on its way, and no tangent is left', () => {
    const failure = new Error('of the function');
    expect(
      thrownBy(() =>
        jvp(
          (x: Tensor): Tensor => {
            x.add(1);
            throw failure;
          },
          [t([1])],
          [t([1])],
        ),
      ),
    ).toBe(failure);
    // Were it still at work, this op would be refused.
    const step = { learningRate: 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0, step: 1, gradientScale: 1 };
    let escaped = t([1]);
    thrownBy(() =>
      jvp(
        (y: Tensor): Tensor => {
          escaped = y;
          throw failure;
        },
        [t([1])],
        [t([1])],
      ),
    );
    expect(ops.adamWStep(escaped, escaped, escaped, escaped, step).shape).toEqual([3, 1]);
  });
});
