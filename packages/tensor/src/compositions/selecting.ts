/** Reading and updating through indices, masks and names of places. */

export const selectingMethods = {};
