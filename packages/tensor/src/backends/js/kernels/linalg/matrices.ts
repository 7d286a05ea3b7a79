/** From views to plain matrices and back: every algorithm here works in f64 on row-major arrays of its own. */
import { broadcastLayout, contiguousLayout, type Shape } from '../../../../shape.ts';
import type { BufferView, KernelCall } from '../../../backend.ts';
import { matmul } from '../matmul.ts';
import { arrayOf, positions } from '../walk.ts';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Row-major. */
  readonly data: Float64Array;
}

export const zeroMatrix = (rows: number, columns: number): Matrix => ({
  rows,
  columns,
  data: new Float64Array(rows * columns),
});

export function identity(n: number): Matrix {
  const out = zeroMatrix(n, n);
  for (let i = 0; i < n; i++) out.data[i * n + i] = 1;
  return out;
}

export const copyOf = ({ rows, columns, data }: Matrix): Matrix => ({ rows, columns, data: data.slice() });

export function transposed({ rows, columns, data }: Matrix): Matrix {
  const out = zeroMatrix(columns, rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out.data[j * rows + i] = data[i * columns + j]!;
  return out;
}

const viewOf = ({ rows, columns, data }: Matrix): BufferView => ({
  buffer: data,
  dtype: 'f64',
  ...contiguousLayout([rows, columns]),
});

export function multiply(a: Matrix, b: Matrix): Matrix {
  const out = zeroMatrix(a.rows, b.columns);
  matmul({ inputs: [viewOf(a), viewOf(b)], output: viewOf(out) });
  return out;
}

/** x[p …] += factor · y[q …] */
export function addRow(
  x: Float64Array,
  p: number,
  y: Float64Array,
  q: number,
  length: number,
  factor: number,
): void {
  for (let i = 0; i < length; i++) x[p + i]! += factor * y[q + i]!;
}

export function dotRows(x: Float64Array, p: number, y: Float64Array, q: number, length: number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total += x[p + i]! * y[q + i]!;
  return total;
}

/** The largest absolute value; NaN where there is one. */
export function largestOf(values: Float64Array): number {
  let top = 0;
  for (const value of values) {
    if (Number.isNaN(value)) return NaN;
    top = Math.max(top, Math.abs(value));
  }
  return top;
}

/** Where the matrices of a view begin, one for each place of the batch that it broadcasts to. */
function startsOf({ shape, strides, offset }: BufferView, batch: Shape): Int32Array {
  return positions(
    broadcastLayout({ shape: shape.slice(0, -2), strides: strides.slice(0, -2), offset }, batch),
  );
}

function read(view: BufferView, start: number): Matrix {
  const [rows, columns] = view.shape.slice(-2) as [number, number];
  const [down, right] = view.strides.slice(-2) as [number, number];
  const source = arrayOf(view);
  const out = zeroMatrix(rows, columns);
  for (let i = 0, at = 0; i < rows; i++)
    for (let j = 0, p = start + i * down; j < columns; j++, p += right) out.data[at++] = source[p]!;
  return out;
}

/** One matrix of a batch, with what an error says of it. */
export interface Place {
  /** A fresh copy of input i's matrix here. */
  input(i: number): Matrix;
  /** True where input i has the same matrix here as at the place before. */
  again(i: number): boolean;
  /** `text`, with the batch index behind it where there is a batch. */
  says(text: string): string;
}

/**
 * Calls `body` for every matrix of the batch; what it returns, so many elements in a row, is the output there.
 * `tail`: how many of the output's last axes belong to one matrix.
 */
export function eachMatrix(
  { inputs, output }: KernelCall,
  tail: number,
  body: (place: Place) => ArrayLike<number>,
): void {
  const batch = output.shape.slice(0, output.shape.length - tail);
  const starts = inputs.map((x) => startsOf(x, batch));
  const count = batch.reduce((a, b) => a * b, 1);
  const target = arrayOf(output);
  let to = output.offset;
  for (let at = 0; at < count; at++) {
    const result = body({
      input: (i) => read(inputs[i]!, starts[i]![at]!),
      again: (i) => at > 0 && starts[i]![at] === starts[i]![at - 1],
      says: (text) => (batch.length === 0 ? text : `${text} (batch index [${indexOf(at, batch)}])`),
    });
    for (let i = 0; i < result.length; i++) target[to++] = result[i]!;
  }
}

function indexOf(at: number, batch: Shape): string {
  const index: number[] = [];
  for (const size of batch.toReversed()) {
    index.unshift(at % size);
    at = Math.floor(at / size);
  }
  return index.join(', ');
}
