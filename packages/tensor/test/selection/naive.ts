/** Indexing by its definition: for every selected element, the one that it is. */
import type { IndexRange } from '@infinigrad/tensor';
import { indices, meet, range, type Naive } from '../naive.ts';

type Nested = number | boolean | readonly Nested[];
/** An item of an index as plain data; arrays stand for index tensors and masks too. */
export type PlainItem = number | boolean | null | string | IndexRange | readonly Nested[];

export interface NaiveSelection {
  readonly shape: readonly number[];
  /** The index in the whole of an element of the selection. */
  readonly source: (index: readonly number[]) => number[];
}

/** Places of axes, as index arrays of one shape: how arrays, masks and integers beside them point. */
interface Pointer {
  readonly shape: readonly number[];
  readonly axes: readonly { readonly axis: number; readonly at: (index: readonly number[]) => number }[];
}
type Part = { readonly pointer: Pointer; readonly weak: boolean } | { readonly run: Run } | 'new' | 'gap';
interface Run {
  readonly axis: number;
  readonly places: readonly number[];
}

const shapeOf = (nested: Nested): number[] =>
  Array.isArray(nested) ? [nested.length, ...(nested.length > 0 ? shapeOf(nested[0] as Nested) : [])] : [];
const leafAt = (nested: Nested, index: readonly number[]): number | boolean =>
  index.reduce<Nested>((at, i) => (at as readonly Nested[])[i]!, nested) as number | boolean;
const isTruth = (item: Nested): boolean =>
  Array.isArray(item) ? item.length > 0 && isTruth(item[0] as Nested) : typeof item === 'boolean';

/** The places that a range visits, by walking. */
function walk(size: number, from: number | null, to: number | null, step: number): number[] {
  const wrapped = (n: number): number => (n < 0 ? n + size : n);
  const first = from === null ? (step > 0 ? 0 : size - 1) : wrapped(from);
  const stop = to === null ? (step > 0 ? size : -1) : wrapped(to);
  const places: number[] = [];
  for (let i = step > 0 ? Math.max(0, first) : Math.min(size - 1, first); i >= 0 && i < size; i += step) {
    if (step > 0 ? i >= stop : i <= stop) break;
    places.push(i);
  }
  return places;
}

function partsOf(shape: readonly number[], items: readonly PlainItem[]): Part[] {
  const taken = (item: PlainItem): number => {
    if (item === null || item === '...') return 0;
    return typeof item === 'object' && !Array.isArray(item)
      ? 1
      : isTruth(item as Nested)
        ? shapeOf(item as Nested).length
        : 1;
  };
  const rest = shape.length - items.reduce<number>((sum, item) => sum + taken(item), 0);
  const parts: Part[] = [];
  let axis = 0;
  const whole = (count: number): void => {
    for (let i = 0; i < count; i++, axis++) parts.push({ run: { axis, places: range(shape[axis]!) } });
  };
  for (const item of items) {
    const size = shape[axis]!;
    if (item === '...') {
      if (rest === 0) parts.push('gap');
      whole(rest);
      continue;
    }
    if (item === null) parts.push('new');
    else if (typeof item === 'string') {
      const [from, to, by] = item.split(':').map((n) => (n === '' ? null : Number(n)));
      parts.push({ run: { axis, places: walk(size, from ?? null, to ?? null, by ?? 1) } });
    } else if (typeof item === 'object' && !Array.isArray(item)) {
      const { start, stop, step } = item as IndexRange;
      parts.push({ run: { axis, places: walk(size, start, stop, step) } });
    } else if (isTruth(item as Nested)) {
      const mask = item as Nested;
      const found = indices(shapeOf(mask)).filter((index) => leafAt(mask, index) === true);
      const first = axis;
      parts.push({
        weak: false,
        pointer: {
          shape: [found.length],
          axes: shapeOf(mask).map((_, k) => ({ axis: first + k, at: ([i]) => found[i!]![k]! })),
        },
      });
    } else {
      const wrapped = (index: readonly number[]): number => {
        const place = leafAt(item as Nested, index) as number;
        return place < 0 ? place + size : place;
      };
      parts.push({
        weak: typeof item === 'number',
        pointer: { shape: shapeOf(item as Nested), axes: [{ axis, at: wrapped }] },
      });
    }
    axis += taken(item);
  }
  whole(shape.length - axis);
  return parts;
}

export function naiveSelection(shape: readonly number[], items: readonly PlainItem[]): NaiveSelection {
  const parts = partsOf(shape, items);
  const points = (part: Part): part is Extract<Part, { pointer: Pointer }> =>
    typeof part === 'object' && 'pointer' in part;
  const pointers = parts.filter(points);
  const met = meet([], ...pointers.map(({ pointer }) => pointer.shape));
  // Integers alone leave no axis, wherever they stand.
  const together =
    pointers.every(({ weak }) => weak) ||
    parts.slice(parts.findIndex(points), parts.findLastIndex(points) + 1).every(points);
  const first = together ? parts.findIndex(points) : -1;
  /** For each axis of the selection, what it runs over: a part, or the pointers' own axis. */
  const axes: (Run | 'new' | number)[] = [];
  const ownAxes = met.map((_, i) => i);
  if (first < 0) axes.push(...ownAxes);
  parts.forEach((part, i) => {
    if (i === first) axes.push(...ownAxes);
    if (part === 'new') axes.push('new');
    else if (typeof part === 'object' && 'run' in part) axes.push(part.run);
  });
  const own = (index: readonly number[]): number[] =>
    ownAxes.map((k) => index[axes.findIndex((axis) => axis === k)]!);
  return {
    shape: axes.map((axis) =>
      axis === 'new' ? 1 : typeof axis === 'number' ? met[axis]! : axis.places.length,
    ),
    source: (index) => {
      const at = new Array<number>(shape.length);
      axes.forEach((axis, i) => {
        if (typeof axis === 'object') at[axis.axis] = axis.places[index[i]!]!;
      });
      for (const { pointer } of pointers) {
        const tail = own(index).slice(met.length - pointer.shape.length);
        const place = tail.map((i, k) => (pointer.shape[k] === 1 ? 0 : i));
        for (const { axis, at: of } of pointer.axes) at[axis] = of(place);
      }
      return at;
    },
  };
}

/** The whole, changed element by element of the selection in row-major order. */
export function naiveChange(
  x: Naive,
  { shape, source }: NaiveSelection,
  value: (index: readonly number[]) => number,
  meeting: (there: number, given: number) => number,
): number[] {
  const all = new Map(indices(x.shape).map((index) => [index.join(), x.at(index)]));
  for (const index of indices(shape)) {
    const place = source(index).join();
    all.set(place, meeting(all.get(place)!, value(index)));
  }
  return [...all.values()];
}
