/** Sorted elements, order statistics and running extremes. Gradients go to the elements that were picked. */
import { apply } from '../apply.ts';
import { arange } from '../creation.ts';
import { isFloat } from '../dtype.ts';
import { ShapeError, ValueError } from '../errors.ts';
import type { TopKOptions } from '../ops/sorting.ts';
import { normalizeAxis } from '../shape.ts';
import { Tensor } from '../tensor.ts';

/** Elements of a tensor, and where they stood along the axis (i32). */
export interface Picked {
  readonly values: Tensor;
  readonly indices: Tensor;
}

const pickedBy = (x: Tensor, axis: number, indices: Tensor): Picked => ({
  values: x.gather(axis, indices),
  indices,
});

/** One line: along the axis, or where none is named all elements in row-major order, for which the rank may be kept. */
function lineOf(
  op: string,
  x: Tensor,
  axis: number | undefined,
): { readonly line: Tensor; readonly at: number; readonly size: number } {
  const line = axis === undefined ? x.reshape([-1]) : x;
  const at = axis === undefined ? 0 : normalizeAxis(op, axis, x);
  const size = line.shape[at]!;
  if (size === 0) throw new ValueError(op, 'no value for an empty range', { operands: [x] });
  return { line, at, size };
}

/** One position of each line, without the axis or with all that were lined up at size 1. */
function pickOne(
  x: Tensor,
  line: Tensor,
  at: number,
  indices: Tensor,
  axis: number | undefined,
  keepDims: boolean,
): Picked {
  const values = line.gather(at, indices);
  const shape = axis === undefined ? x.shape.map(() => 1) : line.shape.with(at, 1);
  const finish = (y: Tensor): Tensor => (keepDims ? y.reshape(shape) : y.squeeze(at));
  return { values: finish(values), indices: finish(indices) };
}

/** Where an axis says so, the position of a NaN in place of another. */
const orNaN = (line: Tensor, at: number, indices: Tensor): Tensor =>
  isFloat(line.dtype) ? line.isNaN().any(at, true).where(line.argMax(at, true), indices) : indices;

export const sortingMethods = {
  /**
   * x sorted along an axis (the last unless told), and the positions that its elements came from. Equal elements keep
   * their order; a NaN counts as largest.
   */
  sort: (x: Tensor, axis = -1, descending = false): Picked => {
    const at = normalizeAxis('sort', axis, x);
    return pickedBy(x, at, x.argSort(at, descending));
  },

  /**
   * The k largest elements (the smallest where `largest` is false) along an axis (the last unless told) and their positions, best
   * first, or where `sorted` is false in the order of their positions. A NaN counts as largest.
   * @throws ValueError where k is not an integer from 0 to the size of the axis
   */
  topK: (x: Tensor, k: number, axis = -1, options: TopKOptions = {}): Picked => {
    const at = normalizeAxis('topK', axis, x);
    const size = x.shape[at]!;
    if (!Number.isInteger(k) || k < 0 || k > size)
      throw new ValueError('topK', `k must be an integer from 0 to ${size} (axis ${at}), got ${k}`, {
        operands: [x],
      });
    return pickedBy(x, at, x.argTopK(k, at, options));
  },

  /**
   * The k-th smallest element (k = 1: the smallest) along an axis, or of all elements, and its position.
   * @throws ValueError where k is not an integer from 1 to the number of elements
   */
  kthValue: (x: Tensor, k: number, axis?: number, keepDims = false): Picked => {
    const { line, at, size } = lineOf('kthValue', x, axis);
    if (!Number.isInteger(k) || k < 1 || k > size)
      throw new ValueError('kthValue', `k must be an integer from 1 to ${size}, got ${k}`, { operands: [x] });
    const indices = line.argTopK(k, at, { largest: false }).narrow(at, k - 1, 1);
    return pickOne(x, line, at, indices, axis, keepDims);
  },

  /**
   * The middle element along an axis, or of all elements, and its position: of two in the middle the lower (PyTorch; `quantile(0.5)`
   * takes their mean). NaN where there is one.
   * @throws ValueError where there are no elements
   */
  median: (x: Tensor, axis?: number, keepDims = false): Picked => {
    const { line, at, size } = lineOf('median', x, axis);
    const middle = (size + 1) >> 1;
    const indices = line.argTopK(middle, at, { largest: false }).narrow(at, middle - 1, 1);
    return pickOne(x, line, at, orNaN(line, at, indices), axis, keepDims);
  },

  /**
   * The q-quantile along an axis, or of all elements, interpolated linearly between the elements at ⌊q(n - 1)⌋ and ⌈q(n - 1)⌉
   * of the sorted ones. For a list or a vector of q the results lie along a new first axis. NaN where there is one. Integers in f32.
   * @throws ValueError where a q is not within 0 … 1, or where there are no elements
   */
  quantile: (x: Tensor, q: number | readonly number[] | Tensor, axis?: number, keepDims = false): Tensor => {
    if (q instanceof Tensor && q.rank > 1)
      throw new ShapeError('quantile', 'needs a number or a vector of them', { operands: [x, q] });
    const list: readonly number[] = q instanceof Tensor ? [...q.dataSync()] : [q].flat();
    for (const part of list)
      if (!(part >= 0 && part <= 1))
        throw new ValueError('quantile', `q must be from 0 to 1, got ${part}`, { operands: [x] });
    if (list.length === 0) throw new ValueError('quantile', 'needs at least one q', { operands: [x] });
    const { line, at, size } = lineOf('quantile', isFloat(x.dtype) ? x : x.cast('f32'), axis);
    const { values } = line.sort(at);
    const shape = axis === undefined ? x.shape.map(() => 1) : line.shape.with(at, 1);
    const anyNaN = line.isNaN().any(at, true);
    const parts = list.map((part) => {
      const place = part * (size - 1);
      const low = Math.min(Math.floor(place), size - 1);
      const weight = place - low;
      const lower = values.narrow(at, low, 1);
      const between =
        weight === 0
          ? lower
          : lower.add(
              values
                .narrow(at, low + 1, 1)
                .sub(lower)
                .mul(weight),
            );
      const result = anyNaN.where(NaN, between);
      return keepDims ? result.reshape(shape) : result.squeeze(at);
    });
    if (typeof q === 'number' || (q instanceof Tensor && q.rank === 0)) return parts[0]!;
    return apply(
      'concat',
      parts.map((part) => part.unsqueeze(0)),
      { axis: 0 },
    );
  },

  /**
   * The most frequent element along an axis, or of all elements, and the position where it stands last: of several the smallest.
   * No NaN equals another.
   * @throws ValueError where there are no elements
   */
  mode: (x: Tensor, axis?: number, keepDims = false): Picked => {
    const { line, at, size } = lineOf('mode', x, axis);
    const order = line.argSort(at);
    const sorted = line.gather(at, order);
    const shape = line.shape.map((_, i) => (i === at ? size : 1));
    const places = arange(size, undefined, 1, { backend: x.backend }).reshape(shape);
    // Each place of the sorted line, less the place at which the run of its value began.
    const changed = sorted.narrow(at, 1, size - 1).ne(sorted.narrow(at, 0, size - 1));
    const widths = shape.slice(0, at + 1).map((_, i): [number, number] => [i === at ? 1 : 0, 0]);
    const starts = places
      .narrow(at, 1, size - 1)
      .mul(changed)
      .pad(widths);
    const begun = starts.gather(at, starts.argCumMax(at));
    const run = places.sub(begun);
    const indices = order.gather(at, run.argMax(at, true));
    return pickOne(x, line, at, indices, axis, keepDims);
  },

  /** The largest element so far along an axis (the last unless told), and its position: the latest of equal ones. NaN from the first NaN on. */
  cummax: (x: Tensor, axis = -1): Picked => {
    const at = normalizeAxis('cummax', axis, x);
    return pickedBy(x, at, x.argCumMax(at));
  },

  /** The smallest element so far along an axis (the last unless told), and its position: the latest of equal ones. NaN from the first NaN on. */
  cummin: (x: Tensor, axis = -1): Picked => {
    const at = normalizeAxis('cummin', axis, x);
    return pickedBy(x, at, x.argCumMin(at));
  },
};
