/** Walking strided elements in row-major order. */
import type { TypedArray } from '../../../dtype.ts';
import { sizeOf, type Layout } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';

export const arrayOf = (view: BufferView): TypedArray => view.buffer as TypedArray;

/** The position of every element in its buffer, in row-major order. */
export function positions({ shape, strides, offset }: Layout): Int32Array {
  const out = new Int32Array(sizeOf(shape));
  if (out.length === 0) return out;
  const index = new Int32Array(shape.length);
  let at = offset;
  for (let i = 0; i < out.length; i++) {
    out[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** The layout without one axis. */
export function withoutAxis({ shape, strides, offset }: Layout, axis: number): Layout {
  const rest: number[] = [];
  const steps: number[] = [];
  for (let i = 0; i < shape.length; i++)
    if (i !== axis) {
      rest.push(shape[i]!);
      steps.push(strides[i]!);
    }
  return { shape: rest, strides: steps, offset };
}

/** The part of a layout from `start` on along an axis, of a given length. */
export function window(view: BufferView, axis: number, start: number, length: number): BufferView {
  return {
    ...view,
    shape: view.shape.with(axis, length),
    offset: view.offset + start * view.strides[axis]!,
  };
}

/** Copies elements between two views of one shape. */
export function copy(from: BufferView, to: BufferView): void {
  const [source, target] = [arrayOf(from), arrayOf(to)];
  const [p, q] = [positions(from), positions(to)];
  for (let i = 0; i < p.length; i++) target[q[i]!] = source[p[i]!]!;
}
