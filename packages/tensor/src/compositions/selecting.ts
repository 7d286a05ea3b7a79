/** Reading and updating through indices, masks and names of places. */
import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { highest, lowest } from '../ops/families.ts';
import type { Operand } from '../ops/record.ts';
import { broadcastShapes, normalizeAxis } from '../shape.ts';
import type { NestedArray } from '../read.ts';
import {
  bincount,
  histogram,
  nonzero,
  unique,
  type Histogram,
  type HistogramOptions,
  type Unique,
} from '../selection/counting.ts';
import type { IndexItem } from '../selection/items.ts';
import { beside, Selection } from '../selection/selection.ts';
import { Tensor } from '../tensor.ts';
import { within } from './within.ts';

/** Places of an axis, negative ones counted from the end: an integer, integers in arrays, or a tensor (i32 or u8). */
type Places = number | readonly NestedArray[] | Tensor;

export interface ScatterOptions {
  /** What meets in a place: the last stays (`set`), or all of them and what was there count. Default set. */
  readonly reduce?: 'set' | 'add' | 'mul' | 'max' | 'min' | 'mean';
  /** Whether what was there counts, where something meets it. Default true. */
  readonly includeSelf?: boolean;
}

const scatters = {
  set: 'scatterSet',
  add: 'scatterAdd',
  mul: 'scatterMul',
  max: 'scatterMax',
  min: 'scatterMin',
  // Divided by their number afterwards.
  mean: 'scatterAdd',
} as const;

/** What counts for nothing. */
const neutral = {
  add: () => 0,
  mean: () => 0,
  mul: () => 1,
  max: lowest,
  min: highest,
} as const;

/** Places along one axis, all of the others. */
function onAxis(op: string, x: Tensor, axis: number, index: Places): Selection {
  const at = normalizeAxis(op, axis, x);
  return new Selection(op, x, [...new Array<':'>(at).fill(':'), placesOnly(op, x, index)]);
}

/** Places among all elements in row-major order. */
function amongAll(op: string, x: Tensor, index: Places): Selection {
  return new Selection(op, x.reshape([-1]), [placesOnly(op, x, index)]);
}

function placesOnly(op: string, x: Tensor, index: Places): Places {
  if (index instanceof Tensor && index.dtype === 'bool')
    throw new DTypeError(op, 'needs places, not a mask', { operands: [x, index], hint: 'at() takes masks' });
  return index;
}

function checkMask(op: string, x: Tensor, mask: Tensor): void {
  if (mask.dtype !== 'bool')
    throw new DTypeError(op, 'needs a mask of truth values', { operands: [x, mask] });
}

export const selectingMethods = {
  /**
   * Part of x, by NumPy's rules of indexing: `x.at(0).get()`, `x.at('...', [2, 0]).set(1)`, `x.at(mask).add(y)`. Without
   * arrays, index tensors and masks among the items, what is read is a view. Index tensors and masks broadcast together;
   * their axes stand where they were if they lie side by side, else in front. An integer beside them counts as one.
   * Errors: IndexError for places outside an axis, too many items or a mask of another size; ShapeError where index
   * tensors or a value do not broadcast; ValueError, DTypeError for what is no index.
   */
  at: (x: Tensor, ...items: IndexItem[]): Selection => new Selection('at', x, items),

  /** The places of all elements that are not 0, i32 [count, rank], in row-major order (PyTorch's nonzero). */
  nonzero: (x: Tensor): Tensor => nonzero(x),

  /** The elements where a mask holds, as a vector in row-major order; x and mask broadcast together. */
  maskedSelect: (x: Tensor, mask: Tensor): Tensor => {
    checkMask('maskedSelect', x, mask);
    const shape = broadcastShapes('maskedSelect', [x, mask]);
    return new Selection('maskedSelect', x.expand(shape), [mask.expand(shape)]).get();
  },

  /** x with a value (a number or a tensor that broadcasts) where a mask holds; x and mask broadcast together. */
  maskedFill: (x: Tensor, mask: Tensor, value: Operand): Tensor => {
    checkMask('maskedFill', x, mask);
    return mask.where(value, x);
  },

  /**
   * The elements of x, each once, in ascending order; where in that each element of x stands; and how often each is there
   * (PyTorch's unique with returnInverse and returnCounts). NaNs count one by one, and come last. The gradient of a value
   * goes to the first of the elements that are it.
   */
  unique: (x: Tensor): Unique => unique(x),

  /**
   * How often each of the integers 0, 1, … up to the largest (or `minLength` - 1) is in a vector, i32; with weights the
   * sum of the weights of each.
   */
  bincount: (x: Tensor, minLength = 0, weights?: Tensor): Tensor => bincount(x, minLength, weights),

  /**
   * How many elements lie in each of `bins` (10 unless told) equal bins over a range (from the smallest to the largest
   * element unless told), or between edges given one by one. A bin holds its lower edge, the last one also its upper. What
   * lies outside, and NaN, is not counted (NumPy's histogram). With weights their sums are counted.
   */
  histogram: (
    x: Tensor,
    bins: number | readonly number[] = 10,
    range?: readonly [low: number, high: number] | null,
    options: HistogramOptions = {},
  ): Histogram => histogram(x, bins, range ?? undefined, options),

  /**
   * For each element the number of the boundaries, a vector that ascends, that are less than it, or with `right` not more than it, i32: PyTorch's
   * bucketize, which is `searchSorted` the other way round.
   */
  bucketize: (x: Tensor, boundaries: Tensor, { right = false }: { right?: boolean } = {}): Tensor => {
    if (boundaries.rank !== 1)
      throw new ShapeError('bucketize', 'needs a vector of boundaries', { operands: [x, boundaries] });
    return within('bucketize', [x, boundaries], () =>
      boundaries.searchSorted(x, { side: right ? 'right' : 'left' }),
    );
  },

  /** x with slices of `source` (a number or a tensor that broadcasts) in the places along an axis (PyTorch's index_copy). */
  indexSet: (x: Tensor, axis: number, index: Places, source: Operand): Tensor =>
    onAxis('indexSet', x, axis, index).set(source),

  /** x with one value in the places along an axis. */
  indexFill: (x: Tensor, axis: number, index: Places, value: Operand): Tensor => {
    if (value instanceof Tensor && value.rank > 0)
      throw new ShapeError('indexFill', 'needs a single value', {
        operands: [x, value],
        hint: 'indexSet() takes slices',
      });
    return onAxis('indexFill', x, axis, index).set(value);
  },

  /** Elements by their places in row-major order, in the shape of the index (PyTorch's take). */
  take: (x: Tensor, index: Places): Tensor => amongAll('take', x, index).get(),

  /** x with `source` (a number or a tensor that broadcasts to the index) at places in row-major order, or added there. */
  put: (x: Tensor, index: Places, source: Operand, { accumulate = false } = {}): Tensor => {
    const places = amongAll('put', x, index);
    return (accumulate ? places.add(source) : places.set(source)).reshape(x.shape);
  },

  /**
   * x with each element of `source` (of the index's shape, or a number) written at the place along an axis that the index
   * names, as `scatterSet`; with `reduce`, as `scatterAdd`, `scatterMul`, `scatterMax` or `scatterMin`, or the mean of what meets
   * there (of integers in f32).
   */
  scatter: (
    x: Tensor,
    axis: number,
    index: Tensor,
    source: Operand,
    { reduce = 'set', includeSelf = true }: ScatterOptions = {},
  ): Tensor => {
    if (!Object.hasOwn(scatters, reduce))
      throw new ValueError(
        'scatter',
        `reduce must be one of ${Object.keys(scatters).join(', ')}, got '${reduce}'`,
        {
          operands: [x, index],
        },
      );
    const given = source instanceof Tensor ? source : beside(source, x).expand(index.shape);
    return within('scatter', [x, index, given], () => {
      if (reduce === 'set') return x.scatterSet(axis, index, given);
      const ones = beside(1, index).expand(index.shape);
      const start = includeSelf
        ? x
        : beside(0, index)
            .expand(x.shape)
            .scatterSet(axis, index, ones)
            .eq(1)
            .where(neutral[reduce](x.dtype), x);
      const met = start[scatters[reduce]](axis, index, given);
      if (reduce !== 'mean') return met;
      const self = beside(includeSelf ? 1 : 0, index).expand(x.shape);
      return met.div(self.cast('i32').scatterAdd(axis, index, ones.cast('i32')).clip(1));
    });
  },
};
