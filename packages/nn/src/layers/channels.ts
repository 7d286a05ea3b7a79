/** What normalisation over channels shares: x is [batch, channels, …]. */
import { isHalf, ShapeError, type DType, type Tensor } from '@infinigrad/tensor';

/** A vector with an entry for each channel, as it broadcasts against x. */
export function alongChannels(vector: Tensor, rank: number): Tensor {
  return vector.reshape(Array.from({ length: rank }, (_, i) => (i === 1 ? -1 : 1)));
}

/** y · weight + bias, each with an entry for each channel. */
export function scaleAndShift(y: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const scaled = weight ? y.mul(alongChannels(weight, y.rank)) : y;
  return bias ? scaled.add(alongChannels(bias, y.rank)) : scaled;
}

/** Throws a ShapeError that names the layer unless x has so many channels. */
export function checkChannels(layer: string, x: Tensor, channels: number): void {
  if (x.shape[1] !== channels)
    throw new ShapeError(layer, `needs [batch, ${channels}, …]`, { operands: [x] });
}

/** x in f32 where it is of 16 bits: a chain of ops is then rounded once. */
export const widened = (x: Tensor): Tensor => (isHalf(x.dtype) ? x.cast('f32') : x);

export const castTo = (x: Tensor, dtype: DType): Tensor => (x.dtype === dtype ? x : x.cast(dtype));

/** Mean and variance (of the population) over some axes, which stay with size 1, and x without the mean. */
export function momentsOf(
  x: Tensor,
  axes: readonly number[],
): { readonly mean: Tensor; readonly variance: Tensor; readonly centred: Tensor } {
  const mean = x.mean(axes, true);
  const centred = x.sub(mean);
  return { mean, centred, variance: centred.square().mean(axes, true) };
}

/** 2, 3, … up to the rank of x: the axes of places. */
export const placeAxes = (x: Tensor): number[] =>
  Array.from({ length: Math.max(0, x.rank - 2) }, (_, i) => i + 2);
