/** Sums of products in index notation. */

export const einsumMethods = {};
