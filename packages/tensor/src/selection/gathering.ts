/**
 * Index tensors, masks and arrays of places as one index along one axis: what one pick reads and one write changes.
 *
 *     ranged tensor → [...before, merged, ...after] → [...before, ...places.shape, ...after]
 */
import { arange } from '../creation.ts';
import { broadcastShapes, rowMajorStrides, sameShape, sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import type { Token } from './items.ts';
import { indexPlaces, maskPlaces } from './places.ts';

export interface Gathering {
  /** The shape in which all index tensors meet. */
  readonly met: Shape;
  /** Places along the merged axis. */
  readonly places: Tensor;
  readonly before: Shape;
  readonly merged: number;
  readonly after: Shape;
  /** The axes of the ranged tensor in the order in which they are merged; null where they lie so already. */
  readonly order: readonly number[] | null;
}

/** What an index tensor points into. */
interface Part {
  /** Neighbours. */
  readonly axes: readonly number[];
  /** The product of their sizes. */
  readonly size: number;
  /** In 0 … size - 1. */
  readonly places: Tensor;
}

const points = ({ kind }: Token): boolean => kind === 'index' || kind === 'mask' || kind === 'place';

/**
 * The tokens around those that point, beside which a place counts as an index tensor of one element. Where they do not
 * lie side by side their axes come first.
 */
export function around(tokens: readonly Token[]): [before: readonly Token[], after: readonly Token[]] {
  const [first, last] = [tokens.findIndex(points), tokens.findLastIndex(points)];
  return tokens.slice(first, last + 1).every(points)
    ? [tokens.slice(0, first), tokens.slice(last + 1)]
    : [[], tokens];
}

/** The gathering of tokens of which one at least is an index or a mask; `ranged` is the shape when ranges have been taken. */
export function gatheringOf(op: string, x: Tensor, tokens: readonly Token[], ranged: Shape): Gathering {
  const parts = tokens.flatMap((token) => partOf(op, x, token));
  const met = broadcastShapes(
    op,
    parts.map(({ places }) => places),
  );
  const [before, after] = around(tokens).map((some) =>
    some.flatMap((token) => (token.kind === 'range' ? [token.axis] : [])),
  ) as [number[], number[]];
  const axes = parts.flatMap((part) => part.axes);
  const sizes = (some: readonly number[]): number[] => some.map((axis) => ranged[axis]!);
  const inOrder = [...before, ...axes, ...after].every((axis, i, all) => i === 0 || all[i - 1]! < axis);
  // Axes that do not lie side by side have to be moved, which copies all: a few elements are better picked one by one.
  if (!inOrder && worthMoving * sizeOf([...met, ...sizes(after)]) < sizeOf(ranged)) {
    const places = amongAll(parts, after, ranged);
    return { met, places, before: [], merged: sizeOf(ranged), after: [], order: null };
  }
  const single = tokens.flatMap((token) => (token.kind === 'place' ? [token.axis] : []));
  return {
    met,
    places: along(parts),
    before: sizes(before),
    merged: sizeOf(sizes(axes)),
    after: sizes(after),
    order: inOrder ? null : [...axes, ...after, ...single],
  };
}

/** Elements that are copied in the time in which one is picked. */
const worthMoving = 4;

function partOf(op: string, x: Tensor, token: Token): Part[] {
  if (token.kind === 'mask') {
    const axes = token.mask.shape.map((_, i) => token.axis + i);
    return [{ axes, size: token.mask.size, places: maskPlaces(op, token.mask) }];
  }
  if (token.kind !== 'index') return [];
  const { axis, index, checked } = token;
  const places = checked ? index : indexPlaces(op, x, axis, index);
  return [{ axes: [axis], size: x.shape[axis]!, places }];
}

/** Places along the axes of all parts, merged row-major. */
function along(parts: readonly Part[]): Tensor {
  return parts
    .map(({ places, size }) => ({ places, size }))
    .reduce((a, b) => ({ places: a.places.mul(b.size).add(b.places), size: a.size * b.size })).places;
}

/** Places among all elements, row-major: along the parts' axes, and along those that are kept. */
function amongAll(parts: readonly Part[], kept: readonly number[], shape: Shape): Tensor {
  const steps = rowMajorStrides(shape);
  const { backend } = parts[0]!.places;
  const pointed = parts.map(({ places, axes }) =>
    places.mul(steps[axes.at(-1) ?? 0] ?? 1).reshape([...places.shape, ...kept.map(() => 1)]),
  );
  const whole = kept.map((axis, i) => {
    const count = arange(shape[axis]!, undefined, 1, { backend }).mul(steps[axis]!);
    return count.reshape([shape[axis]!, ...kept.slice(i + 1).map(() => 1)]);
  });
  return [...pointed, ...whole].reduce((a, b) => a.add(b));
}

/** The ranged tensor as [...before, merged, ...after]. */
export function merge(x: Tensor, { order, before, merged, after }: Gathering): Tensor {
  return reshaped(order ? x.permute(order) : x, [...before, merged, ...after]);
}

/** What `merge` made, as it was. */
export function unmerge(x: Tensor, { order }: Gathering, ranged: Shape): Tensor {
  if (!order) return reshaped(x, ranged);
  return x.reshape(order.map((at) => ranged[at]!)).permute(order.map((_, at) => order.indexOf(at)));
}

export const reshaped = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : x.reshape(shape);
