/** Eigenvalues, singular values, and a function of matrices. */
import type { DType } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { leading } from '../batch.ts';
import { unit } from '../domains.ts';
import type { StructuredRecord } from '../record.ts';
import {
  anyMatrix,
  drawAny,
  drawSquare,
  fullRank,
  leadingAxes,
  matrices,
  matrixSizes,
  notFinite,
  notMatrix,
  notSquare,
  squareSize,
} from './shapes.ts';

const eighPacked: StructuredRecord<[x: Tensor]> = {
  kind: 'structured',
  doc: 'Eigenvalues, ascending, over eigenvectors, a column each: [n + 1, n]. The symmetric part (A + Aᵀ)/2 is what is read. Of the two signs of a vector v the one with Σᵢ wᵢ vᵢ > 0 is taken, wᵢ = 1 + the fraction of (i + 1)·0.618… (the golden ratio). `eigh` hands out the parts.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (x) => ({ inputs: [x] }),
  infer: ([x], attrs, op) => {
    const n = squareSize(op, x!);
    return { shape: [...leadingAxes(x!), n + 1, n], dtype: x!.dtype as DType, attrs };
  },
  sample: (draw) => ({ inputs: [{ shape: drawSquare(draw), domain: matrices('symmetric') }] }),
  errors: [...notSquare, ...notFinite],
  flops: ([x]) => sizeOf(leadingAxes(x!)) * 9 * x!.shape.at(-1)! ** 3,
};

const svdPacked: StructuredRecord<[x: Tensor]> = {
  kind: 'structured',
  doc: 'The k = min(m, n) singular values, descending, over U over V, a vector a column: [1 + m + n, k], of A = U S Vᵀ. Of the two signs of a pair of vectors the one with Σᵢ wᵢ uᵢ > 0 is taken, w as in `eighPacked`. `svd` hands out the parts.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (x) => ({ inputs: [x] }),
  infer: ([x], attrs, op) => {
    const [m, n] = matrixSizes(op, x!);
    return { shape: [...leadingAxes(x!), 1 + m + n, Math.min(m, n)], dtype: x!.dtype as DType, attrs };
  },
  sample: (draw) => ({ inputs: [{ shape: drawAny(draw), domain: fullRank }] }),
  errors: [notMatrix, ...notFinite],
  flops: ([x]) => {
    const [m, n] = x!.shape.slice(-2) as [number, number];
    return sizeOf(leadingAxes(x!)) * 20 * m * n * Math.min(m, n);
  },
};

const matrixExp: StructuredRecord<[x: Tensor]> = {
  kind: 'structured',
  doc: 'The exponential Σ Aᵏ/k! of square matrices, by a Padé approximant with scaling and squaring (Higham 2005). NaN where an element is infinite or NaN.',
  promote: 'float',
  batch: leading,
  accepts: anyMatrix,
  call: (x) => ({ inputs: [x] }),
  infer: ([x], attrs, op) => {
    squareSize(op, x!);
    return { shape: x!.shape, dtype: x!.dtype as DType, attrs };
  },
  sample: (draw) => ({ inputs: [{ shape: drawSquare(draw), domain: unit }] }),
  errors: notSquare,
  flops: ([x]) => sizeOf(leadingAxes(x!)) * 16 * x!.shape.at(-1)! ** 3,
};

export const spectra = { eighPacked, svdPacked, matrixExp };
