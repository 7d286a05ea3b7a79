/** Programs as functions of all their inputs, and what the tests of transformations share. */
import { Key, type Tensor } from '@infinigrad/tensor';
import { expect } from 'vitest';
import { run, type Step } from '../programs.ts';
import { expectClose, list, spread } from '../support.ts';

/** A program's result, weighted and summed. */
export const scalarOf =
  (program: readonly Step[], seed: number) =>
  (xs: readonly Tensor[]): Tensor =>
    run(program, xs)
      .mul(spread([2, 3], seed))
      .sum();

/** Directions for tensors, by key. */
export const directions = (xs: readonly Tensor[], seed: number): Tensor[] =>
  xs.map((x, i) =>
    new Key(seed)
      .foldIn(i + 50)
      .normal(x.shape, { dtype: 'f64' })
      .mul(0.5),
  );

export const dot = (x: Tensor, y: Tensor): number => {
  const [a, b] = [list(x), list(y)];
  return a.reduce((total, v, i) => total + v * b[i]!, 0);
};

export const dotAll = (xs: readonly Tensor[], ys: readonly Tensor[]): number =>
  xs.reduce((total, x, i) => total + dot(x, ys[i]!), 0);

/** Tensors of one shape and close elements. */
export function expectSame(actual: Tensor, expected: Tensor, tolerance = 1e-10): void {
  expect([actual.shape, actual.dtype]).toEqual([expected.shape, expected.dtype]);
  expectClose(list(actual), list(expected), tolerance);
}
