/** Derivatives: factorisations and solutions of matrices. */

export const linalg = {};
