/** Kernels that order the elements of a line. */
import type { TypedArray } from '../../../dtype.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { scansKernels } from './scans.ts';
import { arrayOf, positions, withoutAxis } from './walk.ts';

/** Negative where element a comes before element b. Never 0: of equal elements the first comes first. */
type Order = (a: number, b: number) => number;

/** The order of positions by the values there; a NaN counts as largest. */
function orderOf(values: Float64Array, descending: boolean): Order {
  const sign = descending ? -1 : 1;
  return (a, b) => {
    const [x, y] = [values[a]!, values[b]!];
    if (x < y) return -sign;
    if (x > y) return sign;
    if (x === y) return a - b;
    const [xIsNaN, yIsNaN] = [x !== x, y !== y];
    if (xIsNaN === yIsNaN) return a - b;
    return xIsNaN ? sign : -sign;
  };
}

/** One pass of a merge sort: runs of `width` merged two by two, keys and places alike. */
function mergeRuns(
  keys: Float64Array,
  places: Int32Array,
  toKeys: Float64Array,
  toPlaces: Int32Array,
  n: number,
  width: number,
): void {
  for (let start = 0; start < n; start += 2 * width) {
    const middle = Math.min(start + width, n);
    const end = Math.min(start + 2 * width, n);
    let [i, j] = [start, middle];
    for (let at = start; at < end; at++) {
      const from = j >= end || (i < middle && keys[i]! <= keys[j]!) ? i++ : j++;
      toKeys[at] = keys[from]!;
      toPlaces[at] = places[from]!;
    }
  }
}

/** The places 0 … n - 1 sorted by their values, equal ones in order; a NaN counts as largest. */
function sorted(values: Float64Array, descending: boolean): Int32Array {
  const n = values.length;
  const nans = values.reduce((count, v) => count + (v === v ? 0 : 1), 0);
  // Ascending by the key -value is descending by the value, and keeps equal ones in order.
  const sign = descending ? -1 : 1;
  const first = descending ? nans : 0;
  const result = new Int32Array(n);
  let places = new Int32Array(n - nans);
  let keys = new Float64Array(n - nans);
  let [filled, nanAt] = [0, descending ? 0 : n - nans];
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    if (value === value) {
      keys[filled] = sign * value;
      places[filled++] = i;
    } else result[nanAt++] = i;
  }
  let [nextKeys, nextPlaces] = [new Float64Array(filled), new Int32Array(filled)];
  for (let width = 1; width < filled; width *= 2) {
    mergeRuns(keys, places, nextKeys, nextPlaces, filled, width);
    [keys, nextKeys] = [nextKeys, keys];
    [places, nextPlaces] = [nextPlaces, places];
  }
  result.set(places, first);
  return result;
}

/** Below this share of the line, the best are picked out by a heap rather than by sorting all. */
const heapShare = 1 / 8;

/** The first k places in an order, by a heap that keeps the last of those found so far on top. */
function firstOf(values: Float64Array, k: number, descending: boolean): Int32Array {
  const n = values.length;
  const order = orderOf(values, descending);
  const heap = Int32Array.from({ length: k }, (_, i) => i);
  const sink = (from: number): void => {
    for (let at = from; ;) {
      let child = 2 * at + 1;
      if (child >= k) return;
      if (child + 1 < k && order(heap[child]!, heap[child + 1]!) < 0) child++;
      if (order(heap[at]!, heap[child]!) >= 0) return;
      [heap[at], heap[child]] = [heap[child]!, heap[at]!];
      at = child;
    }
  };
  for (let i = (k >> 1) - 1; i >= 0; i--) sink(i);
  if (k === 0) return heap;
  let last = values[heap[0]!]!;
  for (let i = k; i < n; i++) {
    // Most come after it; what this does not tell of a NaN, the order does.
    if (descending ? values[i]! <= last : values[i]! >= last) continue;
    if (order(i, heap[0]!) >= 0) continue;
    heap[0] = i;
    sink(0);
    last = values[heap[0]]!;
  }
  return heap.sort(order);
}

/** Calls `body` with the values of each line, and writes the places that it gives. */
function placesOfLines(
  x: BufferView,
  output: BufferView,
  axis: number,
  body: (values: Float64Array) => Int32Array,
): void {
  const from = positions(withoutAxis(x, axis));
  const to = positions(withoutAxis(output, axis));
  const [source, target]: [TypedArray, TypedArray] = [arrayOf(x), arrayOf(output)];
  const values = new Float64Array(x.shape[axis]!);
  const [step, outStep] = [x.strides[axis]!, output.strides[axis]!];
  for (let line = 0; line < from.length; line++) {
    for (let i = 0; i < values.length; i++) values[i] = source[from[line]! + i * step]!;
    const places = body(values);
    for (let i = 0; i < places.length; i++) target[to[line]! + i * outStep] = places[i]!;
  }
}

function argSort({ inputs, output, attrs }: KernelCall): void {
  const descending = attrs['descending'] === true;
  placesOfLines(inputs[0]!, output, attrs['axis'] as number, (values) => sorted(values, descending));
}

function argTopK({ inputs, output, attrs }: KernelCall): void {
  const k = attrs['k'] as number;
  const largest = attrs['largest'] === true;
  placesOfLines(inputs[0]!, output, attrs['axis'] as number, (values) => {
    const { length } = values;
    const best =
      k < length * heapShare ? firstOf(values, k, largest) : sorted(values, largest).subarray(0, k);
    return attrs['sorted'] === true ? best : best.sort();
  });
}

export const sortingKernels = { argSort, argTopK, ...scansKernels };
