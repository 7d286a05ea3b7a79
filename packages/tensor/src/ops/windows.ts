/** Sliding windows over axes, and their transpose. */

export const windowing = {};
