/** What the compositions of linear algebra share. */
import { eye } from '../../creation.ts';
import { isFloat, type DType } from '../../dtype.ts';
import type { Tensor } from '../../tensor.ts';

export { within } from '../within.ts';

/** The dtype in which matrices of x's are factored. */
export const floatOf = (x: Tensor): DType => (isFloat(x.dtype) ? x.dtype : 'f32');

/** x in floating point. */
export const asFloat = (x: Tensor): Tensor => (isFloat(x.dtype) ? x : x.cast('f32'));

/** The identity [n, m] beside x. */
export const identityBeside = (x: Tensor, n: number, m = n): Tensor =>
  eye(n, m, { dtype: floatOf(x), backend: x.backend });
