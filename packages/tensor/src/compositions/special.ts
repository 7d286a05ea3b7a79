/** Special functions made of table ops. */

export const specialMethods = {};
