/** A linear layer: a product with the weights as they lie, and the bias added to what it wrote. */
import { recordOf } from '../../../ops/table.ts';
import type { ElementwiseRecord } from '../../../ops/record.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { runElementwise } from '../elementwise.ts';
import type { Engine } from '../engine.ts';

const add = recordOf('add') as ElementwiseRecord;

const turned = ({ shape, strides, ...view }: BufferView): BufferView => ({
  ...view,
  shape: [shape[1]!, shape[0]!],
  strides: [strides[1]!, strides[0]!],
});

export function linear(engine: Engine, call: KernelCall): void {
  const [x, weight, bias] = call.inputs as [BufferView, BufferView, BufferView?];
  const { output } = call;
  // A vector is a row.
  const row = <V extends BufferView>(view: V): V =>
    view.shape.length > 1 ? view : { ...view, shape: [1, ...view.shape], strides: [0, ...view.strides] };
  engine.gemm.run({ ...call, inputs: [row(x), turned(weight)], output: row(output) });
  if (bias)
    runElementwise(engine, { ...call, op: 'add', record: add, inputs: [output, bias], attrs: {} }, add);
}
