/** A linear layer: a product with the weights as they lie, and the bias added to what it wrote. */
import { isHalf } from '../../../dtype.ts';
import { recordOf } from '../../../ops/table.ts';
import type { ElementwiseRecord } from '../../../ops/record.ts';
import { isContiguous, sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { runElementwise } from '../elementwise.ts';
import type { Engine } from '../engine.ts';

const add = recordOf('add') as ElementwiseRecord;
const none = {};

const turned = ({ buffer, dtype, shape, strides, offset }: BufferView): BufferView => ({
  buffer,
  dtype,
  shape: [shape[1]!, shape[0]!],
  strides: [strides[1]!, strides[0]!],
  offset,
});

/** All lines without gaps as the rows of one matrix; null where they do not lie like that. */
function matrix(view: BufferView): BufferView | null {
  const { buffer, dtype, shape, offset } = view;
  if (!isContiguous(view)) return null;
  const columns = shape.at(-1)!;
  const rows = sizeOf(shape.slice(0, -1));
  return { buffer, dtype, shape: [rows, columns], strides: [columns, 1], offset };
}

/** The weights may be of 16 bits: where the rows are few they stay so. */
export function linear(engine: Engine, call: KernelCall): void {
  const [x, weight, bias] = call.inputs as [BufferView, BufferView, BufferView?];
  const { output } = call;
  if (sizeOf(output.shape) === 0) return;
  const rows = matrix(x);
  const product = matrix(output)!;
  const multiply = (right: BufferView): void => {
    if (rows) engine.gemm.multiply(rows, right, product);
    else if (x.shape.length > 1) engine.gemm.multiply(x, right, output);
    else engine.gemm.multiply(asRow(x), right, product);
  };
  const right = turned(weight);
  if (!isHalf(weight.dtype)) multiply(right);
  else if (!(rows && engine.gemm.multiplyHalves(rows, right, product)))
    engine.withCopy(weight, 'f32', (wide) => multiply(turned(wide)));
  if (bias)
    runElementwise(
      engine,
      {
        op: 'add',
        record: add,
        inputs: [product, product.shape[0] === 1 ? asRow(bias) : bias],
        output: product,
        attrs: none,
      },
      add,
    );
}

function asRow({ buffer, dtype, shape, strides, offset }: BufferView): BufferView {
  return { buffer, dtype, shape: [1, shape[0]!], strides: [shape[0]!, strides[0]!], offset };
}
