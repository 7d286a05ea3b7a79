/** Sinusoidal positions ("Attention Is All You Need", arXiv 1706.03762, section 3.5). */
import {
  concat,
  fromData,
  ShapeError,
  stack,
  ValueError,
  type CreationOptions,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { checkPositions, knownPositions, type Positions } from './positions.ts';

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

/** Adds sinusoidal positions to the vectors of tokens; nothing is learned. */
export class SinusoidalPositions extends Module {
  readonly dim: number;
  readonly base: number;
  readonly layout: 'interleaved' | 'halves';

  /** @param dim even; options as in `sinusoidalPositions` */
  constructor(
    dim: number,
    { base = 10000, layout = 'interleaved' }: Pick<SinusoidalOptions, 'base' | 'layout'> = {},
  ) {
    super();
    sinusoidalPositions(1, dim, { base, layout });
    this.dim = dim;
    this.base = base;
    this.layout = layout;
  }

  /**
   * @param x [..., T, dim], or [batch, T, dim] where positions are of each row
   * @throws ShapeError, DTypeError, ValueError for vectors and positions that do not fit
   */
  forward(x: Tensor, positions: Positions = 0): Tensor {
    const { dim } = this;
    if (x.rank < 2 || x.shape.at(-1) !== dim)
      throw new ShapeError('SinusoidalPositions', `needs [..., T, ${dim}]`, { operands: [x] });
    const length = x.shape.at(-2)!;
    checkPositions('SinusoidalPositions', positions, length, x.rank === 3 ? x.shape[0]! : null);
    const known = knownPositions(positions, length);
    if (!known) return x.add(this.#computed(positions as Tensor, x.dtype as FloatDType));
    const { dtype, backend } = x;
    const { base, layout } = this;
    const vectors = sinusoidalPositions([...known.numbers], dim, { base, layout, dtype, backend });
    return x.add(vectors.reshape([...known.shape, dim]));
  }

  /** Where positions cannot be read at once: on their backend. */
  #computed(positions: Tensor, dtype: FloatDType): Tensor {
    const half = this.dim / 2;
    const frequencies = Float64Array.from({ length: half }, (_, i) => this.base ** (-i / half));
    const { backend } = positions;
    const angles = positions
      .cast(dtype)
      .unsqueeze(-1)
      .mul(fromData(frequencies, [half], { dtype, backend }));
    const parts = [angles.sin(), angles.cos()];
    return this.layout === 'halves'
      ? concat(parts, -1)
      : stack(parts, -1).reshape([...positions.shape, this.dim]);
  }
}
