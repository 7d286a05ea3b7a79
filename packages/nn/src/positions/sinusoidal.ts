/** Sinusoidal positions ("Attention Is All You Need", arXiv 1706.03762, section 3.5). */
import { fromData, ValueError, type CreationOptions, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';

export interface SinusoidalOptions extends CreationOptions {
  /** Default 10000. */
  readonly base?: number;
  /**
   * `interleaved`: sine and cosine of a frequency side by side, at 2i and 2i + 1, as in the paper. `halves`: all sines, then all
   * cosines, as in Transformer-XL and tensor2tensor. Default `interleaved`.
   */
  readonly layout?: 'interleaved' | 'halves';
}

/**
 * sin and cos of position · base^(-2i/dim), for i below dim / 2.
 * @param positions how many from 0 on, or which (any numbers: distances may be negative)
 * @param dim even
 * @returns [positions, dim], computed in f64
 * @throws ValueError for sizes, bases and layouts that are none
 */
export function sinusoidalPositions(
  positions: number | readonly number[],
  dim: number,
  { base = 10000, layout = 'interleaved', ...options }: SinusoidalOptions = {},
): Tensor {
  const op = 'sinusoidalPositions';
  if (typeof positions === 'number') checkSizes(op, { positions });
  if (!Number.isInteger(dim) || dim < 2 || dim % 2 !== 0)
    throw new ValueError(op, `dim must be an even integer ≥ 2, got ${dim}`);
  if (!(base > 0 && base < Infinity)) throw new ValueError(op, `base must be a number > 0, got ${base}`);
  if (layout !== 'interleaved' && layout !== 'halves')
    throw new ValueError(op, `layout must be 'interleaved' or 'halves', got '${String(layout)}'`);
  const list = typeof positions === 'number' ? Array.from({ length: positions }, (_, t) => t) : positions;
  const half = dim / 2;
  const data = new Float64Array(list.length * dim);
  list.forEach((position, t) => {
    for (let i = 0; i < half; i++) {
      const angle = position * base ** (-i / half);
      const [sine, cosine] = layout === 'halves' ? [i, i + half] : [2 * i, 2 * i + 1];
      data[t * dim + sine] = Math.sin(angle);
      data[t * dim + cosine] = Math.cos(angle);
    }
  });
  return fromData(data, [list.length, dim], { dtype: 'f32', ...options });
}
