/** How optimizers compute: in f32 at least, and with numbers that change from step to step. */
import { computeDType, tensor, type Tensor } from '@infinigrad/tensor';

/** A tensor as optimizers compute with it: in f32 where it is of f16 or bf16, else itself. */
export function widened(x: Tensor): Tensor {
  const dtype = computeDType(x.dtype);
  return dtype === x.dtype ? x : x.cast(dtype);
}

/**
 * x times a number that is another at every step. As a plain scalar it would stay in the cache of those in frequent use, and be left to
 * the garbage collector after; this one goes with the scope at hand.
 */
export function times(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : x.mul(passing(factor, x));
}

/** A number of one step beside a tensor. */
export function passing(value: number, { dtype, backend }: Tensor): Tensor {
  return tensor(value, { dtype, backend });
}
