/** Kernels: factorisations and solutions of matrices. */

export const linalgKernels = {};
