/** Solutions with triangular matrices, and Cholesky's factor. */
import { ValueError } from '../../../../errors.ts';
import type { KernelCall } from '../../../backend.ts';
import { addRow, dotRows, eachMatrix, zeroMatrix, type Matrix } from './matrices.ts';

export interface Triangle {
  readonly upper: boolean;
  readonly transpose: boolean;
  readonly unitDiagonal: boolean;
}

/** The first zero on the diagonal, or -1. */
export function zeroOnDiagonal({ rows, columns, data }: Matrix): number {
  for (let i = 0; i < Math.min(rows, columns); i++) if (data[i * columns + i] === 0) return i;
  return -1;
}

/** Overwrites B with the solution X of A X = B or Aᵀ X = B, reading one triangle of the square A. */
export function solveTriangle(a: Matrix, b: Matrix, { upper, transpose, unitDiagonal }: Triangle): void {
  const n = a.rows;
  const { columns, data: x } = b;
  const divide = (i: number): void => {
    if (unitDiagonal) return;
    const pivot = a.data[i * n + i]!;
    for (let j = i * columns; j < (i + 1) * columns; j++) x[j]! /= pivot;
  };
  // Forwards where what a row needs has been solved above it.
  const forwards = upper === transpose;
  for (let step = 0; step < n; step++) {
    const i = forwards ? step : n - 1 - step;
    const [from, to] = upper ? [i + 1, n] : [0, i];
    if (transpose) {
      divide(i);
      for (let k = from; k < to; k++) addRow(x, k * columns, x, i * columns, columns, -a.data[i * n + k]!);
    } else {
      for (let k = from; k < to; k++) addRow(x, i * columns, x, k * columns, columns, -a.data[i * n + k]!);
      divide(i);
    }
  }
}

export function triangularSolve(call: KernelCall): void {
  const { op, inputs, attrs } = call;
  const triangle = attrs as unknown as Triangle;
  eachMatrix(call, 2, (place) => {
    const a = place.input(0);
    const zero = triangle.unitDiagonal ? -1 : zeroOnDiagonal(a);
    if (zero >= 0)
      throw new ValueError(op, place.says(`the matrix is singular: element ${zero} of the diagonal is 0`), {
        operands: inputs,
      });
    const b = place.input(1);
    solveTriangle(a, b, triangle);
    return b.data;
  });
}

/** The lower factor of (A + Aᵀ)/2, row by row; or the order of the first leading minor that is not positive. */
function factor({ rows: n, data: a }: Matrix): Matrix | { readonly order: number; readonly pivot: number } {
  const l = zeroMatrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const mean = a[i * n + j]! / 2 + a[j * n + i]! / 2;
      l.data[i * n + j] = (mean - dotRows(l.data, i * n, l.data, j * n, j)) / l.data[j * n + j]!;
    }
    const pivot = a[i * n + i]! - dotRows(l.data, i * n, l.data, i * n, i);
    if (!(pivot > 0 && pivot < Infinity)) return { order: i + 1, pivot };
    l.data[i * n + i] = Math.sqrt(pivot);
  }
  return l;
}

export function cholesky(call: KernelCall): void {
  const { op, inputs, attrs } = call;
  eachMatrix(call, 2, (place) => {
    const l = factor(place.input(0));
    if ('order' in l)
      throw new ValueError(
        op,
        place.says(
          `the matrix is not positive definite: the leading minor of order ${l.order} is not positive (pivot ${l.pivot})`,
        ),
        { operands: inputs, hint: 'a small multiple of the identity, added, makes up for rounding' },
      );
    if (attrs['upper'] !== true) return l.data;
    const u = zeroMatrix(l.rows, l.rows);
    for (let i = 0; i < l.rows; i++)
      for (let j = 0; j <= i; j++) u.data[j * l.rows + i] = l.data[i * l.rows + j]!;
    return u.data;
  });
}
