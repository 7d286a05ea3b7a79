/** Determinants, and what their derivatives are made of. */
import { ofSquare } from './of-matrices.ts';

/** By elimination. */
const flops = 2 / 3;

const det = ofSquare({
  doc: 'The determinant of square matrices, by LU with partial pivoting; 1 for matrices of size 0. See `slogdet` for large ones.',
  tail: () => [],
  flops,
});

const slogdetPacked = ofSquare({
  doc: 'Sign and logarithm of the absolute value of the determinant, in this order along a last axis of two; 0 and -Infinity where it is 0. `slogdet` hands out the two.',
  tail: () => [2],
  flops,
});

const cofactor = ofSquare({
  doc: 'The matrix of cofactors, det(A)·A⁻ᵀ where A has an inverse, and as exact where it has none (by elimination with complete pivoting). It is the gradient of the determinant.',
  tail: (n) => [n, n],
  flops,
});

export const determinants = { det, slogdetPacked, cofactor };
