/** What stands between the brackets of an index: places, ranges, new axes, index tensors and masks. */
import { tensor } from '../creation.ts';
import { describeValue, DTypeError, IndexError, ValueError } from '../errors.ts';
import type { NestedArray } from '../read.ts';
import { Tensor } from '../tensor.ts';

/** From `start` up to, not including, `stop`, as Python's slice; null: all the way. */
export interface IndexRange {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number;
}

/**
 * One item of an index:
 * - an integer: one place of an axis, which goes away; negative ones count from the end
 * - `'a:b:c'` or `range(a, b, c)`: a range of an axis, as Python's slice
 * - `'...'`: as many whole axes as are left
 * - `null`: a new axis of size 1
 * - integers in an array or a tensor (i32 or u8): these places of an axis, in their shape
 * - truth values in an array or a tensor: the places where they hold, of as many axes as the mask has
 */
export type IndexItem =
  | number
  | boolean
  | null
  | '...'
  | `${string}:${string}`
  | IndexRange
  | readonly NestedArray[]
  | Tensor;

/**
 * A range for `at`: from `start` up to, not including, `stop`, every `step`-th; `range(2)` is `'2:'`, `range(null, 2)`
 * is `':2'`. Negative ends count from the end of the axis, and a negative step runs backwards.
 * @throws ValueError for numbers that are not integers, or a step of 0
 */
export function range(start: number | null = null, stop: number | null = null, step = 1): IndexRange {
  const problem = rangeProblem(start, stop, step);
  if (problem) throw new ValueError('range', problem);
  return { start, stop, step };
}

/** Start, stop and step, as `slice` takes them. */
export type FullRange = readonly [start: number | null, stop: number | null, step: number];

/** An item, read. `axis` is of the tensor indexed. */
export type Token =
  | { readonly kind: 'range'; readonly axis: number; readonly range: FullRange | null }
  | { readonly kind: 'place'; readonly axis: number; readonly place: number }
  | { readonly kind: 'index'; readonly axis: number; readonly index: Tensor; readonly checked: boolean }
  | { readonly kind: 'mask'; readonly axis: number; readonly mask: Tensor }
  | { readonly kind: 'new' }
  /** An ellipsis that stands for no axis: what lies on its two sides does not lie side by side. */
  | { readonly kind: 'gap' };

/** Reads the items of an index into x; all axes are told of in order. */
export function readItems(op: string, x: Tensor, items: readonly IndexItem[]): Token[] {
  const given = items.map((item) => asMask(op, x, item));
  let [wanted, ellipses] = [0, 0];
  for (const item of given) {
    wanted += axesOf(item);
    if (item === '...') ellipses++;
  }
  if (ellipses > 1)
    throw new IndexError(op, `'...' may stand once among the items, not ${ellipses} times`, {
      operands: [x],
    });
  const { rank } = x;
  if (wanted > rank)
    throw new IndexError(op, `${wanted} axes indexed of a tensor of rank ${rank}`, { operands: [x] });
  const tokens: Token[] = [];
  let axis = 0;
  const whole = (count: number): void => {
    for (let i = 0; i < count; i++) tokens.push({ kind: 'range', axis: axis++, range: null });
  };
  for (const item of given) {
    if (item !== '...') {
      tokens.push(read(op, x, item, axis));
      axis += axesOf(item);
    } else if (rank > wanted) whole(rank - wanted);
    else tokens.push({ kind: 'gap' });
  }
  whole(rank - axis);
  return tokens;
}

type Given = Exclude<IndexItem, boolean>;

/** Truth values as a mask; the rest as it is. */
function asMask(op: string, x: Tensor, item: IndexItem): Given {
  const { backend } = x;
  if (typeof item === 'boolean') return tensor(item, { backend });
  if (!isNested(item)) return item;
  const values: readonly unknown[] = (item as readonly unknown[]).flat(Infinity as 1);
  const truths = values.filter((value) => typeof value === 'boolean').length;
  if (truths === 0) return item;
  if (truths < values.length)
    throw new ValueError(op, 'an index holds places or truth values, not both', { operands: [x] });
  return tensor(item, { backend });
}

const isNested = (item: unknown): item is readonly NestedArray[] => Array.isArray(item);

function axesOf(item: Given): number {
  if (item === null || item === '...') return 0;
  return item instanceof Tensor && item.dtype === 'bool' ? item.rank : 1;
}

const ranges = /^\s*([+-]?\d+)?\s*:\s*([+-]?\d+)?\s*(?::\s*([+-]?\d+)?\s*)?$/;

function read(op: string, x: Tensor, item: Given, axis: number): Token {
  if (item === null) return { kind: 'new' };
  if (typeof item === 'number') return { kind: 'place', axis, place: placeOf(op, x, axis, item) };
  if (typeof item === 'string') {
    const found = ranges.exec(item);
    if (!found)
      throw new ValueError(op, `'${item}' is no range`, {
        operands: [x],
        hint: "'start:stop:step', in which any may be missing, or '...'",
      });
    const [start = null, stop = null, step = 1] = found.slice(1).map((n) => (n ? Number(n) : undefined));
    return rangeToken(op, x, axis, start, stop, step);
  }
  if (item instanceof Tensor) return readTensor(op, x, item, axis);
  if (isNested(item)) {
    const places = (value: NestedArray): NestedArray =>
      isNested(value) ? value.map(places) : placeOf(op, x, axis, value as number);
    const index = tensor(places(item), { dtype: 'i32', backend: x.backend });
    return { kind: 'index', axis, index, checked: true };
  }
  if (typeof item !== 'object' || !('step' in item))
    throw new ValueError(op, `${describeValue(item)} is no index`, {
      operands: [x],
      hint: "places, ranges as 'start:stop', '...', null, arrays and tensors are",
    });
  return rangeToken(op, x, axis, item.start, item.stop, item.step);
}

function rangeToken(
  op: string,
  x: Tensor,
  axis: number,
  start: number | null,
  stop: number | null,
  step: number,
): Token {
  const problem = rangeProblem(start, stop, step);
  if (problem) throw new ValueError(op, `${problem} (axis ${axis})`, { operands: [x] });
  const whole = (start === null || start === 0) && stop === null && step === 1;
  return { kind: 'range', axis, range: whole ? null : [start, stop, step] };
}

function rangeProblem(start: number | null, stop: number | null, step: number): string | null {
  for (const n of [start, stop, step])
    if (n !== null && !Number.isInteger(n)) return `${n} is not an integer`;
  return step === 0 ? 'step 0' : null;
}

function readTensor(op: string, x: Tensor, item: Tensor, axis: number): Token {
  if (item.dtype === 'bool') {
    item.shape.forEach((n, i) => {
      if (n !== x.shape[axis + i])
        throw new IndexError(
          op,
          `a mask of size ${n} does not fit axis ${axis + i} of size ${x.shape[axis + i]}`,
          { operands: [x, item] },
        );
    });
    return { kind: 'mask', axis, mask: item };
  }
  if (item.dtype !== 'i32' && item.dtype !== 'u8')
    throw new DTypeError(op, `no index is ${item.dtype}`, {
      operands: [x, item],
      hint: 'places are i32 or u8, masks bool; cast() converts',
    });
  return { kind: 'index', axis, index: item, checked: false };
}

/** A place counted from either end, as a number in 0 … size - 1. */
function placeOf(op: string, x: Tensor, axis: number, place: number): number {
  const size = x.shape[axis]!;
  const at = place < 0 ? place + size : place;
  if (!Number.isInteger(at)) throw new ValueError(op, `${place} is no place of an axis`, { operands: [x] });
  if (at < 0 || at >= size) throw outside(op, x, axis, place);
  return at;
}

export function outside(op: string, x: Tensor, axis: number, place: number): IndexError {
  const size = x.shape[axis]!;
  return new IndexError(op, `index ${place} is out of range for axis ${axis} of size ${size}`, {
    operands: [x],
    ...(size > 0 && { hint: `places run from ${-size} to ${size - 1}` }),
  });
}
