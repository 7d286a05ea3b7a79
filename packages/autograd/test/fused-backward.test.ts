/** The backward pass on wasm, where chains of elementwise ops become one pass, against the reference. */
import fc from 'fast-check';
import { grad } from '@infinigrad/autograd';
import { fromData, Key, memoryStats, scope, withBackend, type Tensor } from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, test } from 'vitest';
import { runs } from './support.ts';

type Step = (a: Tensor, b: Tensor) => Tensor;
const steps: readonly Step[] = [
  (a, b) => a.add(b),
  (a, b) => a.sub(b),
  (a, b) => a.mul(b).mul(0.5),
  (a) => a.tanh(),
  (a) => a.sigmoid(),
  (a) => a.gelu(),
  (a, b) => a.siluMul(b),
  (a) => a.softmax().mul(2),
  (a) => a.transpose().reshape(a.shape).mul(0.9),
  (a, b) => a.matmul(b.transpose()).softmax().matmul(b),
  (a, b) => a.add(b.narrow(0, 0, 1)),
  (a) => a.square().add(1).rsqrt(),
  (a, b) => a.gt(0).where(a, b.mul(0.1)),
];

/** The gradients of a program's value with respect to its two inputs. */
function gradients(program: readonly (readonly [number, number, number])[], seed: number): Tensor[] {
  const input = (i: number): Tensor => new Key(seed).foldIn(i).normal([4, 6]);
  const weights = input(2);
  const value = ([x, y]: readonly Tensor[]): Tensor => {
    const made = [x!, y!];
    for (const [op, i, j] of program) made.push(steps[op]!(made[i % made.length]!, made[j % made.length]!));
    return made.reduce((total, z) => total.add(z.mul(weights).sum()), weights.sum());
  };
  return [...grad(value as (x: readonly Tensor[]) => Tensor)([input(0), input(1)])];
}

const program = fc.array(fc.tuple(fc.nat(steps.length - 1), fc.nat(), fc.nat()), {
  minLength: 1,
  maxLength: 10,
});

describe('gradients on wasm', () => {
  test('of random programs agree with the reference', () =>
    fc.assert(
      fc.property(program, fc.nat(), (ops, seed) => {
        const actual = withBackend('wasm', () => gradients(ops, seed).map((g) => Array.from(g.dataSync())));
        const expected = withBackend('js', () => gradients(ops, seed));
        expected.forEach((g, i) => {
          const size = Math.max(1, ...g.dataSync().map(Math.abs));
          expectAllClose(
            withBackend('js', () => fromData(Float32Array.from(actual[i]!), g.shape)),
            g,
            { atol: 2e-5 * size, rtol: 2e-5 },
          );
        });
      }),
      { numRuns: runs },
    ));

  test('of a tensor used many times leave nothing behind', () => {
    withBackend('wasm', () => {
      const x = new Key(0).normal([32, 32]);
      const step = (): Tensor =>
        scope(() => grad((y: Tensor) => y.mul(y).add(y.tanh().mul(y)).add(y.matmul(y)).sum())(x).sum());
      const first = step().itemSync();
      const { bytes, buffers } = memoryStats();
      for (let i = 0; i < 50; i++) scope(() => expect(step().itemSync()).toBe(first));
      // Less where the garbage collector has found something of an earlier test.
      expect(memoryStats().bytes).toBeLessThanOrEqual(bytes);
      expect(memoryStats().buffers).toBeLessThanOrEqual(buffers);
    });
  });
});
