/** Solutions of linear equations. */
import type { DType } from '../../dtype.ts';
import { ValueError } from '../../errors.ts';
import { sizeOf } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { leading } from '../batch.ts';
import { real } from '../domains.ts';
import type { Draw, Sample, StructuredRecord } from '../record.ts';
import {
  anyMatrix,
  drawAny,
  epsilonOf,
  fullRank,
  leadingAxes,
  matrices,
  matrixSizes,
  meetOf,
  noMeeting,
  notFinite,
  notMatrix,
} from './shapes.ts';

/** A square A and a B whose leading axes broadcast. */
function sampleEquations(draw: Draw, kind: 'full-rank' | 'dominant'): Sample['inputs'] {
  const [a, b] = draw.broadcastable(2).map((shape) => shape.slice(-2)) as [number[], number[]];
  const n = draw.int(1, 4);
  return [
    { shape: [...a, n, n], domain: matrices(kind) },
    { shape: [...b, n, draw.int(1, 3)], domain: real },
  ];
}

const solve: StructuredRecord<[a: Tensor, b: Tensor]> = {
  kind: 'structured',
  doc: 'The X of A X = B for square matrices A, by LU with partial pivoting; a B of one axis is one vector. Leading axes broadcast. A singular A is refused.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (a, b) =>
    b.rank === 1
      ? { inputs: [a, b.unsqueeze(1)], finish: (x: Tensor): Tensor => x.squeeze(-1) }
      : { inputs: [a, b] },
  infer: (inputs, attrs, op) => ({
    shape: [...meetOf(op, inputs), ...inputs[1]!.shape.slice(-2)],
    dtype: inputs[0]!.dtype as DType,
    attrs,
  }),
  sample: (draw) => ({ inputs: sampleEquations(draw, 'full-rank') }),
  errors: [
    ...noMeeting,
    {
      inputs: [{ shape: [2, 2], fill: 1 }, { shape: [2, 1] }],
      error: 'ValueError',
      says: 'the matrix is singular: pivot 1 is 0',
    },
    {
      inputs: [{ shape: [3, 2, 2] }, { shape: [2, 1] }],
      error: 'ValueError',
      says: 'pivot 0 is 0 (batch index [0])',
    },
  ],
  flops: ([a, b], { shape }) => {
    const [n, count] = [a!.shape.at(-1)!, b!.shape.at(-1)!];
    return sizeOf(shape.slice(0, -2)) * ((2 / 3) * n ** 3 + 2 * n * n * count);
  },
};

const triangularSolve: StructuredRecord<
  [a: Tensor, b: Tensor, options?: { upper?: boolean; transpose?: boolean; unitDiagonal?: boolean }]
> = {
  kind: 'structured',
  doc: 'The X of A X = B, or of Aᵀ X = B with `transpose`, where only the lower triangle of A is read, or the upper with `upper`; with `unitDiagonal` the diagonal counts as 1. Leading axes broadcast. A zero on the diagonal is refused.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (a, b, { upper = false, transpose = false, unitDiagonal = false } = {}) => ({
    inputs: [a, b],
    attrs: { upper, transpose, unitDiagonal },
  }),
  infer: (inputs, attrs, op) => ({
    shape: [...meetOf(op, inputs), ...inputs[1]!.shape.slice(-2)],
    dtype: inputs[0]!.dtype as DType,
    attrs: {
      upper: attrs['upper'] === true,
      transpose: attrs['transpose'] === true,
      unitDiagonal: attrs['unitDiagonal'] === true,
    },
  }),
  sample: (draw) => ({
    inputs: sampleEquations(draw, 'dominant'),
    attrs: {
      upper: draw.bool(),
      transpose: draw.bool(),
      // With ones in its place the diagonal no longer dominates: seldom, and small matrices bear it.
      unitDiagonal: draw.int(0, 3) === 3,
    },
  }),
  errors: [
    ...noMeeting,
    {
      inputs: [{ shape: [2, 2] }, { shape: [2, 1] }],
      error: 'ValueError',
      says: 'singular: element 0 of the diagonal is 0',
    },
    {
      inputs: [{ shape: [2, 2, 2] }, { shape: [2, 1] }],
      error: 'ValueError',
      says: '(batch index [0])',
    },
  ],
  flops: ([a], { shape }) => sizeOf(shape) * a!.shape.at(-1)!,
};

const pinv: StructuredRecord<[x: Tensor, rtol?: number]> = {
  kind: 'structured',
  doc: "The Moore-Penrose inverse. Singular values up to `rtol` times the largest count as 0; unless told, the larger size times the dtype's rounding (as in PyTorch).",
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (x, rtol) => ({ inputs: [x], attrs: { rtol: rtol ?? null } }),
  infer: ([x], attrs, op) => {
    const [m, n] = matrixSizes(op, x!);
    const dtype = x!.dtype as DType;
    const rtol = (attrs['rtol'] ?? Math.max(m, n) * epsilonOf(dtype)) as number;
    if (!(rtol >= 0)) throw new ValueError(op, `needs an rtol ≥ 0, got ${rtol}`, { operands: [x!] });
    return { shape: [...leadingAxes(x!), n, m], dtype, attrs: { rtol } };
  },
  sample: (draw) => ({ inputs: [{ shape: drawAny(draw), domain: fullRank }] }),
  errors: [
    notMatrix,
    ...notFinite,
    {
      inputs: [{ shape: [2, 2] }],
      attrs: { rtol: -1 },
      error: 'ValueError',
      says: 'needs an rtol ≥ 0, got -1',
    },
  ],
  flops: ([x]) => {
    const [m, n] = x!.shape.slice(-2) as [number, number];
    return sizeOf(leadingAxes(x!)) * 20 * m * n * Math.min(m, n);
  },
};

export const solutions = { solve, triangularSolve, pinv };
