/** Factors with orthonormal columns, by Householder's mirrors. */
import type { KernelCall } from '../../../backend.ts';
import { addRow, copyOf, eachMatrix, zeroMatrix, type Matrix } from './matrices.ts';

/** Mirrors I - τₖ vₖ vₖᵀ; row k of `vectors` is vₖ, zero before its element k. */
export interface Mirrors {
  readonly vectors: Matrix;
  readonly taus: Float64Array;
}

/**
 * The mirror that takes x, the n values from `start` on at steps of `step`, to a multiple of its first axis. Writes its
 * vector, scaled to a largest element of about 1, at `to`. @returns τ and the multiple; τ = 0 is no mirror at all
 */
export function mirrorOf(
  data: Float64Array,
  start: number,
  step: number,
  n: number,
  vector: Float64Array,
  to: number,
): { readonly tau: number; readonly beta: number } {
  const first = data[start]!;
  let top = 0;
  for (let i = 1; i < n; i++) top = Math.max(top, Math.abs(data[start + i * step]!));
  if (top === 0) return { tau: 0, beta: first };
  top = Math.max(top, Math.abs(first));
  let rest = 0;
  for (let i = 1; i < n; i++) {
    const value = data[start + i * step]! / top;
    vector[to + i] = value;
    rest += value * value;
  }
  const lead = first / top;
  const norm = Math.sqrt(lead * lead + rest);
  const beta = lead > 0 ? -norm : norm;
  vector[to] = lead - beta;
  return { tau: 2 / (vector[to]! * vector[to]! + rest), beta: beta * top };
}

/** A ← (I - τ v vᵀ) A for the rows and columns from `row` and `column` on, v being the `length` values from `at` on. */
function reflect(
  a: Matrix,
  row: number,
  column: number,
  v: Float64Array,
  at: number,
  length: number,
  tau: number,
  sums: Float64Array,
): void {
  const { columns, data } = a;
  const width = columns - column;
  if (tau === 0 || width === 0) return;
  sums.fill(0, 0, width);
  for (let i = 0; i < length; i++) addRow(sums, 0, data, (row + i) * columns + column, width, v[at + i]!);
  for (let i = 0; i < length; i++)
    addRow(data, (row + i) * columns + column, sums, 0, width, -tau * v[at + i]!);
}

/** Overwrites A with R (zeros below its diagonal). */
export function triangularise(a: Matrix, beforeColumn?: (k: number) => void): Mirrors {
  const { rows, columns, data } = a;
  const count = Math.min(rows, columns);
  const vectors = zeroMatrix(count, rows);
  const taus = new Float64Array(count);
  const sums = new Float64Array(columns);
  for (let k = 0; k < count; k++) {
    beforeColumn?.(k);
    const at = k * rows + k;
    const { tau, beta } = mirrorOf(data, k * columns + k, columns, rows - k, vectors.data, at);
    taus[k] = tau;
    reflect(a, k, k + 1, vectors.data, at, rows - k, tau, sums);
    data[k * columns + k] = beta;
    for (let i = k + 1; i < rows; i++) data[i * columns + k] = 0;
  }
  return { vectors, taus };
}

/** Overwrites B with Q B, Q the product of the mirrors, first to last. */
export function applyMirrors({ vectors, taus }: Mirrors, b: Matrix): void {
  const { columns: n } = vectors;
  const sums = new Float64Array(b.columns);
  for (let k = taus.length - 1; k >= 0; k--) reflect(b, k, 0, vectors.data, k * n + k, n - k, taus[k]!, sums);
}

/** Columns `from` … `to` - 1 of the product of the mirrors. */
export function columnsOf(mirrors: Mirrors, from: number, to: number): Matrix {
  const { columns: n } = mirrors.vectors;
  const out = zeroMatrix(n, to - from);
  for (let j = from; j < to; j++) out.data[j * out.columns + (j - from)] = 1;
  applyMirrors(mirrors, out);
  return out;
}

/** Q over Rᵀ, with signs such that R's diagonal has none. A has at least as many rows as columns. */
export function qrPacked(call: KernelCall): void {
  eachMatrix(call, 2, (place) => {
    const r = place.input(0);
    const { rows: m, columns: n } = r;
    const q = columnsOf(triangularise(r), 0, n);
    const out = new Float64Array((m + n) * n);
    for (let k = 0; k < n; k++) {
      const sign = r.data[k * n + k]! < 0 ? -1 : 1;
      for (let i = 0; i < m; i++) out[i * n + k] = sign * q.data[i * n + k]!;
      for (let j = k; j < n; j++) out[(m + j) * n + k] = sign * r.data[k * n + j]!;
    }
    return out;
  });
}

/** An orthonormal basis of what is perpendicular to the columns of A, which has at least as many rows as columns. */
export function complementOf(a: Matrix): Matrix {
  return columnsOf(triangularise(copyOf(a)), a.columns, a.rows);
}

export function orthogonalComplement(call: KernelCall): void {
  eachMatrix(call, 2, (place) => complementOf(place.input(0)).data);
}
