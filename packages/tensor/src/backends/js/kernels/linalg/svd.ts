/** Singular values and vectors, by rotations of pairs of rows (one-sided Jacobi), and what follows from them. */
import { ValueError } from '../../../../errors.ts';
import type { KernelCall } from '../../../backend.ts';
import {
  dotRows,
  eachMatrix,
  identity,
  largestOf,
  multiply,
  transposed,
  zeroMatrix,
  type Matrix,
  type Place,
} from './matrices.ts';
import { applyMirrors, complementOf, triangularise, type Mirrors } from './qr.ts';
import { checkFinite, orientation } from './symmetric.ts';

const epsilon = 2 ** -52;
const maxSweeps = 60;
/** Beside a largest element of 1, rows shorter than this count as zero: their squares would vanish. */
const vanishing = 1e-140;

/** A P = Q R, the longest of the remaining columns first. */
function pivotedQr(a: Matrix): { readonly mirrors: Mirrors; readonly r: Matrix; readonly order: Int32Array } {
  const { rows, columns, data } = a;
  const order = Int32Array.from({ length: columns }, (_, i) => i);
  const squares = new Float64Array(columns);
  const mirrors = triangularise(a, (k) => {
    squares.fill(0);
    for (let i = k; i < rows; i++)
      for (let j = k; j < columns; j++) squares[j]! += data[i * columns + j]! ** 2;
    let best = k;
    for (let j = k + 1; j < columns; j++) if (squares[j]! > squares[best]!) best = j;
    if (best === k) return;
    [order[k], order[best]] = [order[best]!, order[k]!];
    for (let i = 0; i < rows * columns; i += columns) {
      const kept = data[i + k]!;
      data[i + k] = data[i + best]!;
      data[i + best] = kept;
    }
  });
  const r = zeroMatrix(columns, columns);
  r.data.set(data.subarray(0, columns * columns));
  return { mirrors, r, order };
}

function turnRows({ columns, data }: Matrix, i: number, j: number, c: number, s: number): void {
  const [p, q] = [i * columns, j * columns];
  for (let k = 0; k < columns; k++) {
    const x = data[p + k]!;
    const y = data[q + k]!;
    data[p + k] = c * x - s * y;
    data[q + k] = s * x + c * y;
  }
}

/**
 * Turns the rows of Y, and those of W alike, until all of Y's are perpendicular. @returns false where they do not come to be
 */
function orthogonalise(y: Matrix, w: Matrix, sweeps: number): boolean {
  const { rows, columns: n, data } = y;
  const tolerance = epsilon * Math.sqrt(Math.max(16, n));
  // Squares of lengths go along with the rotations; each sweep begins with exact ones.
  const squares = new Float64Array(rows);
  const measured = new Float64Array(rows);
  const measure = (i: number): void => {
    measured[i] = squares[i] = dotRows(data, i * n, data, i * n, n);
  };
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let turned = false;
    for (let i = 0; i < rows; i++) measure(i);
    for (let i = 0; i < rows; i++) {
      for (let j = i + 1; j < rows; j++) {
        const across = dotRows(data, i * n, data, j * n, n);
        const [a, b] = [squares[i]!, squares[j]!];
        const lengths = Math.sqrt(a) * Math.sqrt(b);
        if (!(Math.abs(across) > tolerance * lengths) || Math.min(a, b) < vanishing ** 2) continue;
        turned = true;
        const ratio = (b - a) / (2 * across);
        const t = (ratio < 0 ? -1 : 1) / (Math.abs(ratio) + Math.sqrt(1 + ratio * ratio));
        const c = 1 / Math.sqrt(1 + t * t);
        turnRows(y, i, j, c, c * t);
        turnRows(w, i, j, c, c * t);
        squares[i] = a - t * across;
        squares[j] = b + t * across;
        // Where much has cancelled, little is left to trust.
        if (!(squares[i]! > measured[i]! / 2)) measure(i);
        if (!(squares[j]! > measured[j]! / 2)) measure(j);
      }
    }
    if (!turned) return true;
  }
  return false;
}

/** Takes back what many rotations have lost of being orthogonal: a Newton step, W ← (3 W - W Wᵀ W)/2. */
function restore(w: Matrix): void {
  const cubed = multiply(multiply(w, transposed(w)), w);
  for (let i = 0; i < w.data.length; i++) w.data[i] = (3 * w.data[i]! - cubed.data[i]!) / 2;
}

export interface Svd {
  /** Descending. */
  readonly values: Float64Array;
  /** A vector a column. */
  readonly u: Matrix;
  readonly v: Matrix;
}

/**
 * A = U S Vᵀ with min(m, n) singular values; null where the rotations do not settle. Works on R of A P = Q R: with
 * W R = S Zᵀ of perpendicular rows, U is Q Wᵀ and V is P Z.
 */
export function svd(a: Matrix, sweeps = maxSweeps): Svd | null {
  if (a.rows < a.columns) {
    const flipped = svd(transposed(a), sweeps);
    return flipped && { values: flipped.values, u: flipped.v, v: flipped.u };
  }
  const { rows: m, columns: n } = a;
  const scale = largestOf(a.data) || 1;
  const scaled = zeroMatrix(m, n);
  for (let i = 0; i < m * n; i++) scaled.data[i] = a.data[i]! / scale;
  const { mirrors, r: y, order } = pivotedQr(scaled);
  const w = identity(n);
  if (!orthogonalise(y, w, sweeps)) return null;
  restore(w);
  const lengths = Float64Array.from({ length: n }, (_, i) => {
    const length = Math.sqrt(dotRows(y.data, i * n, y.data, i * n, n));
    return length < vanishing ? 0 : length;
  });
  const ranking = Array.from({ length: n }, (_, i) => i).sort((i, j) => lengths[j]! - lengths[i]!);
  const rank = lengths.filter((length) => length > 0).length;
  const z = zeroMatrix(n, n);
  ranking.slice(0, rank).forEach((from, to) => {
    for (let k = 0; k < n; k++) z.data[k * n + to] = y.data[from * n + k]! / lengths[from]!;
  });
  fillUp(z, rank);
  const u = zeroMatrix(m, n);
  const v = zeroMatrix(n, n);
  ranking.forEach((from, to) => {
    for (let k = 0; k < n; k++) u.data[k * n + to] = w.data[from * n + k]!;
    for (let k = 0; k < n; k++) v.data[order[k]! * n + to] = z.data[k * n + to]!;
  });
  applyMirrors(mirrors, u);
  return { values: Float64Array.from(ranking, (i) => lengths[i]! * scale), u, v };
}

/** Completes the first `done` columns, orthonormal, to a basis. */
function fillUp({ rows: n, data }: Matrix, done: number): void {
  if (done === n) return;
  const known = zeroMatrix(n, done);
  for (let i = 0; i < n; i++) known.data.set(data.subarray(i * n, i * n + done), i * done);
  const rest = complementOf(known);
  for (let i = 0; i < n; i++)
    data.set(rest.data.subarray(i * (n - done), (i + 1) * (n - done)), i * n + done);
}

function settled(
  call: KernelCall,
  place: Place,
  sweeps: number,
): { readonly a: Matrix; readonly result: Svd } {
  const a = place.input(0);
  checkFinite(call, a, place.says);
  const result = svd(a, sweeps);
  if (!result)
    throw new ValueError(call.op, place.says(`no convergence in ${sweeps} sweeps`), {
      operands: call.inputs,
    });
  return { a, result };
}

/** The singular values over U over V; the left vectors are turned the way all vectors are. */
export function svdPacked(call: KernelCall, sweeps = maxSweeps): void {
  eachMatrix(call, 2, (place) => {
    const { a, result } = settled(call, place, sweeps);
    const { values, u, v } = result;
    const k = values.length;
    const out = new Float64Array((1 + a.rows + a.columns) * k);
    out.set(values);
    for (let j = 0; j < k; j++) {
      const sign = orientation(Float64Array.from({ length: a.rows }, (_, i) => u.data[i * k + j]!));
      for (let i = 0; i < a.rows; i++) out[(1 + i) * k + j] = sign * u.data[i * k + j]!;
      for (let i = 0; i < a.columns; i++) out[(1 + a.rows + i) * k + j] = sign * v.data[i * k + j]!;
    }
    return out;
  });
}

/** V S⁺ Uᵀ, singular values up to `rtol` times the largest taken as 0. */
export function pinv(call: KernelCall, sweeps = maxSweeps): void {
  const rtol = call.attrs['rtol'] as number;
  eachMatrix(call, 2, (place) => {
    const { values, u, v } = settled(call, place, sweeps).result;
    const k = values.length;
    const cutoff = rtol * (values[0] ?? 0);
    for (let i = 0; i < v.rows; i++)
      for (let j = 0; j < k; j++) {
        const value = values[j]!;
        v.data[i * k + j] = value > cutoff ? v.data[i * k + j]! / value : 0;
      }
    return multiply(v, transposed(u)).data;
  });
}
