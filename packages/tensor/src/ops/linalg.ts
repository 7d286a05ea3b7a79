/** Factorisations and solutions of matrices. */

export const linalg = {};
