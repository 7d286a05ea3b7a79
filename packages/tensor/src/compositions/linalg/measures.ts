/** Norms, and what singular values tell. */
import { zeros } from '../../creation.ts';
import { ShapeError, ValueError } from '../../errors.ts';
import { epsilonOf, matrixSizes } from '../../ops/linalg/shapes.ts';
import { normalizeAxis } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { asFloat, floatOf, within } from './support.ts';

/**
 * `fro`: the root of the sum of squares; `nuc`: the sum of the singular values; 2 and -2: the largest and the smallest of them; 1
 * and -1: the largest and the smallest sum of a column's absolute values; Infinity and -Infinity: of a row's.
 */
export type MatrixNormOrder = 'fro' | 'nuc' | number;

/** The norm of matrices in the last two axes, which go away. */
function normOf(x: Tensor, order: MatrixNormOrder): Tensor {
  switch (order) {
    case 'fro':
      return x.norm([-2, -1]);
    case 'nuc':
      return x.svdvals().sum(-1);
    case 2:
      return x.svdvals().max(-1);
    case -2:
      return x.svdvals().min(-1);
    case 1:
      return x.abs().sum(-2).max(-1);
    case -1:
      return x.abs().sum(-2).min(-1);
    case Infinity:
      return x.abs().sum(-1).max(-1);
    case -Infinity:
      return x.abs().sum(-1).min(-1);
    default:
      throw new ValueError('matrixNorm', `no norm of order ${order}`, {
        operands: [x],
        hint: "'fro', 'nuc', 1, -1, 2, -2, Infinity or -Infinity",
      });
  }
}

export const measures = {
  /**
   * The norm (Σ |x|ᵖ)^(1/p) over axes (all of them unless told). Infinity and -Infinity give the largest and the smallest absolute
   * value, 0 the number of elements that are not 0. Where a norm of positive order is 0 its gradient is taken as 0, as is for
   * p < 1 that with respect to an element that is 0.
   * @param order p, any number. Default 2, which is `norm`
   * @throws ValueError where the order is NaN, and for an infinite one of nothing
   * @throws IndexError for an axis out of range
   */
  vectorNorm: (x: Tensor, order = 2, axes?: number | readonly number[], keepDims = false): Tensor =>
    within('vectorNorm', [x], () => {
      if (typeof order !== 'number' || Number.isNaN(order))
        throw new ValueError('vectorNorm', `the order must be a number, got ${String(order)}`, {
          operands: [x],
        });
      const values = asFloat(x);
      if (order === 2) return values.norm(axes, keepDims);
      const sizes = values.abs();
      if (order === Infinity) return sizes.max(axes, keepDims);
      if (order === -Infinity) return sizes.min(axes, keepDims);
      if (order === 1) return sizes.sum(axes, keepDims);
      const gone = sizes.eq(0);
      if (order === 0) return gone.logicalNot().cast(values.dtype).sum(axes, keepDims);
      // A zero makes a norm of negative order zero.
      if (order < 0)
        return sizes
          .pow(order)
          .sum(axes, keepDims)
          .pow(1 / order);
      const sum = gone.where(0, gone.where(1, sizes).pow(order)).sum(axes, keepDims);
      const none = sum.eq(0);
      return none.where(0, none.where(1, sum).pow(1 / order));
    }),

  /**
   * A norm of matrices: see `MatrixNormOrder`.
   * @param order default `fro`
   * @param axes those of the rows and of the columns. Default the last two
   * @throws ValueError for another order, for one axis twice, and where there is no largest or smallest of nothing
   * @throws IndexError for an axis out of range
   */
  matrixNorm: (
    x: Tensor,
    order: MatrixNormOrder = 'fro',
    axes: readonly [rows: number, columns: number] = [-2, -1],
    keepDims = false,
  ): Tensor =>
    within('matrixNorm', [x], () => {
      const [rows, columns] = axes.map((axis) => normalizeAxis('matrixNorm', axis, x)) as [number, number];
      if (rows === columns)
        throw new ValueError('matrixNorm', `axes [${axes.join(', ')}] name one axis twice`, {
          operands: [x],
        });
      const others = x.shape.map((_, i) => i).filter((i) => i !== rows && i !== columns);
      const norm = normOf(asFloat(x).permute([...others, rows, columns]), order);
      return keepDims ? norm.reshape(x.shape.map((n, i) => (others.includes(i) ? n : 1))) : norm;
    }),

  /**
   * The condition number: how many times an error of A's can grow in the solution of A X = B. For 2 (the default) and -2 from
   * the singular values, of matrices of any shape, Infinity where one is 0; for other orders ‖A‖ ‖A⁻¹‖ in that norm.
   * @throws ShapeError for empty matrices
   * @throws ValueError for another order, and where A is to be inverted and singular
   */
  cond: (x: Tensor, order: MatrixNormOrder = 2): Tensor =>
    within('cond', [x], () => {
      const [m, n] = matrixSizes('cond', x);
      if (m * n === 0) throw new ShapeError('cond', 'needs matrices with elements', { operands: [x] });
      if (order !== 2 && order !== -2) return x.matrixNorm(order).mul(x.inverse().matrixNorm(order));
      const s = x.svdvals();
      const [largest, smallest] = [s.select(-1, 0), s.select(-1, -1)];
      return order === 2 ? largest.div(smallest) : smallest.div(largest);
    }),

  /**
   * The rank, i32: how many singular values are above both `atol` and `rtol` times the largest.
   * @param options.atol default 0
   * @param options.rtol default 0 where an atol above 0 is given, else the larger size times the dtype's rounding
   * @throws ValueError where one of the two is negative
   */
  matrixRank: (x: Tensor, { atol = 0, rtol }: { atol?: number; rtol?: number } = {}): Tensor =>
    within('matrixRank', [x], () => {
      const [m, n] = matrixSizes('matrixRank', x);
      const relative = rtol ?? (atol > 0 ? 0 : Math.max(m, n) * epsilonOf(floatOf(x)));
      if (!(atol >= 0 && relative >= 0))
        throw new ValueError('matrixRank', `needs tolerances ≥ 0, got atol ${atol} and rtol ${relative}`, {
          operands: [x],
        });
      if (m * n === 0) return zeros(x.shape.slice(0, -2), { dtype: 'i32', backend: x.backend });
      const s = x.svdvals();
      const least = s.narrow(-1, 0, 1).mul(relative).maximum(atol);
      return s.gt(least).cast('i32').sum(-1);
    }),
};
