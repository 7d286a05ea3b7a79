/** Kernels that join tensors and that read or write through indices. */
import { IndexError } from '../../../errors.ts';
import type { Attrs } from '../../../ops/record.ts';
import type { Shape } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { arrayOf, copy, positions, window } from './walk.ts';

export function concat({ inputs, output, attrs }: KernelCall): void {
  const axis = attrs['axis'] as number;
  let start = 0;
  for (const x of inputs) {
    const length = x.shape[axis]!;
    copy(x, window(output, axis, start, length));
    start += length;
  }
}

export function pad({ inputs, output, attrs }: KernelCall): void {
  const widths = attrs['widths'] as readonly (readonly [number, number])[];
  arrayOf(output).fill(attrs['value'] as number);
  const x = inputs[0]!;
  copy(
    x,
    widths.reduce((view, [before], axis) => window(view, axis, before, x.shape[axis]!), output),
  );
}

export function unslice({ inputs, output, attrs }: KernelCall): void {
  const [x] = inputs as [BufferView];
  copy(x, sliceOf(output, x.shape, attrs));
}

/** The part of a view that begins at `starts` and goes in `steps` along each axis. */
export function sliceOf(view: BufferView, shape: Shape, attrs: Attrs): BufferView {
  const starts = attrs['starts'] as readonly number[];
  const steps = attrs['steps'] as readonly number[];
  return {
    ...view,
    shape,
    strides: view.strides.map((stride, axis) => stride * steps[axis]!),
    offset: view.strides.reduce((at, stride, axis) => at + stride * starts[axis]!, view.offset),
  };
}

/** The index's values in row-major order, each within 0 … size - 1. */
function readIndex({ op, inputs }: KernelCall, size: number): Int32Array {
  const index = inputs[1]!;
  const values = arrayOf(index);
  return positions(index).map((p) => {
    const value = values[p]!;
    if (value < 0 || value >= size)
      throw new IndexError(op, `index ${value} is out of range for an axis of size ${size}`, {
        operands: inputs,
      });
    return value;
  });
}

/** Calls `body` with positions in the indexed tensor and in the picked one, for every picked element. */
function eachSelected(
  call: KernelCall,
  whole: BufferView,
  picked: BufferView,
  body: (whole: number, picked: number) => void,
): void {
  const axis = call.attrs['axis'] as number;
  const index = readIndex(call, whole.shape[axis]!);
  const before = positions({
    shape: whole.shape.slice(0, axis),
    strides: whole.strides.slice(0, axis),
    offset: whole.offset,
  });
  const after = positions({
    shape: whole.shape.slice(axis + 1),
    strides: whole.strides.slice(axis + 1),
    offset: 0,
  });
  const at = positions(picked);
  const step = whole.strides[axis]!;
  let i = 0;
  for (const b of before) for (const k of index) for (const a of after) body(b + k * step + a, at[i++]!);
}

export function indexSelect(call: KernelCall): void {
  const { inputs, output } = call;
  const [source, target] = [arrayOf(inputs[0]!), arrayOf(output)];
  eachSelected(call, inputs[0]!, output, (whole, picked) => (target[picked] = source[whole]!));
}

export function indexAdd(call: KernelCall): void {
  const { inputs, output } = call;
  copy(inputs[0]!, output);
  const [source, target] = [arrayOf(inputs[2]!), arrayOf(output)];
  eachSelected(call, output, inputs[2]!, (whole, picked) => (target[whole]! += source[picked]!));
}

/** For every element of the index, its place in `whole` along the axis. */
export function gatherPlaces(call: KernelCall, whole: BufferView): Int32Array {
  const axis = call.attrs['axis'] as number;
  const index = readIndex(call, whole.shape[axis]!);
  const { shape } = call.inputs[1]!;
  const base = positions({ shape, strides: whole.strides.with(axis, 0), offset: whole.offset });
  return base.map((p, i) => p + index[i]! * whole.strides[axis]!);
}

export function gather(call: KernelCall): void {
  const source = arrayOf(call.inputs[0]!);
  const target = arrayOf(call.output);
  const places = gatherPlaces(call, call.inputs[0]!);
  for (let i = 0; i < places.length; i++) target[call.output.offset + i] = source[places[i]!]!;
}
