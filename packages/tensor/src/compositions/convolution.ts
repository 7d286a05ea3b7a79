/** Convolutions, pooling and interpolation. */

export const convolutionMethods = {};
