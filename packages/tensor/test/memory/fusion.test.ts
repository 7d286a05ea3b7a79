/** Chains of elementwise ops in a scope that fuses: the same bits, in fewer passes. */
import fc from 'fast-check';
import { fromData, getBackend, Key, memoryStats, scope, Tensor, withBackend } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { runs } from '../support.ts';

/** Ops on a stack of tensors, by number: what a program of them does is decided by the numbers alone. */
type Step = (a: Tensor, b: Tensor) => Tensor;
const steps: readonly Step[] = [
  (a, b) => a.add(b),
  (a, b) => a.sub(b),
  (a, b) => a.mul(b),
  (a, b) => a.maximum(b),
  (a, b) => a.gt(b).where(a, b),
  (a, b) => a.lt(0).logicalOr(b.lt(0)).cast('f32').add(a),
  (a) => a.tanh(),
  (a) => a.sigmoid(),
  (a) => a.square().add(1).rsqrt(),
  (a) => a.clip(-0.5, 0.75),
  (a) => a.neg().exp(),
  (a) => a.erf(),
  (a, b) => a.transpose().add(b.transpose()).transpose(),
  (a, b) => a.sum(0, true).add(b),
  (a, b) => b.narrow(0, 0, 1).mul(a),
  (a) => a.sin().mul(0.1),
  (a) => a.abs().add(0.5).log(),
];

function run(
  program: readonly (readonly [number, number, number])[],
  shape: readonly number[],
  seed: number,
  fuse: boolean,
): number[][] {
  const results = scope(
    () => {
      const stack = [new Key(seed).normal(shape), new Key(seed).foldIn(1).normal([shape[1]!])];
      for (const [op, i, j] of program) {
        const [a, b] = [stack[i % stack.length]!, stack[j % stack.length]!];
        stack.push(steps[op]!(a.expand(shape), b.expand(shape)));
      }
      return stack.slice(2);
    },
    { fuse },
  );
  return results.map((x) => Array.from(x.dataSync()));
}

const program = fc.array(fc.tuple(fc.nat(steps.length - 1), fc.nat(), fc.nat()), {
  minLength: 1,
  maxLength: 14,
});

describe('a scope that fuses', () => {
  test('gives the same bits', () =>
    fc.assert(
      fc.property(
        program,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        (steps, rows, columns, seed) => {
          withBackend('wasm', () =>
            expect(run(steps, [rows, columns], seed, true)).toEqual(run(steps, [rows, columns], seed, false)),
          );
        },
      ),
      {
        numRuns: runs,
      },
    ));

  test('computes a chain in one pass, and nothing that nobody wants', () => {
    withBackend('wasm', () => {
      const x = new Key(0).normal([64, 64]);
      const before = memoryStats().allocations;
      const y = scope(
        () => {
          x.exp().log().sin();
          return x.mul(2).add(1).tanh().sub(x).square();
        },
        { fuse: true },
      );
      // The scalars 2 and 1 may be new.
      expect(memoryStats().allocations - before).toBeLessThanOrEqual(3);
      expect(y.size).toBe(4096);
    });
  });

  test('computes long chains, and those over many inputs, in several', () => {
    withBackend('wasm', () => {
      const inputs = Array.from({ length: 20 }, (_, i) => new Key(i).normal([5]));
      const sum = (fuse: boolean): number[] =>
        Array.from(
          scope(
            () => {
              let total = inputs[0]!;
              for (let round = 0; round < 5; round++) for (const x of inputs) total = total.mul(0.5).add(x);
              return total;
            },
            { fuse },
          ).dataSync(),
        );
      expect(sum(true)).toEqual(sum(false));
    });
  });

  test('sees what a waiting tensor was made of even where that is gone', () => {
    withBackend('wasm', () => {
      const y = scope(
        () => {
          const x = scope(() => fromData(Float32Array.of(1, 2, 3), [3]).mul(2), { fuse: true });
          return x.add(1);
        },
        { fuse: true },
      );
      expect(Array.from(y.dataSync())).toEqual([3, 5, 7]);
    });
  });

  test('leaves other dtypes and the reference alone', () => {
    withBackend('js', () => {
      expect(getBackend('js').fuses).toBe(false);
      expect(scope(() => fromData(Float64Array.of(1, 2), [2]).add(1), { fuse: true }).dataSync()).toEqual(
        Float64Array.of(2, 3),
      );
    });
    withBackend('wasm', () =>
      expect(
        scope(() => fromData(Int32Array.of(1, 2), [2]).add(1).mul(3), { fuse: true }).dataSync(),
      ).toEqual(Int32Array.of(6, 9)),
    );
  });
});
