/** Derivatives: ops that write elements at indexed places, and searches in sorted rows. */

export const scatters = {};
