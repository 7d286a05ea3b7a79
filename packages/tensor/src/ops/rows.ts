/** Ops that work along one axis: softmax and its kin, running sums, positions of extremes. */
import type { DType } from '../dtype.ts';
import { normalizeAxis, reducedShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { distinct, real } from './domains.ts';
import { anyDType, numeric, refused, refuseEmpty } from './families.ts';
import type { Domain, ErrorCase, Promotion, StructuredRecord } from './record.ts';

interface RowOptions {
  readonly doc: string;
  readonly promote?: Promotion;
  readonly accepts?: readonly DType[];
  readonly domain?: Domain;
  readonly flops?: number;
}

const wrongAxis: ErrorCase = {
  inputs: [{ shape: [2, 3] }],
  attrs: { axis: 2 },
  error: 'IndexError',
  says: 'axis 2 is out of range',
};

/** The shape stays; each line along the axis is mapped to another. */
function alongAxis({
  doc,
  promote = 'float',
  accepts = anyDType,
  flops = 1,
}: RowOptions): StructuredRecord<[x: Tensor, axis?: number]> {
  return {
    kind: 'structured',
    doc,
    promote,
    accepts: [accepts],
    call: (x, axis = -1) => ({ inputs: [x], attrs: { axis } }),
    infer: ([x], attrs, op) => ({
      shape: x!.shape,
      dtype: x!.dtype as DType,
      attrs: { axis: normalizeAxis(op, attrs['axis'] as number, x!) },
    }),
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1 });
      return {
        inputs: [{ shape, domain: real }],
        attrs: { axis: draw.int(-shape.length, shape.length - 1) },
      };
    },
    errors: [wrongAxis, ...refused(accepts, (dtype) => [{ shape: [2], dtype }])],
    flops: (_, plan) => flops * sizeOf(plan.shape),
  };
}

/** The axis goes away (or stays at size 1); with no axis named, all elements count as one line. */
function overAxis(
  options: RowOptions & { readonly index?: boolean; readonly refuseEmpty?: boolean },
): StructuredRecord<[x: Tensor, axis?: number, keepDims?: boolean]> {
  const { doc, promote = 'float', accepts = anyDType, domain = real, flops = 1, index = false } = options;
  return {
    kind: 'structured',
    doc,
    promote,
    accepts: [accepts],
    call: (x, axis, keepDims = false) => {
      if (axis !== undefined) return { inputs: [x], attrs: { axis, keepDims } };
      const rank = x.shape.length;
      const flat = { inputs: [x.reshape([-1])], attrs: { axis: 0, keepDims: false } };
      return keepDims
        ? { ...flat, finish: (y: Tensor): Tensor => y.reshape(new Array<number>(rank).fill(1)) }
        : flat;
    },
    infer: ([x], attrs, op) => {
      const axis = normalizeAxis(op, attrs['axis'] as number, x!);
      const keepDims = attrs['keepDims'] === true;
      const shape = reducedShape(x!.shape, [axis], keepDims);
      if (options.refuseEmpty && sizeOf(shape) > 0) refuseEmpty(op, [axis], x!);
      return { shape, dtype: index ? 'i32' : (x!.dtype as DType), attrs: { axis, keepDims } };
    },
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1 });
      return {
        inputs: [{ shape, domain }],
        attrs: { axis: draw.int(-shape.length, shape.length - 1), keepDims: draw.bool() },
      };
    },
    errors: [
      wrongAxis,
      ...(options.refuseEmpty
        ? [{ inputs: [{ shape: [2, 0] }], attrs: { axis: 1 }, error: 'ValueError', says: 'empty' } as const]
        : []),
      ...refused(accepts, (dtype) => [{ shape: [2], dtype }]).map((row) => ({ ...row, attrs: { axis: 0 } })),
    ],
    flops: ([x]) => flops * sizeOf(x!.shape),
  };
}

export const rows = {
  softmax: alongAxis({ doc: 'eˣ / Σ eˣ along an axis (the last unless told), without overflow.', flops: 13 }),
  logSoftmax: alongAxis({
    doc: 'log softmax along an axis (the last unless told), without overflow.',
    flops: 13,
  }),
  cumsum: alongAxis({
    doc: 'Running sum along an axis (the last unless told); bool and u8 add up in i32.',
    promote: 'total',
  }),
  logSumExp: overAxis({
    doc: 'log Σ eˣ along an axis, or over all elements, without overflow. Of nothing: -Infinity.',
    flops: 12,
  }),
  argMax: overAxis({
    doc: 'Position of the (first) largest element along an axis, or in row-major order over all; a NaN counts as largest.',
    promote: 'none',
    accepts: numeric,
    domain: distinct,
    index: true,
    refuseEmpty: true,
  }),
  argMin: overAxis({
    doc: 'Position of the (first) smallest element along an axis, or in row-major order over all; a NaN counts as smallest.',
    promote: 'none',
    accepts: numeric,
    domain: distinct,
    index: true,
    refuseEmpty: true,
  }),
};
