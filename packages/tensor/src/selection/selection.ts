/** What `x.at(…)` gives: part of a tensor, to be read, or to be replaced in a copy of the whole. */
import { scalar } from '../creation.ts';
import { scalarDType } from '../dtype.ts';
import { ShapeError } from '../errors.ts';
import type { Operand } from '../ops/record.ts';
import { views } from '../ops/views.ts';
import { broadcastShapes, sameShape, sizeOf, type Shape } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { readItems, type FullRange, type IndexItem, type Token } from './items.ts';
import { indexPlaces, maskPlaces } from './places.ts';

/** How a value meets what is there. */
type Change = 'set' | 'add' | 'mul' | 'max' | 'min';

const scatters = { set: 'scatterSet', mul: 'scatterMul', max: 'scatterMax', min: 'scatterMin' } as const;
const meets = { add: 'add', mul: 'mul', max: 'maximum', min: 'minimum' } as const;

/**
 * Where index tensors are: the axes that they point into, merged into one, and how the others lie around it.
 *
 *     ranged tensor → [...before, merged, ...after] → [...before, ...places.shape, ...after]
 */
interface Gathering {
  /** Places along the merged axis, in the shape in which all index tensors meet. */
  readonly places: Tensor;
  /** The axes of the ranged tensor in the order in which they are merged; null where they lie so already. */
  readonly order: readonly number[] | null;
  readonly before: Shape;
  readonly merged: number;
  readonly after: Shape;
}

/**
 * Part of a tensor, by NumPy's rules. `get` reads it; `set`, `add`, `mul`, `max` and `min` give a new tensor with that
 * part changed, and leave the old one as it is. A value is a number or a tensor that broadcasts to the selected shape;
 * the result has the dtype in which x and value meet. Gradients flow to x and to the value, also where places repeat.
 */
export class Selection {
  readonly #op: string;
  readonly #x: Tensor;
  readonly #tokens: readonly Token[];
  readonly #ranges: readonly (FullRange | null)[] | null;
  /** Of x when its ranges have been taken. */
  readonly #ranged: Shape;
  #gathering: Gathering | null = null;

  constructor(op: string, x: Tensor, items: readonly IndexItem[]) {
    this.#op = op;
    this.#x = x;
    this.#tokens = readItems(op, x, items);
    const ranges = new Array<FullRange | null>(x.rank).fill(null);
    for (const token of this.#tokens)
      if (token.kind === 'range') ranges[token.axis] = token.range;
      else if (token.kind === 'place') ranges[token.axis] = [token.place, token.place + 1, 1];
    this.#ranges = ranges.some((range) => range !== null) ? ranges : null;
    this.#ranged = views.slice.infer([x], { ranges }, op).shape;
  }

  /** The selected shape. Throws a BackendError where a mask decides it that cannot be read at once. */
  get shape(): Shape {
    const { tokens, first, last, adjacent } = this.#layout();
    const sizes = (some: readonly Token[]): number[] => some.flatMap((token) => this.#sizeOf(token));
    if (first < 0) return sizes(tokens);
    const { shape } = this.#gather().places;
    return adjacent
      ? [...sizes(tokens.slice(0, first)), ...shape, ...sizes(tokens.slice(last + 1))]
      : [...shape, ...sizes(tokens)];
  }

  /** The selected elements: a view where no index tensor, mask or array of places is among the items. */
  get(): Tensor {
    const ranged = this.#takeRanges();
    if (!this.#gathers()) return reshaped(ranged, this.shape);
    const gathering = this.#gather();
    const picked = merge(ranged, gathering).indexSelect(gathering.before.length, gathering.places);
    return reshaped(picked, this.shape);
  }

  /** x with the value in the place of the selected elements. Of repeated places the last in row-major order stays. */
  set(value: Operand): Tensor {
    return this.#change('set', value);
  }

  /** x with the value added to the selected elements; repeated places add up. */
  add(value: Operand): Tensor {
    return this.#change('add', value);
  }

  /** x with the selected elements multiplied by the value; repeated places multiply. */
  mul(value: Operand): Tensor {
    return this.#change('mul', value);
  }

  /** x with the larger of the selected elements and the value. */
  max(value: Operand): Tensor {
    return this.#change('max', value);
  }

  /** x with the smaller of the selected elements and the value. */
  min(value: Operand): Tensor {
    return this.#change('min', value);
  }

  #change(change: Change, value: Operand): Tensor {
    const x = this.#x;
    const given = beside(value, x);
    const mask = given.rank === 0 ? this.#soleMask() : null;
    if (mask) return mask.where(change === 'set' ? given : x[meets[change]](given), x);
    const spread = this.#spread(given);
    if (!this.#gathers()) {
      const ranged = this.#takeRanges();
      const source = reshaped(spread, ranged.shape);
      return x.sliceScatter(change === 'set' ? source : ranged[meets[change]](source), this.#ranges ?? []);
    }
    const changed = this.#scatter(change, spread);
    return this.#ranges ? x.sliceScatter(changed, this.#ranges) : changed;
  }

  /** The ranged tensor with the value at the gathered places. */
  #scatter(change: Change, value: Tensor): Tensor {
    const gathering = this.#gather();
    const { places, before, after, order } = gathering;
    const axis = before.length;
    const whole = merge(this.#takeRanges(), gathering);
    const source = reshaped(value, [...before, places.size, ...after]);
    const index = reshaped(places, [places.size]);
    const changed =
      change === 'add'
        ? whole.indexAdd(axis, index, source)
        : whole[scatters[change]](axis, along(index, axis, source.shape), source);
    if (!order) return reshaped(changed, this.#ranged);
    const there = changed.reshape(order.map((at) => this.#ranged[at]!));
    return there.permute(order.map((_, at) => order.indexOf(at)));
  }

  /** A mask that is all there is: what a single number does to it needs no places. */
  #soleMask(): Tensor | null {
    const others = this.#tokens.filter(({ kind }) => kind !== 'mask' && kind !== 'gap');
    const masks = this.#tokens.flatMap((token) => (token.kind === 'mask' ? [token] : []));
    const [first] = masks;
    if (!first || masks.length > 1 || this.#ranges || others.some(({ kind }) => kind !== 'range'))
      return null;
    const { mask, axis } = first;
    return mask.reshape(this.#x.shape.map((n, i) => (i >= axis && i < axis + mask.rank ? n : 1)));
  }

  #spread(value: Tensor): Tensor {
    const { shape } = this;
    const lead = shape.length - value.rank;
    if (lead < 0 || !value.shape.every((n, i) => n === 1 || n === shape[lead + i]))
      throw new ShapeError(
        this.#op,
        `the value does not broadcast to the selected shape [${shape.join(', ')}]`,
        {
          operands: [this.#x, value],
        },
      );
    return sameShape(value.shape, shape) ? value : value.expand(shape);
  }

  #takeRanges(): Tensor {
    return this.#ranges ? this.#x.slice(this.#ranges) : this.#x;
  }

  #gathers(): boolean {
    return this.#tokens.some(({ kind }) => kind === 'index' || kind === 'mask');
  }

  #sizeOf(token: Token): number[] {
    if (token.kind === 'range') return [this.#ranged[token.axis]!];
    return token.kind === 'new' ? [1] : [];
  }

  /** Which tokens are for index tensors: beside one a place counts as such. -1 and -1 where there is none. */
  #layout(): { tokens: readonly Token[]; first: number; last: number; adjacent: boolean } {
    const tokens = this.#tokens;
    if (!this.#gathers()) return { tokens, first: -1, last: -1, adjacent: true };
    const points = ({ kind }: Token): boolean => kind === 'index' || kind === 'mask' || kind === 'place';
    const [first, last] = [tokens.findIndex(points), tokens.findLastIndex(points)];
    return { tokens, first, last, adjacent: tokens.slice(first, last + 1).every(points) };
  }

  #gather(): Gathering {
    return (this.#gathering ??= this.#makeGathering());
  }

  #makeGathering(): Gathering {
    const { tokens, first, last, adjacent } = this.#layout();
    const parts = tokens.flatMap((token) => this.#pointing(token));
    const axes = parts.flatMap(({ axes }) => axes);
    const kept = (some: readonly Token[]): number[] =>
      some.flatMap((token) => (token.kind === 'range' ? [token.axis] : []));
    const before = adjacent ? kept(tokens.slice(0, first)) : [];
    const after = kept(adjacent ? tokens.slice(last + 1) : tokens);
    const single = tokens.flatMap((token) => (token.kind === 'place' ? [token.axis] : []));
    const sizes = (some: readonly number[]): number[] => some.map((axis) => this.#ranged[axis]!);
    return {
      places: combined(this.#op, parts),
      order: adjacent ? null : [...axes, ...after, ...single],
      before: sizes(before),
      merged: sizeOf(sizes(axes)),
      after: sizes(after),
    };
  }

  /** The axes that a token's index tensor points into, and where to. */
  #pointing(token: Token): Part[] {
    if (token.kind === 'mask') {
      const axes = token.mask.shape.map((_, i) => token.axis + i);
      return [{ axes, size: token.mask.size, places: maskPlaces(this.#op, token.mask) }];
    }
    if (token.kind !== 'index') return [];
    const { axis, index, checked } = token;
    const places = checked ? index : indexPlaces(this.#op, this.#x, axis, index);
    return [{ axes: [axis], size: this.#x.shape[axis]!, places }];
  }
}

/** A number as a tensor beside x. */
export function beside(value: Operand, x: Tensor): Tensor {
  return value instanceof Tensor ? value : scalar(value, scalarDType(value, x.dtype), x.backend);
}

interface Part {
  readonly axes: readonly number[];
  /** The product of their sizes. */
  readonly size: number;
  /** In 0 … size - 1. */
  readonly places: Tensor;
}

/** Places along the parts' axes merged into one, row-major. */
function combined(op: string, parts: readonly Part[]): Tensor {
  broadcastShapes(
    op,
    parts.map(({ places }) => places),
  );
  return parts
    .map(({ places, size }) => ({ places, size }))
    .reduce((a, b) => ({ places: a.places.mul(b.size).add(b.places), size: a.size * b.size })).places;
}

function merge(x: Tensor, { order, before, merged, after }: Gathering): Tensor {
  return reshaped(order ? x.permute(order) : x, [...before, merged, ...after]);
}

const reshaped = (x: Tensor, shape: Shape): Tensor => (sameShape(x.shape, shape) ? x : x.reshape(shape));

/** A vector stretched along an axis of a shape, without a copy. */
const along = (index: Tensor, axis: number, shape: Shape): Tensor =>
  index.reshape(shape.map((_, i) => (i === axis ? index.size : 1))).expand(shape);
