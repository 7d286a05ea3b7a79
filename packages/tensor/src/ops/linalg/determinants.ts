/** Determinants, and what their derivatives are made of. */
import type { DType } from '../../dtype.ts';
import { sizeOf, type Shape } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { leading } from '../batch.ts';
import type { OperandInfo } from '../../errors.ts';
import type { StructuredRecord } from '../record.ts';
import { anyMatrix, drawSquare, fullRank, leadingAxes, notSquare, squareSize } from './shapes.ts';

interface Options {
  readonly doc: string;
  /** The result's last axes, for matrices of size n. */
  readonly tail: (n: number) => Shape;
}

function ofSquare({ doc, tail }: Options): StructuredRecord<[x: Tensor]> {
  return {
    kind: 'structured',
    doc,
    promote: 'float',
    batch: leading,
    accepts: anyMatrix,
    call: (x) => ({ inputs: [x] }),
    infer: ([x], attrs, op) => {
      const n = squareSize(op, x!);
      return { shape: [...leadingAxes(x!), ...tail(n)], dtype: x!.dtype as DType, attrs };
    },
    sample: (draw) => ({ inputs: [{ shape: drawSquare(draw), domain: fullRank }] }),
    errors: notSquare,
    flops: ([x]) => sizeOf(leadingAxes(x!)) * (2 / 3) * size(x!) ** 3,
  };
}

const size = (x: OperandInfo): number => x.shape.at(-1)!;

const det = ofSquare({
  doc: 'The determinant of square matrices, by LU with partial pivoting; 1 for matrices of size 0. See `slogdet` for large ones.',
  tail: () => [],
});

const slogdetPacked = ofSquare({
  doc: 'Sign and logarithm of the absolute value of the determinant, in this order along a last axis of two; 0 and -Infinity where it is 0. `slogdet` hands out the two.',
  tail: () => [2],
});

const cofactor = ofSquare({
  doc: 'The matrix of cofactors, det(A)·A⁻ᵀ where A has an inverse, and as exact where it has none (by elimination with complete pivoting). It is the gradient of the determinant.',
  tail: (n) => [n, n],
});

export const determinants = { det, slogdetPacked, cofactor };
