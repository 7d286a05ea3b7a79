/** ALiBi: scores fall with distance, linearly (arXiv 2108.12409). */
import { arange, tensor, type CreationOptions, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import type { ScorePositions } from './score-positions.ts';

/**
 * A slope for each head: 2^(-8/n), 2^(-16/n), …, 2^-8 for n heads, n a power of two. For other numbers those of the power
 * below, and between them the odd ones of the power above, as in the paper's code.
 */
export function alibiSlopes(heads: number): number[] {
  checkSizes('alibiSlopes', { heads });
  const power = 2 ** Math.floor(Math.log2(heads));
  const slopes = (n: number): number[] => Array.from({ length: n }, (_, i) => 2 ** ((-8 * (i + 1)) / n));
  const between = slopes(2 * power).filter((_, i) => i % 2 === 0);
  return [...slopes(power), ...between.slice(0, heads - power)];
}

/**
 * -slope · |distance| of query i and key j, the last ones side by side.
 * @returns [heads, queries, keys]
 */
export function alibiBias(
  heads: number,
  queries: number,
  keys: number,
  options: CreationOptions = {},
): Tensor {
  const { dtype = 'f32', ...rest } = options;
  const slopes = tensor(alibiSlopes(heads), { dtype, ...rest }).reshape([heads, 1, 1]);
  const count = (from: number, size: number): Tensor => arange(from, from + size, 1, { dtype, ...rest });
  const distances = count(keys - queries, queries)
    .unsqueeze(1)
    .sub(count(0, keys))
    .abs();
  return slopes.mul(distances).neg();
}

/** ALiBi for the scores of `MultiHeadAttention`. */
export class Alibi implements ScorePositions {
  readonly heads: number;

  constructor(heads: number) {
    checkSizes('Alibi', { heads });
    this.heads = heads;
  }

  bias({ shape, dtype, backend }: Tensor, keys: number): Tensor {
    return alibiBias(this.heads, shape.at(-2)!, keys, { dtype, backend });
  }
}
