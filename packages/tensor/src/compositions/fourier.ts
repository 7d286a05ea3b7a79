/** Fourier transforms. */

export const fourierMethods = {};
