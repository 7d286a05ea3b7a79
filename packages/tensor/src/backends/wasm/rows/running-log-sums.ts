/** Running log-sums of exponentials: one exponential and one logarithm an element, in f64, on arrays over the memory. */
import type { TypedArray } from '../../../dtype.ts';
import { positions, withoutAxis } from '../../js/kernels/walk.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import type { FusedKernel } from '../structured.ts';

/** log Σ e^x over what has come so far, as the largest so far and the sum of the others beside it. */
function along(
  x: TypedArray,
  from: number,
  step: number,
  out: TypedArray,
  to: number,
  outStep: number,
  n: number,
): void {
  let top = -Infinity;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const value = x[from + i * step]!;
    // Of two equal infinities there is no difference.
    if (value > top) [sum, top] = [sum * Math.exp(top - value) + 1, value];
    else if (value === top) sum += top === -Infinity ? 0 : 1;
    else sum += Math.exp(value - top);
    out[to + i * outStep] = Math.abs(top) === Infinity && sum === sum ? top : top + Math.log(sum);
  }
}

export const logCumSumExp: FusedKernel = ({ heap }, { inputs, output, attrs }) => {
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const source = arrayOver(heap, x.buffer as WasmBuffer, x.dtype);
  const target = arrayOver(heap, output.buffer as WasmBuffer, output.dtype);
  const [from, to] = [x, output].map((view) => positions(withoutAxis(view, axis))) as [
    Int32Array,
    Int32Array,
  ];
  for (let line = 0; line < from.length; line++)
    along(source, from[line]!, x.strides[axis]!, target, to[line]!, output.strides[axis]!, x.shape[axis]!);
};
