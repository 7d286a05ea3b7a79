/** What the rules of matrix ops share. */
import { eye, type DType, type Tensor } from '@infinigrad/tensor';

/** The product of all, from the left. */
export const times = (...factors: readonly Tensor[]): Tensor => factors.reduce((a, b) => a.matmul(b));

/** The identity, of the size of x's last axis. */
export function identityLike(x: Tensor): Tensor {
  return eye(x.shape.at(-1)!, undefined, { dtype: x.dtype as DType, backend: x.backend });
}

export const symmetricPart = (x: Tensor): Tensor => x.add(x.transpose()).mul(0.5);

/** The lower triangle with half the diagonal: what of a symmetric matrix's differential is the factor's. */
export const lowerHalf = (x: Tensor): Tensor => x.tril().sub(identityLike(x).mul(x).mul(0.5));
