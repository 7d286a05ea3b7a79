/** Ops that work along one axis: softmax and its kin, running sums, positions of extremes. */
import type { DType } from '../dtype.ts';
import { ShapeError, type OperandInfo } from '../errors.ts';
import { normalizeAxis, reducedShape, sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis as batchAlongAxis } from './batch.ts';
import { distinct, real, unit } from './domains.ts';
import { anyDType, floats, numeric, refused, refuseEmpty } from './families.ts';
import { lineRecord, wrongAxis, type LineOptions, type SameShape } from './lines.ts';
import type { Domain, FusedRecord, Promotion, StructuredRecord } from './record.ts';

interface RowOptions {
  readonly doc: string;
  readonly promote?: Promotion;
  readonly accepts?: readonly DType[];
  readonly domain?: Domain;
  readonly flops?: number;
}

/** The shape stays; each line along the axis is mapped to another. */
const alongAxis = ({
  flops = 1,
  ...options
}: LineOptions & { readonly flops?: number }): StructuredRecord<[x: Tensor, axis?: number]> & SameShape => ({
  kind: 'structured',
  ...lineRecord(options),
  flops: (_, plan) => flops * sizeOf(plan.shape),
});

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
    batch: batchAlongAxis,
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

type LineGradient = FusedRecord<[g: Tensor, y: Tensor, axis: number]> & { readonly free: true };

/** The gradient of a function of lines, from the gradient and the value of its result. */
function lineGradient(
  doc: string,
  result: Domain,
  formula: (g: Tensor, y: Tensor, axis: number) => Tensor,
): LineGradient {
  return {
    kind: 'fused',
    free: true,
    doc,
    promote: 'float',
    accepts: [floats],
    call: (g, y, axis) => ({ inputs: [g, y], attrs: { axis } }),
    infer: (inputs, attrs, op) => {
      const [g, y] = inputs as [OperandInfo, OperandInfo];
      if (!sameShape(g.shape, y.shape))
        throw new ShapeError(op, 'gradient and result must have one shape', { operands: inputs });
      return {
        shape: y.shape,
        dtype: y.dtype as DType,
        attrs: { axis: normalizeAxis(op, attrs['axis'] as number, y) },
      };
    },
    compose: ([g, y], { axis }) => formula(g!, y!, axis as number),
    batch: batchAlongAxis,
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1 });
      const axis = draw.int(-shape.length, shape.length - 1);
      return { inputs: [unit, result].map((domain) => ({ shape, domain })), attrs: { axis } };
    },
    errors: [
      {
        inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
        attrs: { axis: 2 },
        error: 'IndexError',
        says: 'axis 2 is out of range',
      },
      {
        inputs: [{ shape: [2] }, { shape: [3] }],
        attrs: { axis: 0 },
        error: 'ShapeError',
        says: 'gradient and result',
      },
      ...refused(floats, (dtype) => [{ shape: [2], dtype }, { shape: [2] }]).map((row) => ({
        ...row,
        attrs: { axis: 0 },
      })),
    ],
    flops: (_, plan) => 4 * sizeOf(plan.shape),
  };
}

const softmaxGrad: LineGradient = lineGradient(
  'Gradient of softmax, y (g - Σ g y), from g, the gradient of its result y.',
  unit,
  (g, y, axis) => y.mul(g.sub(g.mul(y).sum(axis, true))),
);

const logSoftmaxGrad: LineGradient = lineGradient(
  'Gradient of logSoftmax, g - eʸ Σ g, from g, the gradient of its result y.',
  { min: -3, max: 0 },
  (g, y, axis) => g.sub(y.exp().mul(g.sum(axis, true))),
);

export const rows = {
  softmaxGrad,
  logSoftmaxGrad,
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
