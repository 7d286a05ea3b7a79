/** One op's name for the errors of all that it is made of. */
import { InfinigradError, type OperandInfo } from '../errors.ts';

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
