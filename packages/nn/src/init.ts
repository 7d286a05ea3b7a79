/** Initial values of weights. */
import { isHalf, ValueError, type FloatDType, type Key, type Shape, type Tensor } from '@infinigrad/tensor';

/** Standard deviation of normal initial weights: a number, or a function of the number of inputs of the layer. */
export type InitStd = number | ((fanIn: number) => number);

/**
 * Normal with standard deviation `std` where given, else uniform within ±1/√fanIn (PyTorch's default for linear layers).
 * f16 and bf16 are drawn in f32 and rounded: of their own they would be drawn from a coarse grid.
 */
export function initialWeight(
  key: Key,
  shape: Shape,
  fanIn: number,
  std: InitStd | undefined,
  dtype: FloatDType,
): Tensor {
  if (std !== undefined) return key.normal(shape, { std: typeof std === 'number' ? std : std(fanIn), dtype });
  if (isHalf(dtype)) return initialWeight(key, shape, fanIn, std, 'f32').cast(dtype);
  const bound = 1 / Math.sqrt(fanIn);
  return key.uniform(shape, { min: -bound, max: bound, dtype });
}

/** Throws a ValueError that names the layer unless every size is an integer ≥ 1. */
export function checkSizes(layer: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes))
    if (!Number.isInteger(size) || size < 1)
      throw new ValueError(layer, `${name} must be an integer ≥ 1, got ${size}`);
}

/** Throws a ValueError that names the layer unless eps is a number ≥ 0. */
export function checkEps(layer: string, eps: number): void {
  if (!(eps >= 0 && eps < Infinity)) throw new ValueError(layer, `eps must be a number ≥ 0, got ${eps}`);
}
