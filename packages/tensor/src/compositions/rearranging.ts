/** Axes rolled, tiled, repeated, and rearranged by patterns. */

export const rearrangingMethods = {};
