/** The parts of a tensor along an axis, for recurrences that walk over it. */
import type { Tensor } from '@infinigrad/tensor';

/**
 * x's slices along an axis, which stays with size 1. By halves of halves: so gradients of n slices are put together in n log n, not n²,
 * elements.
 */
export function partsOf(x: Tensor, axis: number): Tensor[] {
  const length = x.shape[axis]!;
  if (length === 1) return [x];
  const half = Math.ceil(length / 2);
  return [...partsOf(x.narrow(axis, 0, half), axis), ...partsOf(x.narrow(axis, half, length - half), axis)];
}
