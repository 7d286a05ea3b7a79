/** What `x.at(…)` gives: part of a tensor, to be read, or to be replaced in a copy of the whole. */
import { scalar } from '../creation.ts';
import { scalarDType } from '../dtype.ts';
import { ShapeError } from '../errors.ts';
import type { Operand } from '../ops/record.ts';
import { views } from '../ops/views.ts';
import { sameShape, type Shape } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { around, gatheringOf, merge, reshaped, unmerge, type Gathering } from './gathering.ts';
import { readItems, type FullRange, type IndexItem, type Token } from './items.ts';

/** How a value meets what is there. */
type Change = 'set' | 'add' | 'mul' | 'max' | 'min';

const scatters = { set: 'scatterSet', mul: 'scatterMul', max: 'scatterMax', min: 'scatterMin' } as const;
const meets = { add: 'add', mul: 'mul', max: 'maximum', min: 'minimum' } as const;

/**
 * Part of a tensor, by NumPy's rules. `get` reads it; `set`, `add`, `mul`, `max` and `min` give a new tensor with that
 * part changed, and leave the old one as it is. A value is a number or a tensor that broadcasts to the selected shape;
 * the result has the dtype in which x and value meet. Gradients flow to x and to the value, also where places repeat.
 */
export class Selection {
  readonly #op: string;
  readonly #x: Tensor;
  readonly #tokens: readonly Token[];
  readonly #ranges: readonly (FullRange | null)[];
  /** Whether any axis is cut at all. */
  readonly #cuts: boolean;
  /** Whether any token is an index or a mask. */
  readonly #gathers: boolean;

  constructor(op: string, x: Tensor, items: readonly IndexItem[]) {
    this.#op = op;
    this.#x = x;
    this.#tokens = readItems(op, x, items);
    const ranges: (FullRange | null)[] = [];
    let [cuts, gathers] = [false, false];
    for (const token of this.#tokens) {
      if (token.kind === 'range') ranges[token.axis] = token.range;
      else if (token.kind === 'place') ranges[token.axis] = [token.place, token.place + 1, 1];
      else if (token.kind === 'index') ranges[token.axis] = null;
      else if (token.kind === 'mask') for (let i = 0; i < token.mask.rank; i++) ranges[token.axis + i] = null;
      cuts ||= token.kind === 'place' || (token.kind === 'range' && token.range !== null);
      gathers ||= token.kind === 'index' || token.kind === 'mask';
    }
    this.#ranges = ranges;
    this.#cuts = cuts;
    this.#gathers = gathers;
  }

  /** The selected shape. Throws a BackendError where a mask decides it that cannot be read at once. */
  get shape(): Shape {
    const ranged = this.#rangedShape();
    return this.#shapeOf(ranged, this.#gathering(ranged));
  }

  /** The selected elements: a view where no index tensor, mask or array of places is among the items. */
  get(): Tensor {
    const ranged = this.#takeRanges();
    const gathering = this.#gathering(ranged.shape);
    const shape = this.#shapeOf(ranged.shape, gathering);
    if (!gathering) return reshaped(ranged, shape);
    const picked = merge(ranged, gathering).indexSelect(gathering.before.length, gathering.places);
    return reshaped(picked, shape);
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
    if (mask) return mask.where(meet(change, x, given), x);
    const ranged = this.#takeRanges();
    const gathering = this.#gathering(ranged.shape);
    const spread = this.#spread(given, this.#shapeOf(ranged.shape, gathering));
    const changed = gathering
      ? scatter(change, ranged, gathering, spread)
      : meet(change, ranged, reshaped(spread, ranged.shape));
    return gathering && !this.#cuts ? changed : x.sliceScatter(changed, this.#ranges);
  }

  /** A mask that is all there is: what a single number does to it needs no places. */
  #soleMask(): Tensor | null {
    if (this.#cuts) return null;
    const others = this.#tokens.filter(({ kind }) => kind !== 'range' && kind !== 'gap');
    const [only] = others;
    if (others.length !== 1 || only?.kind !== 'mask') return null;
    const { mask, axis } = only;
    return mask.reshape(this.#x.shape.map((n, i) => (i >= axis && i < axis + mask.rank ? n : 1)));
  }

  #spread(value: Tensor, shape: Shape): Tensor {
    const lead = shape.length - value.rank;
    if (lead < 0 || !value.shape.every((n, i) => n === 1 || n === shape[lead + i]))
      throw new ShapeError(
        this.#op,
        `the value does not broadcast to the selected shape [${shape.join(', ')}]`,
        { operands: [this.#x, value] },
      );
    return sameShape(value.shape, shape) ? value : value.expand(shape);
  }

  #takeRanges(): Tensor {
    return this.#cuts ? this.#x.slice(this.#ranges) : this.#x;
  }

  #rangedShape(): Shape {
    const { shape } = this.#x;
    return this.#cuts ? views.slice.infer([this.#x], { ranges: this.#ranges }, this.#op).shape : shape;
  }

  #shapeOf(ranged: Shape, gathering: Gathering | null): Shape {
    const sizes = (tokens: readonly Token[]): number[] =>
      tokens.flatMap((token) =>
        token.kind === 'range' ? ranged[token.axis]! : token.kind === 'new' ? 1 : [],
      );
    if (!gathering) return sizes(this.#tokens);
    const [before, after] = around(this.#tokens);
    return [...sizes(before), ...gathering.met, ...sizes(after)];
  }

  // Made anew each time: what one scope makes is gone when the next one asks.
  #gathering(ranged: Shape): Gathering | null {
    return this.#gathers ? gatheringOf(this.#op, this.#x, this.#tokens, ranged) : null;
  }
}

/** A number as a tensor beside x. */
export function beside(value: Operand, x: Tensor): Tensor {
  return value instanceof Tensor ? value : scalar(value, scalarDType(value, x.dtype), x.backend);
}

const meet = (change: Change, there: Tensor, value: Tensor): Tensor =>
  change === 'set' ? value : there[meets[change]](value);

/** The ranged tensor with the value at the gathered places. */
function scatter(change: Change, ranged: Tensor, gathering: Gathering, value: Tensor): Tensor {
  const { places, before, after } = gathering;
  const axis = before.length;
  const whole = merge(ranged, gathering);
  const source = reshaped(value, [...before, places.size, ...after]);
  const index = reshaped(places, [places.size]);
  const changed =
    change === 'add'
      ? whole.indexAdd(axis, index, source)
      : whole[scatters[change]](axis, stretchedAlong(index, axis, source.shape), source);
  return unmerge(changed, gathering, ranged.shape);
}

/** A vector stretched along an axis of a shape, without a copy. */
const stretchedAlong = (index: Tensor, axis: number, shape: Shape): Tensor =>
  index.reshape(shape.map((_, i) => (i === axis ? index.size : 1))).expand(shape);
