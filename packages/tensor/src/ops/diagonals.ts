/** The diagonal of two axes, as a view. */
import type { DType } from '../dtype.ts';
import { ValueError } from '../errors.ts';
import { normalizeAxis, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { overAxes } from './batch.ts';
import { real } from './domains.ts';
import { anyDType } from './families.ts';
import type { ViewRecord } from './record.ts';

/** How many elements the diagonal `offset` above the main one has. */
export const diagonalLength = (rows: number, columns: number, offset: number): number =>
  Math.max(0, Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0)));

const diagonal: ViewRecord<[x: Tensor, offset?: number, axis1?: number, axis2?: number]> = {
  kind: 'view',
  doc: 'The elements at i of one axis and i + `offset` of another (the first two unless told), along a new last axis in place of the two, as in PyTorch.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, offset = 0, axis1 = 0, axis2 = 1) => ({ inputs: [x], attrs: { offset, axes: [axis1, axis2] } }),
  infer: ([x], attrs, op) => {
    const offset = attrs['offset'] as number;
    const axes = (attrs['axes'] as readonly number[]).map((axis) => normalizeAxis(op, axis, x!));
    const [a, b] = axes as [number, number];
    if (a === b) throw new ValueError(op, `needs two axes, got ${a} twice`, { operands: [x!] });
    if (!Number.isInteger(offset))
      throw new ValueError(op, `the offset must be an integer, got ${offset}`, { operands: [x!] });
    const rest = x!.shape.filter((_, i) => i !== a && i !== b);
    const length = diagonalLength(x!.shape[a]!, x!.shape[b]!, offset);
    return { shape: [...rest, length], dtype: x!.dtype as DType, attrs: { offset, axes } };
  },
  view: ({ strides, offset: start }, { shape, attrs }) => {
    const [a, b] = attrs['axes'] as readonly [number, number];
    const offset = attrs['offset'] as number;
    const rest = strides.filter((_, i) => i !== a && i !== b);
    const first = offset >= 0 ? offset * strides[b]! : -offset * strides[a]!;
    return {
      shape,
      strides: [...rest, strides[a]! + strides[b]!],
      offset: sizeOf(shape) === 0 ? start : start + first,
    };
  },
  batch: overAxes,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 2 });
    const rank = shape.length;
    const a = draw.int(0, rank - 1);
    const b = (a + draw.int(1, rank - 1)) % rank;
    return {
      inputs: [{ shape, domain: real }],
      attrs: {
        offset: draw.int(1 - shape[a]!, shape[b]! - 1),
        axes: [a, b].map((axis) => (draw.bool() ? axis : axis - rank)),
      },
    };
  },
  errors: [
    {
      inputs: [{ shape: [3] }],
      attrs: { offset: 0, axes: [0, 1] },
      error: 'IndexError',
      says: 'axis 1 is out of range',
    },
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { offset: 0, axes: [1, -1] },
      error: 'ValueError',
      says: 'needs two axes, got 1 twice',
    },
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { offset: 0.5, axes: [0, 1] },
      error: 'ValueError',
      says: 'the offset must be an integer, got 0.5',
    },
  ],
  flops: () => 0,
};

export const diagonals = { diagonal };
