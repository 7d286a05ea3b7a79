/** References: discrete Fourier transforms of complex numbers held as pairs. */

export const fourierReferences = {};
