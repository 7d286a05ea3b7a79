/** What the records of ops share that map each line along one axis to another, the shape staying as it is. */
import type { DType } from '../dtype.ts';
import { normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis } from './batch.ts';
import { real } from './domains.ts';
import { anyDType, refused } from './families.ts';
import type { Domain, ErrorCase, Promotion, StructuredRecord } from './record.ts';

export interface LineOptions {
  readonly doc: string;
  /** Default `float`. */
  readonly promote?: Promotion;
  /** Default any. */
  readonly accepts?: readonly DType[];
  /** Default real numbers. */
  readonly domain?: Domain;
  /** Longest axis of a sample. Default 4. */
  readonly maxSize?: number;
  /** The dtype of the result. Default that of the input. */
  readonly result?: DType;
}

/** The result has the shape of the input. */
export interface SameShape {
  readonly shapes: 'same';
}

export type LineRecord = Omit<StructuredRecord<[x: Tensor, axis?: number]>, 'kind' | 'flops'> & SameShape;

export const wrongAxis: ErrorCase = {
  inputs: [{ shape: [2, 3] }],
  attrs: { axis: 2 },
  error: 'IndexError',
  says: 'axis 2 is out of range',
};

/** All of such a record but its kind and its flops. The axis is the last unless told. */
export function lineRecord({
  doc,
  promote = 'float',
  accepts = anyDType,
  domain = real,
  maxSize = 4,
  result,
}: LineOptions): LineRecord {
  return {
    shapes: 'same',
    doc,
    promote,
    accepts: [accepts],
    call: (x, axis = -1) => ({ inputs: [x], attrs: { axis } }),
    infer: ([x], attrs, op) => ({
      shape: x!.shape,
      dtype: result ?? (x!.dtype as DType),
      attrs: { axis: normalizeAxis(op, attrs['axis'] as number, x!) },
    }),
    batch: alongAxis,
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1, maxSize });
      return {
        inputs: [{ shape, domain }],
        attrs: { axis: draw.int(-shape.length, shape.length - 1) },
      };
    },
    errors: [wrongAxis, ...refused(accepts, (dtype) => [{ shape: [2], dtype }])],
  };
}
