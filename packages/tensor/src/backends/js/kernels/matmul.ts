/** Matrix product, 4×4 sums at a time over operands packed in f64. */
import type { TypedArray } from '../../../dtype.ts';
import { broadcastLayout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { arrayOf, positions } from './walk.ts';

const tile = 4;
let packedA = new Float64Array(0);
let packedB = new Float64Array(0);

/** Panels of 4 lines, element by element along the inner axis: [panel][k][4], short panels filled with zeros. */
function pack(
  target: Float64Array,
  view: BufferView,
  start: number,
  lines: number,
  inner: number,
  lineStep: number,
  innerStep: number,
): void {
  const source = arrayOf(view);
  let at = 0;
  for (let line = 0; line < lines; line += tile) {
    const here = Math.min(tile, lines - line);
    for (let k = 0; k < inner; k++) {
      let p = start + line * lineStep + k * innerStep;
      for (let i = 0; i < here; i++, p += lineStep) target[at++] = source[p]!;
      for (let i = here; i < tile; i++) target[at++] = 0;
    }
  }
}

export function matmul({ inputs, output }: Pick<KernelCall, 'inputs' | 'output'>): void {
  const [a, b] = inputs as [BufferView, BufferView];
  const [m, n] = output.shape.slice(-2) as [number, number];
  const inner = a.shape.at(-1)!;
  const batch = output.shape.slice(0, -2);
  const starts = (x: BufferView): Int32Array =>
    positions(
      broadcastLayout(
        { shape: x.shape.slice(0, -2), strides: x.strides.slice(0, -2), offset: x.offset },
        batch,
      ),
    );
  const [startA, startB] = [starts(a), starts(b)];
  const [rowA, colA] = a.strides.slice(-2) as [number, number];
  const [rowB, colB] = b.strides.slice(-2) as [number, number];
  const roomA = Math.ceil(m / tile) * tile * inner;
  const roomB = Math.ceil(n / tile) * tile * inner;
  if (packedA.length < roomA) packedA = new Float64Array(roomA);
  if (packedB.length < roomB) packedB = new Float64Array(roomB);
  for (let i = 0; i < startA.length; i++) {
    pack(packedA, a, startA[i]!, m, inner, rowA, colA);
    if (i === 0 || startB[i] !== startB[i - 1]) pack(packedB, b, startB[i]!, n, inner, colB, rowB);
    multiply(packedA, packedB, arrayOf(output), output.offset + i * m * n, m, n, inner);
  }
}

function multiply(
  a: Float64Array,
  b: Float64Array,
  out: TypedArray,
  start: number,
  m: number,
  n: number,
  inner: number,
): void {
  for (let i = 0; i < m; i += tile)
    for (let j = 0; j < n; j += tile) {
      let c00 = 0,
        c01 = 0,
        c02 = 0,
        c03 = 0;
      let c10 = 0,
        c11 = 0,
        c12 = 0,
        c13 = 0;
      let c20 = 0,
        c21 = 0,
        c22 = 0,
        c23 = 0;
      let c30 = 0,
        c31 = 0,
        c32 = 0,
        c33 = 0;
      let p = i * inner;
      let q = j * inner;
      for (let k = 0; k < inner; k++, p += tile, q += tile) {
        const a0 = a[p]!,
          a1 = a[p + 1]!,
          a2 = a[p + 2]!,
          a3 = a[p + 3]!;
        const b0 = b[q]!,
          b1 = b[q + 1]!,
          b2 = b[q + 2]!,
          b3 = b[q + 3]!;
        c00 += a0 * b0;
        c01 += a0 * b1;
        c02 += a0 * b2;
        c03 += a0 * b3;
        c10 += a1 * b0;
        c11 += a1 * b1;
        c12 += a1 * b2;
        c13 += a1 * b3;
        c20 += a2 * b0;
        c21 += a2 * b1;
        c22 += a2 * b2;
        c23 += a2 * b3;
        c30 += a3 * b0;
        c31 += a3 * b1;
        c32 += a3 * b2;
        c33 += a3 * b3;
      }
      let o = start + i * n + j;
      if (i + tile <= m && j + tile <= n) {
        out[o] = c00;
        out[o + 1] = c01;
        out[o + 2] = c02;
        out[o + 3] = c03;
        o += n;
        out[o] = c10;
        out[o + 1] = c11;
        out[o + 2] = c12;
        out[o + 3] = c13;
        o += n;
        out[o] = c20;
        out[o + 1] = c21;
        out[o + 2] = c22;
        out[o + 3] = c23;
        o += n;
        out[o] = c30;
        out[o + 1] = c31;
        out[o + 2] = c32;
        out[o + 3] = c33;
      } else {
        const sums = [c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33];
        for (let r = 0; i + r < m && r < tile; r++)
          for (let c = 0; j + c < n && c < tile; c++) out[o + r * n + c] = sums[r * tile + c]!;
      }
    }
}
