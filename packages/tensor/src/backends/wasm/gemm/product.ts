/** Products of matrices in memory: where they lie, and how they are best read. */
import { bytesPerElement } from '../../../dtype.ts';
import type { BufferView } from '../../backend.ts';
import type { WasmBuffer } from '../heap.ts';
import type { LeftAccess, RightAccess } from './block.ts';
import type { Float } from './shape.ts';

/** One product; steps in bytes. The lines of A are its rows, those of B its columns; the rows of C follow one another. */
export interface Product {
  readonly dtype: Float;
  readonly bytes: number;
  /** Of an element of B. */
  readonly bytesB: number;
  rows: number;
  readonly columns: number;
  readonly inner: number;
  a: number;
  lineA: number;
  readonly innerA: number;
  b: number;
  readonly lineB: number;
  readonly innerB: number;
  c: number;
}

/** Products one after another: how many, and the steps (in bytes) from each to the next. */
export interface Batch {
  readonly count: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export const single: Batch = { count: 1, a: 0, b: 0, c: 0 };

/** The first product of a call. Along axes of size 1 any step is as good as the one that is there. */
export function firstProduct(a: BufferView, b: BufferView, output: BufferView): Product {
  const dtype = output.dtype as Float;
  const bytes = bytesPerElement(dtype);
  const bytesB = bytesPerElement(b.dtype);
  const rankA = a.shape.length;
  const rankB = b.shape.length;
  const rows = a.shape[rankA - 2]!;
  const inner = a.shape[rankA - 1]!;
  const columns = b.shape[rankB - 1]!;
  return {
    dtype,
    bytes,
    bytesB,
    rows,
    columns,
    inner,
    a: (a.buffer as WasmBuffer).pointer + a.offset * bytes,
    lineA: rows === 1 ? bytes : a.strides[rankA - 2]! * bytes,
    innerA: inner === 1 ? bytes : a.strides[rankA - 1]! * bytes,
    b: (b.buffer as WasmBuffer).pointer + b.offset * bytesB,
    lineB: columns === 1 ? bytesB : b.strides[rankB - 1]! * bytesB,
    innerB: inner === 1 ? bytesB : b.strides[rankB - 2]! * bytesB,
    c: (output.buffer as WasmBuffer).pointer + output.offset * bytes,
  };
}

/** The leading axes of a call, outermost first, those that run on merged. */
export function batchAxes(a: BufferView, b: BufferView, output: BufferView, bytes: number): Batch[] {
  const lead = output.shape.length - 2;
  const axes: Batch[] = [];
  for (let i = 0; i < lead; i++) {
    const count = output.shape[i]!;
    if (count === 1) continue;
    const axis: Batch = {
      count,
      a: leadingStep(a, i - lead) * bytes,
      b: leadingStep(b, i - lead) * bytes,
      c: output.strides[i]! * bytes,
    };
    const last = axes.at(-1);
    const runsOn =
      last && last.a === axis.a * count && last.b === axis.b * count && last.c === axis.c * count;
    if (runsOn) axes[axes.length - 1] = { ...axis, count: last.count * count };
    else axes.push(axis);
  }
  return axes;
}

/** The step along a leading axis, counted from the matrices outwards. */
function leadingStep({ shape, strides }: BufferView, axis: number): number {
  const at = shape.length - 2 + axis;
  return at < 0 || shape[at] === 1 ? 0 : strides[at]!;
}

/** Where one B is for all of a batch and the rows of A go on at one step, the batch is nothing but more rows. */
export function foldRows(p: Product, { count, a, b }: Batch): boolean {
  if (b !== 0 || (p.rows > 1 && a !== p.rows * p.lineA)) return false;
  if (p.rows === 1) p.lineA = a;
  p.rows *= count;
  return true;
}

/** Of the transposes, in the other order; only where C is a column. */
export function transposed(p: Product): Product {
  return {
    ...p,
    rows: 1,
    columns: p.rows,
    a: p.b,
    lineA: p.lineB,
    innerA: p.innerB,
    b: p.a,
    lineB: p.lineA,
    innerB: p.innerA,
  };
}

/** Elements of a matrix that stays in the innermost cache, however it is read. */
const fewElements = 64 * 64;
/** Rows of A for which packing B does not pay. */
const fewRows = 10;

/** Rows are read where they are if they lie along memory: packing them costs more than it gains. */
export function leftAccess({ bytes, innerA, lineA, columns, rows, inner }: Product): LeftAccess {
  if (innerA === bytes) return 'along';
  if (lineA !== bytes) return 'pack any';
  return columns <= 32 || rows * inner <= fewElements ? 'side' : 'pack side';
}

export function rightAccess({ bytes, innerB, lineB, columns, rows, inner }: Product): RightAccess {
  if (lineB === bytes) return rows <= fewRows || columns * inner <= fewElements ? 'direct' : 'pack side';
  return innerB === bytes ? 'pack along' : 'pack any';
}
