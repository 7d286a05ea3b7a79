/** Gradients and scopes: what a scope gives back must never be what a gradient still needs. */
import { backward, grad, valueAndGrad, vjp } from '@infinigrad/autograd';
import {
  backendNames,
  DisposedError,
  keep,
  Key,
  memoryStats,
  scope,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectClose, gradientOf, leaf, list, runs, spread, t } from './support.ts';
import { programs, run, shape, inputs } from './programs.ts';
import { peakOf } from './tools/kinds.ts';

describe.each(backendNames())('on %s', (backend) => {
  const test = (name: string, body: () => void): void => it(name, () => withBackend(backend, body));

  test('sums of a gradient are given back as they grow', () => {
    const peak = (uses: number): number =>
      scope(() => {
        const x = spread([1024]).requireGrad();
        const terms = Array.from({ length: uses }, (_, i) => x.mul(i));
        const y = terms.reduce((a, b) => a.add(b));
        return peakOf(() => y.sum().backward());
      });
    expect(peak(60)).toBeLessThanOrEqual(peak(20));
  });

  describe('gradients outlive the scope they were computed in', () => {
    test('over and over', () => {
      const x = leaf([1, 2]);
      for (let i = 0; i < 3; i++) scope(() => x.square().sum().backward());
      expect(gradientOf(x)).toEqual([6, 12]);
    });
    test('also when they are replaced or forgotten while somebody holds them', () => {
      const x = leaf([1, 2]);
      const square = (): void => x.square().sum().backward();
      square();
      const outside = x.grad!;
      const returned = scope(() => {
        square();
        return x.grad!;
      });
      square();
      const view = scope(() => x.grad!.reshape([2, 1]));
      x.grad = null;
      square();
      expect([outside, returned, view, x.grad!].map(list)).toEqual([
        [2, 4],
        [4, 8],
        [6, 12],
        [2, 4],
      ]);
    });
    test('when they move from one leaf to another', () => {
      const [x, y] = [leaf([1, 2]), leaf([5, 6])];
      scope(() => {
        x.square().sum().backward();
        y.grad = x.grad;
        x.grad = null;
      });
      scope(() => x.mul(3).sum().backward());
      expect([gradientOf(x), gradientOf(y)]).toEqual([
        [3, 3],
        [2, 4],
      ]);
    });
    test('each by itself, though one tensor is the gradient of both', () => {
      const [x, y] = [leaf([1, 2]), leaf([3, 4])];
      scope(() => {
        x.add(y).backward(t([5, 6]));
        x.grad = null;
      });
      expect([x.grad, gradientOf(y)]).toEqual([null, [5, 6]]);
    });
    test('and are given back when another takes their place', () => {
      const x = leaf(new Array<number>(256).fill(1));
      const step = (): void =>
        scope(() => {
          x.square().sum().backward();
          x.square().sum().backward();
        });
      step();
      const before = memoryStats().bytes;
      for (let i = 0; i < 10; i++) step();
      expect(memoryStats().bytes).toBe(before);
    });
    test('of leaves made in it, as far as those do', () => {
      const x = scope(() => {
        const made = leaf([1, 2]);
        made.square().sum().backward();
        return made;
      });
      expect(gradientOf(x)).toEqual([2, 4]);
    });
  });

  test('a cotangent stays its owner’s, whatever becomes of the gradient it turned into', () => {
    const g = t([3, 4]);
    const x = leaf([1, 2]);
    for (const y of [(): Tensor => x, (): Tensor => x.add(1)]) {
      scope(() => y().backward(g));
      expect(gradientOf(x)).toEqual([3, 4]);
      y().backward(g);
      expect(gradientOf(x)).toEqual([6, 8]);
      scope(() => (x.grad = null));
      expect(list(g)).toEqual([3, 4]);
    }
    x.grad = g;
    x.grad = null;
    expect(list(g)).toEqual([3, 4]);
    const { pullback } = vjp((y: Tensor) => y.add(1), t([1, 2]));
    const [same] = scope(() => pullback(g));
    expect([list(same), list(g)]).toEqual([
      [3, 4],
      [3, 4],
    ]);
  });

  describe('what a scope returns brings its graph', () => {
    test('a loss', () => {
      const x = leaf([0.5]);
      const loss = scope(() =>
        scope(() => x.exp())
          .square()
          .sum(),
      );
      loss.backward();
      expectClose(gradientOf(x), [2 * Math.exp(1)]);
    });
    test('a differentiable gradient', () => {
      const x = leaf([2]);
      const first = scope(() => {
        x.pow(3).sum().backward(undefined, { createGraph: true });
        const g = x.grad!;
        x.grad = null;
        return g;
      });
      first.square().sum().backward();
      // d/dx (3x²)² = 36x³
      expectClose(gradientOf(x), [288]);
    });
    test('a graph that outlives the gradient it was made over', () => {
      const x = leaf([2]);
      x.pow(3).sum().backward(undefined, { createGraph: true });
      const penalty = scope(() => x.grad!.square().sum());
      x.grad = null;
      penalty.backward();
      expectClose(gradientOf(x), [288]);
    });
    test('a graph that has been retained', () => {
      const x = leaf([0.5]);
      const loss = scope(() => {
        const y = x.exp().square().sum();
        y.backward(undefined, { retainGraph: true });
        return y;
      });
      loss.backward();
      expectClose(gradientOf(x), [4 * Math.exp(1)]);
    });
  });

  describe('grad and valueAndGrad are scopes', () => {
    test('that give back what the function makes, but for what is kept', () => {
      const seen: Tensor[] = [];
      const { value, grad: g } = valueAndGrad((x: Tensor) => {
        seen.push(x.exp(), keep(x.mul(2)));
        return seen[0]!.mul(seen[1]!).sum();
      })(t([1]));
      expectClose([...list(value), ...list(g)], [2 * Math.E, 4 * Math.E]);
      expect(() => list(seen[0]!)).toThrow(DisposedError);
      expect(list(seen[1]!)).toEqual([2]);
    });
    test('that leave alone what came from outside', () => {
      const [x, c] = [t([5]), t(7)];
      const same = valueAndGrad((y: Tensor) => y)(x);
      const constant = valueAndGrad<Tensor, []>(() => c)(x);
      expect([x, c, same.value, same.grad, constant.value, constant.grad].map(list)).toEqual([
        [5],
        [7],
        [5],
        [1],
        [7],
        [0],
      ]);
    });
    test('whose results bring the graph that links them to outer variables', () => {
      const w = leaf([2]);
      const g = grad((x: Tensor) => x.mul(w).exp().sum(), { createGraph: true })(t([1]));
      g.sum().backward();
      // d/dw (w eʷ) = (1 + w) eʷ
      expectClose(gradientOf(w), [3 * Math.exp(2)]);
      const third = grad((x: Tensor) =>
        grad((y: Tensor) => grad((z: Tensor) => z.pow(4).sum())(y).sum())(x).sum(),
      );
      expectClose(list(third(t([2]))), [48]);
    });
  });

  test('programs give the same gradients inside scopes, fused or not, as outside', () => {
    const law = fc.property(programs, fc.nat(), fc.boolean(), (program, seed, fuse) => {
      const weights = spread(shape, seed);
      const plain = inputs(seed).map((x) => x.requireGrad());
      const scoped = inputs(seed).map((x) => x.requireGrad());
      backward(run(program, plain), weights);
      scope(() => backward(run(program, scoped), weights), { fuse });
      // And once more, over a graph that leaves its scope.
      backward(
        scope(() => run(program, scoped), { fuse }),
        weights,
      );
      plain.forEach((x, i) => {
        const y = scoped[i]!;
        expect(y.grad === null).toBe(x.grad === null);
        if (x.grad)
          expectClose(
            gradientOf(y),
            gradientOf(x).map((g) => 2 * g),
          );
      });
      // Randomness is an argument too: the inputs are where they were.
      expect(list(scoped[0]!)).toEqual(
        list(new Key(seed).foldIn(0).uniform([2, 3], { min: -1, max: 1, dtype: 'f64' })),
      );
    });
    fc.assert(law, { numRuns: runs });
  });
});

it('backends agree on the gradients of programs', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) => {
    const all = backendNames().map((name) =>
      withBackend(name, () => {
        const leaves = inputs(seed).map((x) => x.requireGrad());
        scope(() => backward(run(program, leaves), spread(shape, seed)), { fuse: true });
        return leaves.flatMap((x) => (x.grad ? gradientOf(x) : new Array<number>(x.size).fill(0)));
      }),
    );
    for (const gradients of all) expectClose(gradients, all[0]!, 1e-11);
  });
  fc.assert(law, { numRuns: runs });
});
