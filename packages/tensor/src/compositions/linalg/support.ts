/** What the compositions of linear algebra share. */
import { eye } from '../../creation.ts';
import { isFloat, type DType } from '../../dtype.ts';
import { InfinigradError, type OperandInfo } from '../../errors.ts';
import type { Tensor } from '../../tensor.ts';

/** Errors of the ops inside as errors of the composition. */
export function within<T>(op: string, operands: readonly OperandInfo[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof InfinigradError) || error.op === op) throw error;
    const Same = error.constructor as typeof InfinigradError;
    throw new Same(op, error.problem, {
      operands,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}

/** The dtype in which matrices of x's are factored. */
export const floatOf = (x: Tensor): DType => (isFloat(x.dtype) ? x.dtype : 'f32');

/** x in floating point. */
export const asFloat = (x: Tensor): Tensor => (isFloat(x.dtype) ? x : x.cast('f32'));

/** The identity [n, m] beside x. */
export const identityBeside = (x: Tensor, n: number, m = n): Tensor =>
  eye(n, m, { dtype: floatOf(x), backend: x.backend });
