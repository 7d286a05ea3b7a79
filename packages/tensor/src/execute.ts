/** The end of the line of `apply`: a call becomes a view or a kernel run. */
import type { BufferView } from './backends/backend.ts';
import { bytesPerElement } from './dtype.ts';
import { BackendError, internalError } from './errors.ts';
import { narrowBehind } from './fusion.ts';
import { newStorage } from './memory/scope.ts';
import type { Plan } from './ops/record.ts';
import { recordOf, type OpName } from './ops/table.ts';
import { contiguousLayout, sizeOf } from './shape.ts';
import { Tensor } from './tensor.ts';

/** A call of an op: inputs promoted, result planned. Plain data but for the tensors. */
export interface OpCall {
  readonly op: OpName;
  readonly inputs: readonly Tensor[];
  readonly plan: Plan;
}

export function execute({ op, inputs, plan }: OpCall): Tensor {
  const record = recordOf(op);
  if (record.kind === 'view') {
    const x = inputs[0]!;
    const layout = record.view(x.layout, plan);
    if (layout) return new Tensor(x.storage, layout, x.dtype);
    const copy = execute({ op: 'clone', inputs, plan: { shape: x.shape, dtype: x.dtype, attrs: {} } });
    const viewed = record.view(copy.layout, plan);
    if (!viewed) throw internalError(`${op} does not view a row-major tensor`);
    return new Tensor(copy.storage, viewed, x.dtype);
  }
  const { backend } = inputs[0]!;
  const lacking = backend.lacks(op, inputs[0]!.dtype);
  if (lacking)
    throw new BackendError(op, `the ${backend.name} backend cannot run it: ${lacking}`, { operands: inputs });
  const { shape, dtype } = plan;
  const length = sizeOf(shape);
  const buffer = backend.allocate(dtype, length);
  const layout = contiguousLayout(shape);
  try {
    const views = new Array<BufferView>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      const x = inputs[i]!;
      // Widened weights would be read once, and thrown away.
      const narrow = x.storage.pending && backend.takesHalf?.(op, i) ? narrowBehind(x) : null;
      views[i] = (narrow ?? x).view();
    }
    const { strides, offset } = layout;
    const output = { buffer, dtype, shape, strides, offset };
    backend.run({ op, record, inputs: views, output, attrs: plan.attrs });
  } catch (error) {
    const claim = backend.claim(buffer);
    if (claim) backend.free(claim);
    throw error;
  }
  return new Tensor(newStorage(backend, buffer, length * bytesPerElement(dtype), op), layout, dtype);
}
