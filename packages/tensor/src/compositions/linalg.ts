/** Linear algebra. */
import { equations } from './linalg/equations.ts';
import { factors } from './linalg/factors.ts';
import { measures } from './linalg/measures.ts';
import { products } from './linalg/products.ts';

export const linalgMethods = { ...factors, ...equations, ...measures, ...products };

export { multiDot } from './linalg/products.ts';
export type { MatrixNormOrder } from './linalg/measures.ts';
export type { FactorOptions } from './linalg/equations.ts';
