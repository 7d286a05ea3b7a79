/** References: orders of elements along an axis, and running extremes, products and log-sums. */

export const sortingReferences = {};
