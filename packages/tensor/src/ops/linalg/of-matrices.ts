/** The records of ops on one batch of matrices that take no attributes. */
import type { DType } from '../../dtype.ts';
import type { OperandInfo } from '../../errors.ts';
import { sizeOf, type Shape } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { leading } from '../batch.ts';
import type { Domain, Draw, ErrorCase, StructuredRecord } from '../record.ts';
import { anyMatrix, drawSquare, fullRank, leadingAxes, notSquare, squareSize } from './shapes.ts';

interface MatrixOptions {
  readonly doc: string;
  /** The sizes of the matrices; throws a ShapeError where the op does not take them. */
  readonly sizes: (op: string, x: OperandInfo) => readonly [rows: number, columns: number];
  /** The result's last axes. */
  readonly tail: (m: number, n: number) => Shape;
  /** The dtype of the result. Default that of the matrices. */
  readonly result?: DType;
  /** The shape of a sample. */
  readonly draw: (draw: Draw) => number[];
  /** Default matrices of full rank. */
  readonly domain?: Domain;
  readonly errors: readonly ErrorCase[];
  /** For one matrix. */
  readonly flops: (m: number, n: number) => number;
}

export function ofMatrices({
  doc,
  sizes,
  tail,
  result,
  draw: drawShape,
  domain = fullRank,
  errors,
  flops,
}: MatrixOptions): StructuredRecord<[x: Tensor]> {
  return {
    kind: 'structured',
    doc,
    promote: 'float',
    batch: leading,
    accepts: anyMatrix,
    call: (x) => ({ inputs: [x] }),
    infer: ([x], attrs, op) => ({
      shape: [...leadingAxes(x!), ...tail(...sizes(op, x!))],
      dtype: result ?? (x!.dtype as DType),
      attrs,
    }),
    sample: (draw) => ({ inputs: [{ shape: drawShape(draw), domain }] }),
    errors,
    flops: ([x]) => sizeOf(leadingAxes(x!)) * flops(...(x!.shape.slice(-2) as [number, number])),
  };
}

interface SquareOptions {
  readonly doc: string;
  /** The result's last axes, for matrices of size n. */
  readonly tail: (n: number) => Shape;
  readonly domain?: Domain;
  /** Beside those for what is not square. */
  readonly errors?: readonly ErrorCase[];
  /** Of n³, for one matrix. */
  readonly flops: number;
}

/** The same for square matrices. */
export function ofSquare({
  tail,
  errors = [],
  flops,
  ...rest
}: SquareOptions): StructuredRecord<[x: Tensor]> {
  return ofMatrices({
    ...rest,
    sizes: (op, x) => {
      const n = squareSize(op, x);
      return [n, n];
    },
    tail: (_, n) => tail(n),
    draw: drawSquare,
    errors: [...notSquare, ...errors],
    flops: (_, n) => flops * n ** 3,
  });
}
