/**
 * Functions made of table ops: their gradients, views and backends come from those. Those under `compositions` are
 * methods of their first argument.
 */
import { apply } from '../apply.ts';
import { arange, fullLike } from '../creation.ts';
import { isFloat, type DType } from '../dtype.ts';
import { DTypeError, IndexError, ShapeError, ValueError } from '../errors.ts';
import type { Range } from '../ops/views.ts';
import {
  broadcastShapes,
  checkArray,
  normalizeAxes,
  normalizeAxis,
  reducedShape,
  sameShape,
  sizeOf,
  type Shape,
} from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { within } from './within.ts';

type Axes = number | readonly number[];

/** A range on one axis, everything on the others. */
function onAxis(axis: number, range: Range): (Range | null)[] {
  const ranges = new Array<Range | null>(axis + 1).fill(null);
  ranges[axis] = range;
  return ranges;
}

/** The square root, with a gradient of 0 at 0. */
const rootOf = (squares: Tensor): Tensor => {
  const none = squares.eq(0);
  return none.where(0, none.where(1, squares).sqrt());
};

export const basics = {
  /** Two axes swapped (the last two unless told). */
  transpose: (x: Tensor, a = -2, b = -1): Tensor => {
    const axes = x.shape.map((_, i) => i);
    const [i, j] = [normalizeAxis('transpose', a, x), normalizeAxis('transpose', b, x)];
    [axes[i], axes[j]] = [j, i];
    return x.permute(axes);
  },

  /** An axis moved to another place, the others keeping their order. */
  moveAxis: (x: Tensor, from: number, to: number): Tensor => {
    const [i, j] = [normalizeAxis('moveAxis', from, x), normalizeAxis('moveAxis', to, x)];
    const axes = x.shape.map((_, k) => k).filter((k) => k !== i);
    axes.splice(j, 0, i);
    return x.permute(axes);
  },

  /** Without the named axes of size 1 (all of them unless told). Throws a ShapeError where a named axis is not of size 1. */
  squeeze: (x: Tensor, axes?: Axes): Tensor => {
    const list =
      axes === undefined
        ? x.shape.flatMap((n, i) => (n === 1 ? [i] : []))
        : normalizeAxes('squeeze', axes, x);
    for (const axis of list)
      if (x.shape[axis] !== 1)
        throw new ShapeError('squeeze', `axis ${axis} has size ${x.shape[axis]}, not 1`, { operands: [x] });
    return x.reshape(reducedShape(x.shape, list, false));
  },

  /** With a new axis of size 1 at a place counted in the result. */
  unsqueeze: (x: Tensor, axis: number): Tensor => {
    const at = axis < 0 ? axis + x.rank + 1 : axis;
    if (!Number.isInteger(at) || at < 0 || at > x.rank)
      throw new IndexError('unsqueeze', `axis ${axis} is out of range for rank ${x.rank} + 1`, {
        operands: [x],
      });
    return x.reshape([...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
  },

  /** Axes `start` … `end` merged into one (all of them unless told). */
  flatten: (x: Tensor, start = 0, end = -1): Tensor => {
    if (x.rank === 0) return x.reshape([1]);
    const [i, j] = [normalizeAxis('flatten', start, x), normalizeAxis('flatten', end, x)];
    if (i > j) throw new ValueError('flatten', `axis ${start} comes after axis ${end}`, { operands: [x] });
    return x.reshape([...x.shape.slice(0, i), sizeOf(x.shape.slice(i, j + 1)), ...x.shape.slice(j + 1)]);
  },

  /** Backwards along the named axes (all of them unless told). */
  flip: (x: Tensor, axes?: Axes): Tensor => {
    const list = normalizeAxes('flip', axes, x);
    return x.slice(x.shape.map((_, i) => (list.includes(i) ? [null, null, -1] : null)));
  },

  /** One slice along an axis; the axis goes away. Negative positions count from the end. */
  select: (x: Tensor, axis: number, position: number): Tensor => {
    const at = normalizeAxis('select', axis, x);
    const size = x.shape[at]!;
    const i = position < 0 ? position + size : position;
    if (!Number.isInteger(i) || i < 0 || i >= size)
      throw new IndexError('select', `position ${position} is out of range for axis ${at} of size ${size}`, {
        operands: [x],
      });
    return x.slice(onAxis(at, [i, i + 1])).reshape(reducedShape(x.shape, [at], false));
  },

  /** `length` elements from `start` on along an axis. */
  narrow: (x: Tensor, axis: number, start: number, length: number): Tensor => {
    const at = normalizeAxis('narrow', axis, x);
    const size = x.shape[at]!;
    if (![start, length].every(Number.isInteger) || start < 0 || length < 0 || start + length > size)
      throw new IndexError(
        'narrow',
        `${start} … ${start + length} is not within axis ${at} of size ${size}`,
        { operands: [x] },
      );
    return x.slice(onAxis(at, [start, start + length]));
  },

  /** Consecutive pieces along an axis: of the given sizes, or of one size with a shorter last piece. */
  split: (x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] => {
    const at = normalizeAxis('split', axis, x);
    const total = x.shape[at]!;
    if (typeof sizes === 'number' && !(Number.isInteger(sizes) && sizes > 0))
      throw new ValueError('split', `needs a size ≥ 1, got ${sizes}`, { operands: [x] });
    const list =
      typeof sizes === 'number'
        ? Array.from({ length: Math.ceil(total / sizes) }, (_, i) => Math.min(sizes, total - i * sizes))
        : sizes;
    if (list.reduce((a, b) => a + b, 0) !== total)
      throw new ShapeError('split', `sizes [${list.join(', ')}] do not add up to ${total} (axis ${at})`, {
        operands: [x],
      });
    let start = 0;
    return list.map((size) => {
      const piece = x.narrow(at, start, size);
      start += size;
      return piece;
    });
  },

  /** Variance over axes; the sum of squares is divided by count - `correction` (1: unbiased; 0: of the population). */
  variance: (
    x: Tensor,
    axes?: Axes,
    { correction = 1, keepDims = false }: { correction?: number; keepDims?: boolean } = {},
  ): Tensor => {
    const list = normalizeAxes('variance', axes, x);
    const count = sizeOf(list.map((axis) => x.shape[axis]!));
    return x
      .sub(x.mean(list, true))
      .square()
      .sum(list, keepDims)
      .div(Math.max(0, count - correction));
  },

  /** Standard deviation: the square root of `variance`. Where it is 0 its gradient is taken as 0. */
  std: (x: Tensor, axes?: Axes, options: { correction?: number; keepDims?: boolean } = {}): Tensor =>
    rootOf(within('std', [x], () => x.variance(axes, options))),

  /** Elements picked along an axis by an index that broadcasts against the other axes (NumPy's take_along_axis). */
  takeAlongAxis: (x: Tensor, index: Tensor, axis: number): Tensor => {
    const at = normalizeAxis('takeAlongAxis', axis, x);
    if (index.rank !== x.rank)
      throw new ShapeError('takeAlongAxis', 'index and tensor must have one rank', { operands: [x, index] });
    const others = [x, index].map(({ shape, dtype }) => ({ shape: shape.with(at, 1), dtype }));
    const meet = broadcastShapes('takeAlongAxis', others).with(at, index.shape[at]!);
    return x.expand(meet.map((n, i) => (i === at ? x.shape[i]! : n))).gather(at, index.expand(meet));
  },

  /** For each index a line of `classes` values: 1 at the index, 0 elsewhere. Indices outside 0 … classes - 1 give zeros. */
  oneHot: (index: Tensor, classes: number, dtype: DType = 'f32'): Tensor => {
    if (isFloat(index.dtype) || index.dtype === 'bool')
      throw new DTypeError('oneHot', 'needs integer indices', { operands: [index] });
    if (!Number.isInteger(classes) || classes < 1)
      throw new ValueError('oneHot', `needs classes ≥ 1, got ${classes}`);
    return index
      .unsqueeze(-1)
      .eq(arange(classes, undefined, 1, { backend: index.backend }))
      .cast(dtype);
  },

  /** The lower triangle of the last two axes, zero elsewhere; `diagonal` counts upward from the main one. */
  tril: (x: Tensor, diagonal = 0): Tensor => x.triangleMask(diagonal).where(x, fullLike(x, 0)),

  /** The upper triangle of the last two axes, zero elsewhere; `diagonal` counts upward from the main one. */
  triu: (x: Tensor, diagonal = 0): Tensor => x.triangleMask(diagonal - 1).where(fullLike(x, 0), x),

  /** The mask, bool [m, n], of column ≤ row + `diagonal`, for the last two axes of x. With 0: the causal mask. */
  triangleMask: (x: Tensor, diagonal = 0): Tensor => {
    if (x.rank < 2) throw new ShapeError('triangleMask', 'needs two axes', { operands: [x] });
    const [m, n] = x.shape.slice(-2) as [number, number];
    const count = (size: number): Tensor => arange(size, undefined, 1, { backend: x.backend });
    return count(n).unsqueeze(0).le(count(m).add(diagonal).unsqueeze(1));
  },

  /** The sum over all axes along which `shape` would have to be stretched to x's shape: the transpose of broadcasting. */
  sumTo: (x: Tensor, shape: Shape): Tensor => {
    const lead = x.rank - shape.length;
    const fits = lead >= 0 && shape.every((n, i) => n === 1 || n === x.shape[lead + i]);
    if (!fits)
      throw new ShapeError('sumTo', `[${shape.join(', ')}] does not stretch to the tensor's shape`, {
        operands: [x],
      });
    const axes = x.shape.flatMap((n, i) => (i < lead || (shape[i - lead] === 1 && n !== 1) ? [i] : []));
    if (axes.length === 0) return x;
    const summed = x.sum(axes, true);
    return lead > 0 ? summed.reshape(shape) : summed;
  },

  /** Scalar product of two vectors. */
  dot: (x: Tensor, y: Tensor): Tensor => {
    if (x.rank !== 1 || y.rank !== 1) throw new ShapeError('dot', 'needs two vectors', { operands: [x, y] });
    return within('dot', [x, y], () => x.matmul(y));
  },

  /**
   * Euclidean norm over axes (all of them unless told): `vectorNorm` takes other orders. Where it is 0 its gradient is taken
   * as 0.
   */
  norm: (x: Tensor, axes?: Axes, keepDims = false): Tensor =>
    rootOf(within('norm', [x], () => x.square().sum(axes, keepDims))),
};

/** Tensors of one shape laid side by side along a new axis (the first unless told). */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  checkArray('stack', 'tensors', tensors);
  const [first] = tensors;
  if (!first) throw new ValueError('stack', 'needs at least one tensor');
  const other = tensors.find((x) => !sameShape(x.shape, first.shape));
  if (other) throw new ShapeError('stack', 'tensors differ in shape', { operands: [first, other] });
  return within('stack', tensors, () =>
    apply(
      'concat',
      tensors.map((x) => x.unsqueeze(axis)),
      { axis },
    ),
  );
}
