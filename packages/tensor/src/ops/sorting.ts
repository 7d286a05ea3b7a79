/** Orders of elements along an axis; with them, running extremes, products and log-sums, and diagonals. */
import { ValueError, type OperandInfo } from '../errors.ts';
import { normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis } from './batch.ts';
import { diagonals } from './diagonals.ts';
import { distinct } from './domains.ts';
import { anyDType } from './families.ts';
import type { ErrorCase, StructuredRecord } from './record.ts';
import { scans } from './scans.ts';

const wrongAxis = (attrs: ErrorCase['attrs']): ErrorCase => ({
  inputs: [{ shape: [2, 3] }],
  attrs: { ...attrs, axis: 2 },
  error: 'IndexError',
  says: 'axis 2 is out of range',
});

/** Comparisons that sorting n elements takes. */
const comparisons = (n: number): number => n * Math.ceil(Math.log2(Math.max(2, n)));
const linesOf = ({ shape }: OperandInfo, axis: number): number =>
  shape.reduce((lines, n, i) => (i === axis ? lines : lines * n), 1);

const argSort: StructuredRecord<[x: Tensor, axis?: number, descending?: boolean]> & {
  readonly shapes: 'same';
} = {
  kind: 'structured',
  shapes: 'same',
  doc: 'The positions, i32, that sort x along an axis (the last unless told). Equal elements keep their order; a NaN counts as largest: last, or first where `descending`.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, axis = -1, descending = false) => ({ inputs: [x], attrs: { axis, descending } }),
  infer: ([x], attrs, op) => {
    const axis = normalizeAxis(op, attrs['axis'] as number, x!);
    return { shape: x!.shape, dtype: 'i32', attrs: { axis, descending: attrs['descending'] === true } };
  },
  batch: alongAxis,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxSize: 6 });
    return {
      inputs: [{ shape, domain: distinct }],
      attrs: { axis: draw.int(-shape.length, shape.length - 1), descending: draw.bool() },
    };
  },
  errors: [wrongAxis({ descending: false })],
  flops: ([x], { attrs }) => {
    const axis = attrs['axis'] as number;
    return linesOf(x!, axis) * comparisons(x!.shape[axis]!);
  },
};

export interface TopKOptions {
  /** The largest elements, or the smallest. Default true. */
  readonly largest?: boolean;
  /** Best first, or in the order of their positions. Default true. */
  readonly sorted?: boolean;
}

const argTopK: StructuredRecord<[x: Tensor, k: number, axis?: number, options?: TopKOptions]> = {
  kind: 'structured',
  doc: 'The positions, i32, of the k largest (or smallest) elements along an axis (the last unless told), best first unless `sorted` is false: then in the order of their positions. Of equal elements the first are taken; a NaN counts as largest.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, k, axis = -1, { largest = true, sorted = true } = {}) => ({
    inputs: [x],
    attrs: { k, axis, largest, sorted },
  }),
  infer: ([x], attrs, op) => {
    const axis = normalizeAxis(op, attrs['axis'] as number, x!);
    const k = attrs['k'] as number;
    const size = x!.shape[axis]!;
    if (!Number.isInteger(k) || k < 0 || k > size)
      throw new ValueError(op, `k must be an integer from 0 to ${size} (axis ${axis}), got ${k}`, {
        operands: [x!],
      });
    return {
      shape: x!.shape.with(axis, k),
      dtype: 'i32',
      attrs: { k, axis, largest: attrs['largest'] !== false, sorted: attrs['sorted'] !== false },
    };
  },
  batch: alongAxis,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxSize: 6 });
    const axis = draw.int(0, shape.length - 1);
    return {
      inputs: [{ shape, domain: distinct }],
      attrs: {
        k: draw.int(1, shape[axis]!),
        axis: draw.bool() ? axis : axis - shape.length,
        largest: draw.bool(),
        sorted: draw.bool(),
      },
    };
  },
  errors: [
    wrongAxis({ k: 1 }),
    ...[4, -1, 0.5].map((k): ErrorCase => ({
      inputs: [{ shape: [2, 3] }],
      attrs: { k, axis: 1 },
      error: 'ValueError',
      says: `k must be an integer from 0 to 3 (axis 1), got ${k}`,
    })),
  ],
  flops: ([x], { attrs }) => {
    const axis = attrs['axis'] as number;
    const n = x!.shape[axis]!;
    return linesOf(x!, axis) * (n + comparisons(Math.max(1, attrs['k'] as number)));
  },
};

export const sorting = { argSort, argTopK, ...scans, ...diagonals };
