/** Where an order ends, found without sorting all of it: for backends whose elements can be read at once. */
import { fromData, type Tensor } from '@infinigrad/tensor';

/** The last element that is kept: so are those before it, by key and, among equals, by place. */
export interface Bound {
  readonly key: number;
  readonly place: number;
}

const everything: Bound = { key: Infinity, place: Infinity };
const bins = 1024;
/** So few are sorted. */
const few = 48;

type Numbers = Float32Array | Float64Array;

/** Places of the elements between two keys, of all with some weight. */
interface Range {
  readonly places: Int32Array;
  readonly low: number;
  readonly high: number;
}

function everyPlace(keys: Numbers, weights: Numbers, least: number): Range {
  const places = new Int32Array(keys.length);
  let [count, low, high] = [0, Infinity, -Infinity];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (!(weights[i]! >= least && key < Infinity)) continue;
    places[count++] = i;
    if (key < low) low = key;
    if (key > high) high = key;
  }
  return { places: places.subarray(0, count), low, high };
}

/**
 * Elements are kept in ascending order of their keys, equal ones in the order of their places, for as long as the weights of those
 * before sum to less than `mass`. A histogram tells in which range of keys that ends, and another one of that range, until few are left.
 * @param weights none below 0; elements without weight are passed over, whatever their keys
 * @param mass above 0
 * @param round of sums, before they are compared
 * @param least elements of less weight are known to come after the end, and are not looked at
 */
export function boundOfMass(
  keys: Numbers,
  weights: Numbers,
  mass: number,
  round: (sum: number) => number = (sum) => sum,
  least = 0,
): Bound {
  let before = 0;
  let { places, low, high } = everyPlace(keys, weights, Math.max(least, Number.MIN_VALUE));
  const sums = new Float64Array(bins);
  const binOf = new Uint16Array(places.length);
  for (;;) {
    const { length } = places;
    const scale = (bins - 1) / (high - low);
    if (length <= few || !(scale > 0 && scale < Infinity)) break;
    sums.fill(0);
    for (let i = 0; i < length; i++) {
      const place = places[i]!;
      const bin = ((keys[place]! - low) * scale) | 0;
      binOf[i] = bin;
      sums[bin]! += weights[place]!;
    }
    let last = 0;
    while (last < bins && round(before + sums[last]!) < mass) before += sums[last++]!;
    if (last === bins) return everything;
    let count = 0;
    [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < length; i++) {
      if (binOf[i] !== last) continue;
      const place = places[i]!;
      const key = keys[place]!;
      places[count++] = place;
      if (key < low) low = key;
      if (key > high) high = key;
    }
    places = places.subarray(0, count);
  }
  let bound = everything;
  for (const place of places.sort((a, b) => keys[a]! - keys[b]! || a - b)) {
    if (!(round(before) < mass)) return bound;
    before += weights[place]!;
    bound = { key: keys[place]!, place };
  }
  return round(before) < mass ? everything : bound;
}

/**
 * The logits [rows, n], with -Infinity for what lies beyond its row's bound.
 * @param ties whether all that equal the last are kept
 */
export function upTo(
  logits: Tensor,
  values: Numbers,
  keys: Numbers,
  boundOf: (keys: Numbers, row: number) => Bound,
  ties: boolean,
): Tensor {
  const [rows, n] = logits.shape as readonly [number, number];
  const kept = values.slice();
  for (let row = 0; row < rows; row++) {
    const line = rowOf(keys, row, n);
    const { key, place } = boundOf(line, row);
    const last = ties ? Infinity : place;
    for (let i = 0, at = row * n; i < n; i++, at++) {
      const own = line[i]!;
      if (!(own <= key) || (own === key && i > last)) kept[at] = -Infinity;
    }
  }
  return fromData(kept, [rows, n], { backend: logits.backend });
}

/** Row i of rows of n numbers. */
export function rowOf(numbers: Numbers, row: number, n: number): Numbers {
  return numbers.subarray(row * n, (row + 1) * n);
}
