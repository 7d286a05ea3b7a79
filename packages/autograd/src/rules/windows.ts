/** Derivatives: sliding windows over axes, and their transpose. */

export const windowing = {};
