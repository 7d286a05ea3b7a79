/** The dtype that optimizers compute in. */
import { computeDType, type Tensor } from '@infinigrad/tensor';

/** A tensor as optimizers compute with it: in f32 where it is of f16 or bf16, else itself. */
export function widened(x: Tensor): Tensor {
  const dtype = computeDType(x.dtype);
  return dtype === x.dtype ? x : x.cast(dtype);
}
