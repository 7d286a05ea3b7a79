/** Factorisations by elimination and by mirrors. Each gives one tensor; the compositions hand out its parts. */
import type { DType } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { leading } from '../batch.ts';
import type { StructuredRecord } from '../record.ts';
import { ofMatrices } from './of-matrices.ts';
import {
  anyMatrix,
  drawAny,
  drawBatch,
  drawSquare,
  drawTall,
  leadingAxes,
  matrices,
  matrixSizes,
  notMatrix,
  notSquare,
  notTall,
  squareSize,
  tallSizes,
} from './shapes.ts';

/** Of the elimination of an m × n matrix. */
function eliminationFlops(m: number, n: number): number {
  const k = Math.min(m, n);
  return 2 * m * n * k - (m + n) * k * k + (2 / 3) * k ** 3;
}

const cholesky: StructuredRecord<[x: Tensor, upper?: boolean]> = {
  kind: 'structured',
  doc: 'The lower triangular L with a positive diagonal and L Lᵀ = A, or with `upper` the U = Lᵀ, of positive definite matrices. The symmetric part (A + Aᵀ)/2 is what is read.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (x, upper = false) => ({ inputs: [x], attrs: { upper } }),
  infer: ([x], attrs, op) => {
    squareSize(op, x!);
    return { shape: x!.shape, dtype: x!.dtype as DType, attrs: { upper: attrs['upper'] === true } };
  },
  sample: (draw) => ({
    inputs: [{ shape: drawSquare(draw), domain: matrices('positive-definite') }],
    attrs: { upper: draw.bool() },
  }),
  errors: [
    ...notSquare,
    {
      inputs: [{ shape: [2, 2], fill: 1 }],
      error: 'ValueError',
      says: 'not positive definite: the leading minor of order 2 is not positive (pivot 0)',
    },
    {
      inputs: [{ shape: [2, 1, 1, 1], fill: -1 }],
      error: 'ValueError',
      says: 'order 1 is not positive (pivot -1) (batch index [0, 0])',
    },
    { inputs: [{ shape: [1, 1], fill: NaN }], error: 'ValueError', says: '(pivot NaN)' },
  ],
  flops: ([x]) => sizeOf(leadingAxes(x!)) * (x!.shape.at(-1)! ** 3 / 3),
};

const luPermutation = ofMatrices({
  doc: 'The order of the rows in which elimination takes the largest pivot of each column first: rows `order` of A have an LU factorisation.',
  sizes: matrixSizes,
  tail: (m) => [m],
  result: 'i32',
  draw: drawAny,
  errors: [notMatrix],
  flops: eliminationFlops,
});

const luPacked = ofMatrices({
  doc: 'L and U of A = L U in one matrix: U on and above the diagonal, L, whose diagonal is 1, below. The rows stay in their order: see `luPermutation`, and `lu` for all of it.',
  sizes: matrixSizes,
  tail: (m, n) => [m, n],
  draw: drawAny,
  domain: matrices('dominant'),
  errors: [notMatrix],
  flops: eliminationFlops,
});

const qrPacked = ofMatrices({
  doc: 'Q over Rᵀ, [m + n, n], of A = Q R for matrices with at least as many rows as columns: Q has orthonormal columns, R is upper triangular and its diagonal ≥ 0, which makes the two unique where A has full rank. `qr` hands out the parts and takes any shape.',
  sizes: (op, x) => tallSizes(op, x, 'qr() takes any shape'),
  tail: (m, n) => [m + n, n],
  draw: drawTall,
  errors: notTall,
  flops: (m, n) => 4 * m * n * n - (4 / 3) * n ** 3,
});

const orthogonalComplement = ofMatrices({
  doc: 'Orthonormal columns, [m, m - n], perpendicular to the n columns of each matrix, which are to be independent.',
  sizes: (op, x) => tallSizes(op, x, 'more columns than rows are not independent'),
  tail: (m, n) => [m, m - n],
  draw: (draw) => {
    const n = draw.int(1, 3);
    return [...drawBatch(draw), n + draw.int(1, 2), n];
  },
  errors: notTall,
  flops: (m, n) => 4 * m * n * m,
});

export const factorisations = {
  cholesky,
  luPermutation,
  luPacked,
  qrPacked,
  orthogonalComplement,
};
