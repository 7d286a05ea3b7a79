/** The values of index tensors on the host: as they were uploaded, or read back from the GPU. */
import { IndexError } from '../../../errors.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { positions } from '../../js/kernels/walk.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf } from '../memory.ts';

/** In row-major order, each within 0 … size - 1. @throws IndexError where one is not */
function valuesOf(
  { op, inputs }: KernelCall,
  index: BufferView,
  elements: ArrayLike<number>,
  size: number,
): Int32Array {
  return positions(index).map((p) => {
    const value = elements[p]!;
    if (value < 0 || value >= size)
      throw new IndexError(op, `index ${value} is out of range for an axis of size ${size}`, {
        operands: inputs.map(({ shape, dtype }) => ({ shape, dtype })),
      });
    return value;
  });
}

/**
 * Calls `body` with the values of an index tensor, in the turn of the call. Those that the host knows are checked at once;
 * those that the GPU has computed are read back first, and an index out of range shows where the result is read.
 */
export function withIndex(
  launcher: Launcher,
  call: KernelCall,
  size: number,
  body: (values: Int32Array) => void | Promise<void>,
): void {
  const index = call.inputs[1]!;
  const home = homeOf(index.buffer);
  const out = homeOf(call.output.buffer);
  if (home.host || home.length === 0) {
    const values = valuesOf(call, index, home.host ?? [], size);
    launcher.later(call.op, out, () => body(values));
  } else
    launcher.later(call.op, out, async () => body(valuesOf(call, index, await launcher.readNow(home), size)));
}
