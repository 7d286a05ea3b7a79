/** What tests of linear algebra make matrices of. */
import { eye, type Tensor } from '@infinigrad/tensor';

export const identity = (n: number): Tensor => eye(n, n, { dtype: 'f64' });

export function ofSpectrum(x: Tensor, f: (values: Tensor) => Tensor): Tensor {
  const { values, vectors } = x.eigh();
  return vectors.mul(f(values).unsqueeze(-2)).matmul(vectors.transpose());
}
