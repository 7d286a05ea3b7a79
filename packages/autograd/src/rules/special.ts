/** Derivatives: special functions and further elementwise ops. */

export const specials = {};
