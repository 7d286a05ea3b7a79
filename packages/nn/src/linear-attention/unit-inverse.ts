/** Inverses of unit triangular matrices. */
import { customGradient } from '@infinigrad/autograd';
import { concat, eye, sizeOf, type Tensor } from '@infinigrad/tensor';

/**
 * (I + L)⁻¹ for strictly lower triangular L [..., n, n], n a power of two; what stands in the upper triangle is not read.
 * Forward substitution by blocks, all of a size at once, so that the work is matrix products:
 * [[A, 0], [B, D]]⁻¹ = [[A⁻¹, 0], [-D⁻¹ B A⁻¹, D⁻¹]].
 */
export const unitLowerInverse: (lower: Tensor) => Tensor = customGradient(
  (lower: Tensor) => {
    const output = substitute(lower);
    return { output, saved: output };
  },
  // d(M⁻¹) = -M⁻¹ dM M⁻¹
  (g, inverse) => {
    const turned = inverse.transpose();
    return turned.matmul(g).matmul(turned).neg().tril(-1);
  },
  { name: 'unitLowerInverse' },
);

function substitute(lower: Tensor): Tensor {
  const n = lower.shape.at(-1)!;
  const matrices = sizeOf(lower.shape.slice(0, -2));
  const { dtype, backend } = lower;
  let inverse = eye(1, { dtype, backend }).expand([matrices * n, 1, 1]);
  for (let half = 1; half < n; half *= 2) {
    const blocks = n / (2 * half);
    // The lower left quarter of each block on the diagonal.
    const below = lower
      .reshape([matrices, blocks, 2, half, blocks, 2, half])
      .select(5, 0)
      .select(2, 1)
      .diagonal(0, 1, 3)
      .permute([0, 3, 1, 2])
      .reshape([matrices * blocks, half, half]);
    const pairs = inverse.reshape([matrices * blocks, 2, half, half]);
    const [first, second] = [pairs.select(1, 0), pairs.select(1, 1)];
    const corner = second.matmul(below).matmul(first).neg();
    const upper = first.pad([
      [0, 0],
      [0, 0],
      [0, half],
    ]);
    inverse = concat([upper, concat([corner, second], -1)], -2);
  }
  return inverse.reshape(lower.shape);
}
