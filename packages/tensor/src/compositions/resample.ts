/** Weighted sums of neighbours along one axis: what resizing along an axis comes down to. */
import { fromData } from '../creation.ts';
import { isFloat } from '../dtype.ts';
import type { Tensor } from '../tensor.ts';

/** For each element of the result, the place of the first element that it is made of, and their weights. */
export type Taps = readonly { readonly start: number; readonly weights: readonly number[] }[];

/** Taps in one length: places (-1 where there is none) and weights, row-major [count, taps]: the first of each, the second, … */
export function uniformTaps(taps: Taps): { index: Int32Array; weights: Float64Array; count: number } {
  const count = taps.reduce((most, { weights }) => Math.max(most, weights.length), 1);
  const index = new Int32Array(taps.length * count).fill(-1);
  const weights = new Float64Array(taps.length * count);
  taps.forEach(({ start, weights: own }, i) =>
    own.forEach((weight, k) => {
      index[k * taps.length + i] = start + k;
      weights[k * taps.length + i] = weight;
    }),
  );
  return { index, weights, count };
}

/** Picks one element of an axis for each element of the result. */
export function pick(x: Tensor, axis: number, places: readonly number[]): Tensor {
  return x.indexSelect(axis, fromData(Int32Array.from(places), [places.length], { backend: x.backend }));
}

/** Each element of the result a weighted sum of neighbours; in the dtype of x, or f32 for integers. */
export function resample(x: Tensor, axis: number, taps: Taps): Tensor {
  const { index, weights, count } = uniformTaps(taps);
  // A weight of 0 stands on an element that is in the sum anyway: one that is not might be NaN.
  const line = taps.length;
  for (let i = line; i < index.length; i++) if (index[i] === -1) index[i] = index[i - line]!;
  const shape = [count, line];
  const { backend } = x;
  const picked = x.indexSelect(axis, fromData(index, shape, { backend }));
  const dtype = x.dtype === 'f64' ? 'f64' : 'f32';
  const factors = fromData(weights, [...shape, ...new Array<number>(x.rank - axis - 1).fill(1)], {
    dtype,
    backend,
  });
  const y = picked.mul(factors).sum(axis);
  return isFloat(x.dtype) && y.dtype !== x.dtype ? y.cast(x.dtype) : y;
}
