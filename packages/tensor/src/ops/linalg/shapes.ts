/** What the records of matrix ops share: checks of shapes, domains, sizes of samples, error rows. */
import type { DType } from '../../dtype.ts';
import { ShapeError, type OperandInfo } from '../../errors.ts';
import { broadcastShapes } from '../../shape.ts';
import { anyDType } from '../families.ts';
import { real } from '../domains.ts';
import type { Domain, Draw, ErrorCase, MatrixKind } from '../record.ts';

export const anyMatrix = [anyDType];

/** The two sizes of the matrices in the last two axes. */
export function matrixSizes(op: string, x: OperandInfo): [rows: number, columns: number] {
  if (x.shape.length < 2)
    throw new ShapeError(op, 'needs matrices, two axes or more', {
      operands: [x],
      hint: 'unsqueeze() makes a row or a column of a vector',
    });
  return x.shape.slice(-2) as [number, number];
}

export function squareSize(op: string, x: OperandInfo): number {
  const [m, n] = matrixSizes(op, x);
  if (m !== n) throw new ShapeError(op, `needs square matrices, got ${m} × ${n}`, { operands: [x] });
  return n;
}

/** Matrices with at least as many rows as columns. */
export function tallSizes(op: string, x: OperandInfo, hint: string): [rows: number, columns: number] {
  const [m, n] = matrixSizes(op, x);
  if (m < n)
    throw new ShapeError(op, `needs at least as many rows as columns, got ${m} × ${n}`, {
      operands: [x],
      hint,
    });
  return [m, n];
}

export const leadingAxes = (x: OperandInfo): readonly number[] => x.shape.slice(0, -2);

/** The leading axes in which those of A and B meet; their matrices must have equally many rows. */
export function meetOf(op: string, inputs: readonly OperandInfo[]): number[] {
  const [a, b] = inputs as [OperandInfo, OperandInfo];
  const n = squareSize(op, a);
  const [rows] = matrixSizes(op, b);
  if (rows !== n)
    throw new ShapeError(op, `${rows} rows on the right for ${n} on the left`, { operands: inputs });
  return broadcastShapes(op, [
    { shape: leadingAxes(a), dtype: a.dtype },
    { shape: leadingAxes(b), dtype: b.dtype },
  ]);
}

/** The distance from 1 to the next number: what rounding leaves behind beside a largest value of 1. */
export function epsilonOf(dtype: DType): number {
  const bits: Partial<Record<DType, number>> = { f64: 52, f16: 10, bf16: 7 };
  return 2 ** -(bits[dtype] ?? 23);
}

export const matrices = (matrix: MatrixKind): Domain => ({ ...real, matrix });
export const fullRank = matrices('full-rank');

/** Leading axes, seldom many. */
export const drawBatch = (draw: Draw): number[] => draw.shape({ maxRank: 2, maxSize: 2 });
export const drawSquare = (draw: Draw): number[] => {
  const n = draw.int(1, 4);
  return [...drawBatch(draw), n, n];
};
export const drawTall = (draw: Draw): number[] => {
  const n = draw.int(1, 3);
  return [...drawBatch(draw), n + draw.int(0, 2), n];
};
export const drawAny = (draw: Draw): number[] => [...drawBatch(draw), draw.int(1, 4), draw.int(1, 4)];

export const notMatrix: ErrorCase = {
  inputs: [{ shape: [3] }],
  error: 'ShapeError',
  says: 'two axes or more',
};
export const notSquare: readonly ErrorCase[] = [
  notMatrix,
  { inputs: [{ shape: [2, 3] }], error: 'ShapeError', says: 'needs square matrices, got 2 × 3' },
];
export const notTall: readonly ErrorCase[] = [
  notMatrix,
  { inputs: [{ shape: [2, 3] }], error: 'ShapeError', says: 'as many rows as columns, got 2 × 3' },
];
export const notFinite: readonly ErrorCase[] = [
  { inputs: [{ shape: [2, 2], fill: NaN }], error: 'ValueError', says: 'NaN or infinite' },
  { inputs: [{ shape: [3, 2, 2], fill: Infinity }], error: 'ValueError', says: 'batch index [0]' },
];
/** Of a square A and a B. */
export const noMeeting: readonly ErrorCase[] = [
  { inputs: [{ shape: [3] }, { shape: [3, 1] }], error: 'ShapeError', says: 'two axes or more' },
  { inputs: [{ shape: [2, 3] }, { shape: [2, 1] }], error: 'ShapeError', says: 'needs square matrices' },
  {
    inputs: [{ shape: [2, 2] }, { shape: [3, 1] }],
    error: 'ShapeError',
    says: '3 rows on the right for 2 on the left',
  },
  {
    inputs: [{ shape: [2, 2, 2] }, { shape: [3, 2, 1] }],
    error: 'ShapeError',
    says: 'do not broadcast',
  },
];
