/** Eigenvalues, singular values, and a function of matrices. */
import { unit } from '../domains.ts';
import { ofMatrices, ofSquare } from './of-matrices.ts';
import { drawAny, matrices, matrixSizes, notFinite, notMatrix } from './shapes.ts';

const eighPacked = ofSquare({
  doc: 'Eigenvalues, ascending, over eigenvectors, a column each: [n + 1, n]. The symmetric part (A + Aᵀ)/2 is what is read. Of the two signs of a vector v the one with Σᵢ wᵢ vᵢ > 0 is taken, wᵢ = 1 + the fraction of (i + 1)·0.618… (the golden ratio). `eigh` hands out the parts.',
  tail: (n) => [n + 1, n],
  domain: matrices('symmetric'),
  errors: notFinite,
  flops: 9,
});

const svdPacked = ofMatrices({
  doc: 'The k = min(m, n) singular values, descending, over U over V, a vector a column: [1 + m + n, k], of A = U S Vᵀ. Of the two signs of a pair of vectors the one with Σᵢ wᵢ uᵢ > 0 is taken, w as in `eighPacked`. `svd` hands out the parts.',
  sizes: matrixSizes,
  tail: (m, n) => [1 + m + n, Math.min(m, n)],
  draw: drawAny,
  errors: [notMatrix, ...notFinite],
  flops: (m, n) => 20 * m * n * Math.min(m, n),
});

const matrixExp = ofSquare({
  doc: 'The exponential Σ Aᵏ/k! of square matrices, by a Padé approximant with scaling and squaring (Higham 2005). NaN where an element is infinite or NaN.',
  tail: (n) => [n, n],
  domain: unit,
  flops: 16,
});

export const spectra = { eighPacked, svdPacked, matrixExp };
