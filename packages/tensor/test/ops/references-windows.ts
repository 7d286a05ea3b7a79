/** References: sliding windows over axes, and their transpose. */

export const windowingReferences = {};
