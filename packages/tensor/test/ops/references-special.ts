/** References: special functions and further elementwise ops. */

export const specialsReferences = {};
