/** Eigenvalues and eigenvectors of symmetric matrices: to three diagonals by mirrors, then to one by shifted rotations. */
import { ValueError } from '../../../../errors.ts';
import { orientationWeight } from '../../../../ops/linalg/orientation.ts';
import type { KernelCall } from '../../../backend.ts';
import { addRow, dotRows, eachMatrix, identity, largestOf, zeroMatrix, type Matrix } from './matrices.ts';
import { mirrorOf } from './qr.ts';

const epsilon = 2 ** -52;
const maxSweeps = 60;

/** Of A = Qᵀ T Q: the diagonal of T and the one beside it (element i couples i and i + 1), and Q, a vector a row. */
interface Tridiagonal {
  readonly diagonal: Float64Array;
  readonly beside: Float64Array;
  readonly vectors: Matrix;
}

/** Overwrites the symmetric A. Column k is cleared below its second element by a mirror from both sides. */
function tridiagonalise(a: Matrix): Tridiagonal {
  const { rows: n, data } = a;
  const vectors = zeroMatrix(n, n);
  const taus = new Float64Array(n);
  const beside = new Float64Array(n);
  const product = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const [first, length] = [k + 1, n - k - 1];
    const at = k * n + first;
    // Row k is column k.
    const { tau, beta } = mirrorOf(data, at, 1, length, vectors.data, at);
    beside[k] = beta;
    taus[k] = tau;
    if (tau === 0) continue;
    const v = vectors.data;
    // A - v wᵀ - w vᵀ with p = τ A v, w = p - (τ/2)(pᵀv) v
    for (let i = 0; i < length; i++) product[i] = tau * dotRows(data, (first + i) * n + first, v, at, length);
    addRow(product, 0, v, at, length, (-tau / 2) * dotRows(product, 0, v, at, length));
    for (let i = 0; i < length; i++) {
      const row = (first + i) * n + first;
      addRow(data, row, product, 0, length, -v[at + i]!);
      addRow(data, row, v, at, length, -product[i]!);
    }
  }
  // The rows of Q = Hₙ₋₂ … H₀, that is of I with the mirrors applied from the right, last to first.
  const q = identity(n);
  for (let k = n - 2; k >= 0; k--) {
    if (taus[k] === 0) continue;
    const [first, length] = [k + 1, n - k - 1];
    const at = k * n + first;
    for (let i = first; i < n; i++) {
      const row = i * n + first;
      addRow(
        q.data,
        row,
        vectors.data,
        at,
        length,
        -taus[k]! * dotRows(q.data, row, vectors.data, at, length),
      );
    }
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => data[i * n + i]!);
  return { diagonal, beside, vectors: q };
}

/** Rows i and i + 1 turned: x' = c x - s y, y' = s x + c y. */
function turn({ columns, data }: Matrix, i: number, c: number, s: number): void {
  const p = i * columns;
  const q = p + columns;
  for (let k = 0; k < columns; k++) {
    const x = data[p + k]!;
    const y = data[q + k]!;
    data[p + k] = c * x - s * y;
    data[q + k] = s * x + c * y;
  }
}

/**
 * Turns T into its eigenvalues, and Q's rows into the eigenvectors: QL steps with Wilkinson's shift, each chasing a bulge
 * from the end of an uncoupled block to its beginning. @returns false where a coupling does not die away
 */
function diagonalise({ diagonal: d, beside: e, vectors }: Tridiagonal, sweeps: number): boolean {
  const n = d.length;
  for (let low = 0; low < n; low++)
    for (let sweep = 0; ; sweep++) {
      let high = low;
      while (high < n - 1 && Math.abs(e[high]!) > epsilon * (Math.abs(d[high]!) + Math.abs(d[high + 1]!)))
        high++;
      if (high === low) break;
      if (sweep === sweeps) return false;
      // The eigenvalue of the leading 2 × 2 block that is nearer to its first element.
      const half = (d[low + 1]! - d[low]!) / (2 * e[low]!);
      const root = Math.sqrt(half * half + 1);
      const shift = d[low]! - e[low]! / (half + (half < 0 ? -root : root));
      let g = d[high]! - shift;
      let [s, c, carried] = [1, 1, 0];
      let i = high - 1;
      for (; i >= low; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) {
          // The block falls apart here.
          d[i + 1]! -= carried;
          e[high] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - carried;
        const t = (d[i]! - g) * s + 2 * c * b;
        carried = s * t;
        d[i + 1] = g + carried;
        g = c * t - b;
        turn(vectors, i, c, s);
      }
      if (i >= low) continue;
      d[low]! -= carried;
      e[low] = g;
      e[high] = 0;
    }
  return true;
}

/** Eigenvalues, ascending, and the eigenvectors as rows; null where the iteration does not settle. */
export function eigen(
  a: Matrix,
  sweeps = maxSweeps,
): { readonly values: Float64Array; readonly vectors: Matrix } | null {
  const n = a.rows;
  const scale = largestOf(a.data) || 1;
  const b = zeroMatrix(n, n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      b.data[i * n + j] = (a.data[i * n + j]! / scale + a.data[j * n + i]! / scale) / 2;
  const t = tridiagonalise(b);
  if (!diagonalise(t, sweeps)) return null;
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => t.diagonal[i]! - t.diagonal[j]!);
  const vectors = zeroMatrix(n, n);
  order.forEach((from, to) => {
    const row = t.vectors.data.subarray(from * n, (from + 1) * n);
    const sign = orientation(row);
    for (let k = 0; k < n; k++) vectors.data[to * n + k] = sign * row[k]!;
  });
  return { values: Float64Array.from(order, (i) => t.diagonal[i]! * scale), vectors };
}

/** The sign that turns a vector the way all vectors are turned. */
export function orientation(vector: ArrayLike<number>): 1 | -1 {
  let along = 0;
  for (let i = 0; i < vector.length; i++) along += vector[i]! * orientationWeight(i);
  return along < 0 ? -1 : 1;
}

/** Refuses what no iteration can settle on. */
export function checkFinite(
  { op, inputs }: KernelCall,
  { data }: Matrix,
  says: (text: string) => string,
): void {
  if (!Number.isFinite(largestOf(data)))
    throw new ValueError(op, says('the matrix holds NaN or infinite elements'), { operands: inputs });
}

export function eighPacked(call: KernelCall, sweeps = maxSweeps): void {
  eachMatrix(call, 2, (place) => {
    const a = place.input(0);
    const n = a.rows;
    checkFinite(call, a, place.says);
    const result = eigen(a, sweeps);
    if (!result)
      throw new ValueError(call.op, place.says(`no convergence in ${sweeps} sweeps`), {
        operands: call.inputs,
      });
    const out = new Float64Array((n + 1) * n);
    out.set(result.values);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) out[(1 + i) * n + j] = result.vectors.data[j * n + i]!;
    return out;
  });
}
