/** The reference backend: typed-array loops in plain JavaScript. Slow, and obviously right. */
import { allocateArray, type DType, type TypedArray } from '../../dtype.ts';
import { recordOf, type OpName, type StructuredOp } from '../../ops/table.ts';
import type { ElementwiseRecord } from '../../ops/record.ts';
import type { Backend, BackendBuffer, BufferView, KernelCall } from '../backend.ts';
import { runElementwise } from './elementwise.ts';
import { structuredKernels } from './kernels/index.ts';
import { runReduction } from './reduction.ts';

const clone = recordOf('clone') as ElementwiseRecord;

export class JsBackend implements Backend {
  readonly name = 'js';
  readonly fuses = false;
  readonly synchronous = true;

  lacks(op: OpName): string | null {
    return recordOf(op).kind === 'fused' ? 'the reference runs the ops that it is made of' : null;
  }

  allocate(dtype: DType, length: number): BackendBuffer {
    return allocateArray(dtype, length);
  }

  upload(_dtype: DType, data: TypedArray): BackendBuffer {
    return data.slice();
  }

  downloadSync(buffer: BackendBuffer, _dtype: DType, offset: number, length: number): TypedArray {
    return (buffer as TypedArray).slice(offset, offset + length);
  }

  async download(buffer: BackendBuffer, dtype: DType, offset: number, length: number): Promise<TypedArray> {
    return this.downloadSync(buffer, dtype, offset, length);
  }

  /** None: the garbage collector owns the arrays. */
  claim(): null {
    return null;
  }

  free(): void {}

  run(call: KernelCall): void {
    const { record } = call;
    if (record.kind === 'elementwise') runElementwise(call, record);
    else if (record.kind === 'reduction') runReduction(call, record);
    else structuredKernels[call.op as StructuredOp](call);
  }

  copyInto(from: BufferView, to: BufferView): void {
    runElementwise({ op: 'clone', record: clone, inputs: [from], output: to, attrs: {} }, clone);
  }

  async sync(): Promise<void> {}
}
