/** Sorted elements and running extremes. */

export const sortingMethods = {};
