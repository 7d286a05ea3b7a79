/** Matrix products in WGSL: every way to cut them up, every layout, against plain loops and against gpu.js's own kernel. */
import { fromData, getBackend, Key, setBackend, type Tensor } from '@infinigrad/tensor';
import { allClose } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/backends/gpu/device.ts';
import {
  cutOf,
  printMatmul,
  type Cut,
  type Operand,
  type Problem,
} from '../../src/backends/gpu/wgsl/matmul.ts';
import { gpu } from './host.ts';

const device = (): Device => (getBackend('gpu') as unknown as { device: Device }).device;
/** Numbers within ±1, without a pattern that sums could cancel by. */
const numbers = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233));
const size = fc.integer({ min: 1, max: 100 });

/** An operand [...batch, rows, columns] somewhere in a run of numbers: transposed, with gaps, with a start of its own. */
const operands = (
  batch: readonly number[],
  rows: number,
  columns: number,
): fc.Arbitrary<Operand & { offset: number; length: number }> =>
  fc
    .record({
      transposed: fc.boolean(),
      gap: fc.constantFrom(0, 1, 4),
      offset: fc.constantFrom(0, 1, 2, 8),
      shared: fc.array(fc.boolean(), { minLength: batch.length, maxLength: batch.length }),
    })
    .map(({ transposed, gap, offset, shared }) => {
      const [row, column] = transposed ? [1, rows + gap] : [columns + gap, 1];
      let end = transposed ? column * columns : row * rows;
      const strides: number[] = [];
      for (let axis = batch.length - 1; axis >= 0; axis--) {
        strides.unshift(shared[axis] ? 0 : end);
        if (!shared[axis]) end *= batch[axis]!;
      }
      return { row, column, batch: strides, aligned: offset % 4 === 0, offset, length: offset + end };
    });

const cases = fc
  .record({ m: size, n: size, k: size, batch: fc.constantFrom([], [3], [2, 3], [3, 2]) })
  .chain(({ m, n, k, batch }) =>
    fc.record({
      a: operands(batch, m, k),
      b: operands(batch, k, n),
      cut: fc.record({
        threads: fc.constantFrom(8, 8, 16),
        block: fc.constantFrom(4, 8),
        depth: fc.constantFrom(8, 8, 16),
        parts: fc.integer({ min: 1, max: 4 }),
      }),
      m: fc.constant(m),
      n: fc.constant(n),
      k: fc.constant(k),
      batch: fc.constant(batch),
    }),
  );

/** Where each matrix of a batch starts. */
function starts(batch: readonly number[], strides: readonly number[]): number[] {
  let out = [0];
  batch.forEach((n, axis) => {
    out = out.flatMap((at) => Array.from({ length: n }, (_, i) => at + i * strides[axis]!));
  });
  return out;
}

describe.skipIf(!gpu)('matrix products in WGSL', () => {
  it('are those of plain loops, however they are cut up', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ a, b, cut, ...rest }) => {
        const problem: Problem = { ...rest, a, b };
        const { m, n, k, batch } = problem;
        const [x, y] = [numbers(a.length, 1), numbers(b.length, 2)];
        const { wgsl, workgroups, length } = printMatmul(problem, cut as Cut);
        const there = device();
        const [left, right] = [there.upload(x), there.upload(y)];
        const made = await there.launch(
          there.compileOwn!(wgsl, workgroups, length),
          [left, right],
          [a.offset, b.offset],
        );
        const result = await there.download(made, 0, length);
        for (const handle of [left, right, made]) there.release(handle);
        const one = length / cut.parts;
        const startsB = starts(batch, b.batch);
        let at = 0;
        for (const [z, startA] of starts(batch, a.batch).entries())
          for (let i = 0; i < m; i++)
            for (let j = 0; j < n; j++, at++) {
              let [expected, magnitude, actual] = [0, 0, 0];
              for (let q = 0; q < k; q++) {
                const term =
                  x[a.offset + startA + i * a.row + q * a.column]! *
                  y[b.offset + startsB[z]! + q * b.row + j * b.column]!;
                expected += term;
                magnitude += Math.abs(term);
              }
              for (let part = 0; part < cut.parts; part++) actual += result[part * one + at]!;
              // Each of k additions rounds by at most half an ulp of what has come together.
              const bound = (k + 2) * 2 ** -23 * magnitude;
              if (!(Math.abs(actual - expected) <= bound))
                throw new Error(`element ${at}: ${actual}, expected ${expected} ± ${bound}`);
            }
      }),
      { numRuns: Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 8) },
    );
  }, 120_000);

  it('are what gpu.js computes, and what runs wherever sides are of 16 and more', async () => {
    const there = device();
    const own = there.compileOwn!.bind(there);
    let tiled = 0;
    const products = async (): Promise<Float32Array[]> => {
      const out: Float32Array[] = [];
      for (const [m, k, n] of [
        [16, 16, 16],
        [40, 700, 24],
        [64, 33, 130],
        [15, 64, 64],
      ] as const) {
        const [a, b] = [new Key(3).normal([2, m, k]), new Key(4).normal([n, k]).transpose()];
        const c: Tensor = a.matmul(b);
        out.push((await c.data()) as Float32Array);
      }
      return out;
    };
    const define = (name: 'compileOwn' | 'prefersOwn', value: unknown): void => {
      Object.defineProperty(there, name, { value, configurable: true });
    };
    const { prefersOwn } = there;
    try {
      define('compileOwn', (...args: Parameters<typeof own>) => {
        tiled++;
        return own(...args);
      });
      define('prefersOwn', true);
      const mine = await products();
      define('prefersOwn', false);
      const theirs = await products();
      expect(tiled).toBe(3);
      const here = (values: Float32Array): Tensor =>
        fromData(values, [values.length], { backend: getBackend('js') });
      mine.forEach((values, i) =>
        expect(allClose(here(values), here(theirs[i]!), { rtol: 1e-4, atol: 1e-4 })).toBeNull(),
      );
    } finally {
      define('compileOwn', own);
      define('prefersOwn', prefersOwn);
    }
  });

  it('have tiles that fit what is to be computed', () => {
    const cut = (m: number, n: number, k: number): Cut => {
      const plain = { row: k, column: 1, batch: [], aligned: true };
      return cutOf({ m, n, k, batch: [], a: plain, b: { ...plain, row: n } });
    };
    expect(cut(4096, 4096, 64)).toMatchObject({ block: 8, parts: 1 });
    expect(cut(1024, 1024, 64)).toMatchObject({ threads: 16, block: 4, parts: 1 });
    // A gradient of a weight: few elements, each of a long sum.
    expect(cut(64, 64, 65536).parts).toBe(32);
  });

  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });
});
