/** Runs the reference kernels on typed arrays over the wasm memory: right for every op, and slow. */
import { arrayOn, bytesPerElement, type DType, type TypedArray } from '../../dtype.ts';
import type { StructuredOp } from '../../ops/table.ts';
import type { BufferView, KernelCall } from '../backend.ts';
import { runElementwise } from '../js/elementwise.ts';
import { structuredKernels } from '../js/kernels/index.ts';
import { runReduction } from '../js/reduction.ts';
import type { Heap, WasmBuffer } from './heap.ts';

/** A buffer in the heap as a typed array; good until the next allocation. */
export function arrayOver(heap: Heap, buffer: WasmBuffer, dtype: DType): TypedArray {
  return arrayOn(dtype, heap.memory.buffer, buffer.pointer, buffer.bytes / bytesPerElement(dtype));
}

export function runFallback(heap: Heap, call: KernelCall): void {
  const over = (view: BufferView): BufferView => ({
    ...view,
    buffer: arrayOver(heap, view.buffer as WasmBuffer, view.dtype),
  });
  const { record } = call;
  const there = { ...call, inputs: call.inputs.map(over), output: over(call.output) };
  // The reference kernels count on fresh arrays being zero.
  (there.output.buffer as TypedArray).fill(0);
  if (record.kind === 'elementwise') runElementwise(there, record);
  else if (record.kind === 'reduction') runReduction(there, record);
  else structuredKernels[call.op as StructuredOp](there);
}
