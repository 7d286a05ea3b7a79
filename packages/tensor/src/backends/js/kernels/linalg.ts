/** Kernels: factorisations and solutions of matrices. */
import { matrixExp } from './linalg/exponential.ts';
import { cofactor, det, luPacked, luPermutation, slogdetPacked, solve } from './linalg/lu.ts';
import { orthogonalComplement, qrPacked } from './linalg/qr.ts';
import { pinv, svdPacked } from './linalg/svd.ts';
import { eighPacked } from './linalg/symmetric.ts';
import { cholesky, triangularSolve } from './linalg/triangular.ts';

export const linalgKernels = {
  cholesky,
  triangularSolve,
  luPermutation,
  luPacked,
  solve,
  det,
  slogdetPacked,
  cofactor,
  qrPacked,
  orthogonalComplement,
  eighPacked,
  svdPacked,
  pinv,
  matrixExp,
};
