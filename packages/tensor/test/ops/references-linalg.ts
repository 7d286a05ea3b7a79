/** References: factorisations and solutions of matrices. */

export const linalgReferences = {};
