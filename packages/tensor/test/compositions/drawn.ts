/** What the tests of compositions share: tensors of any shape in any layout, and comparisons with what plain loops give. */
import { type DType, type Tensor } from '@infinigrad/tensor';
import { drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { expect } from 'vitest';
import { flat, fromTensor, indices, type Naive } from '../naive.ts';
import { runs } from '../support.ts';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

export interface Choices {
  /** An integer between two, both included. */
  readonly int: (min: number, max: number) => number;
  readonly pick: <T>(items: readonly T[]) => T;
  /** A tensor of whole numbers between two, in any layout. */
  readonly tensor: (
    shape: readonly number[],
    options?: { min?: number; max?: number; dtype?: DType },
  ) => Tensor;
  /** A shape of sizes 1 … 4. */
  readonly shape: (minRank: number, maxRank: number) => number[];
}

/** Tries a law on many choices. */
export function holds(check: (choices: Choices) => void): void {
  const law = fc.property(fc.gen(), (g) => {
    const int: Choices['int'] = (min, max) => g(between, min, max);
    check({
      int,
      pick: (items) => items[int(0, items.length - 1)]!,
      shape: (minRank, maxRank) => Array.from({ length: int(minRank, maxRank) }, () => int(1, 4)),
      tensor: (shape, { min = -4, max = 4, dtype = 'f64' } = {}) => {
        const values = indices(shape).map(() => int(min, max));
        return realise(values, shape, dtype, drawLayout(g, shape, { repeats: false }));
      },
    });
  });
  fc.assert(law, { numRuns: runs });
}

export function expectSame(actual: Tensor, expected: Naive, tolerance = 0): void {
  expect(actual.shape).toEqual(expected.shape);
  expectAllClose(actual, flat(expected), { rtol: tolerance, atol: tolerance });
}

export const valuesOf = (x: Tensor): Naive => fromTensor(x);
