/** What the tests of linear algebra share: matrices of all kinds in every layout, and comparisons. */
import { tensor, type DType, type Tensor } from '@infinigrad/tensor';
import { drawLayout, drawMatrices, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { MatrixKind } from '../../src/ops/record.ts';
import { flat, fromTensor, indices, naive, type Naive } from '../naive.ts';
import { runs } from '../support.ts';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
export const t = (values: Parameters<typeof tensor>[0], dtype: DType = 'f64'): Tensor =>
  tensor(values, { dtype });

export interface Drawn {
  readonly int: (min: number, max: number) => number;
  /** Leading axes. */
  readonly batch: () => number[];
  /** Matrices of a kind, in any layout. */
  readonly matrices: (kind: MatrixKind, shape: readonly number[]) => Tensor;
  /** Numbers from -3 to 3, 0 among them, in any layout. */
  readonly numbers: (shape: readonly number[]) => Tensor;
}

export function holds(check: (drawn: Drawn) => void): void {
  const law = fc.property(fc.gen(), (g) => {
    const int: Drawn['int'] = (min, max) => g(between, min, max);
    const laid = (values: readonly number[], shape: readonly number[]): Tensor =>
      realise(values, shape, 'f64', drawLayout(g, shape, { repeats: false }));
    check({
      int,
      batch: () => Array.from({ length: int(0, 2) }, () => int(1, 2)),
      matrices: (kind, shape) => laid(drawMatrices(g, kind, 'f64', shape), shape),
      numbers: (shape) =>
        laid(
          indices(shape).map(() => int(-12, 12) / 4),
          shape,
        ),
    });
  });
  fc.assert(law, { numRuns: runs });
}

export function expectClose(actual: Tensor, expected: Tensor | Naive, tolerance = 1e-12): void {
  const wanted = 'at' in expected && !('storage' in expected) ? expected : fromTensor(expected as Tensor);
  expect(actual.shape).toEqual(wanted.shape);
  expectAllClose(actual, flat(wanted), { rtol: tolerance, atol: tolerance });
}

export const identity = (shape: readonly number[], n: number): Naive =>
  naive([...shape, n, n], (index) => Number(index.at(-2) === index.at(-1)));
/** Zero below the diagonal (above it, for `lower`). */
export function expectTriangle(x: Tensor, lower = false): void {
  const values = fromTensor(x);
  for (const index of indices(values.shape)) {
    const [i, j] = index.slice(-2) as [number, number];
    if (lower ? j > i : j < i) expect(values.at(index) + 0).toBe(0);
  }
}
export const expectOrthonormal = (q: Tensor): void =>
  expectClose(q.transpose().matmul(q), identity(q.shape.slice(0, -2), q.shape.at(-1)!));
/** Leading axes, rows, columns. */
export const cases = (draw: Drawn): [number[], number, number] => [
  draw.batch(),
  draw.int(1, 5),
  draw.int(1, 5),
];
