/** Linear algebra. */

export const linalgMethods = {};
