/** Kernels: sliding windows over axes, and their transpose. */

export const windowingKernels = {};
