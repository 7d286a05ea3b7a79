/** What is there, how often, and how it varies together; comparisons that allow for rounding. */
import { isFloat } from '../dtype.ts';
import { ShapeError, ValueError } from '../errors.ts';
import type { Operand } from '../ops/record.ts';
import { normalizeAxes } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { asFloat } from './linalg/support.ts';
import { within } from './within.ts';

type Axes = number | readonly number[];

export interface IsCloseOptions {
  /** What is allowed for each unit of |other|. Default 1e-5. */
  readonly rtol?: number;
  /** What is allowed in any case. Default 1e-8. */
  readonly atol?: number;
  /** Whether one NaN is close to another. Default false. */
  readonly equalNaN?: boolean;
}

export interface CovarianceOptions {
  /** The sum of products is divided by the number of observations less this. Default 1. */
  readonly correction?: number;
}

/** One variable a row; a vector is one variable. */
function variables(op: string, x: Tensor): Tensor {
  if (x.rank !== 1 && x.rank !== 2) throw new ShapeError(op, 'needs one variable a row', { operands: [x] });
  return asFloat(x.rank === 1 ? x.unsqueeze(0) : x);
}

function covariance(rows: Tensor, correction: number): Tensor {
  const apart = rows.sub(rows.mean(-1, true));
  return apart.matmul(apart.transpose()).div(Math.max(0, rows.shape[1]! - correction));
}

export const statisticsMethods = {
  /** How many elements over axes (all of them unless told) are not 0; NaN is not. */
  countNonzero: (x: Tensor, axes?: Axes, keepDims = false): Tensor =>
    within('countNonzero', [x], () => x.ne(0).sum(axes, keepDims)),

  /** The sum over axes (all of them unless told) of what is not NaN. */
  nanSum: (x: Tensor, axes?: Axes, keepDims = false): Tensor =>
    within('nanSum', [x], () => x.isNaN().where(0, x).sum(axes, keepDims)),

  /** The mean over axes (all of them unless told) of what is not NaN; NaN where nothing is left. */
  nanMean: (x: Tensor, axes?: Axes, keepDims = false): Tensor => {
    const list = normalizeAxes('nanMean', axes, x);
    return x.nanSum(list, keepDims).div(x.isNaN().logicalNot().sum(list, keepDims));
  },

  /**
   * The covariances [n, n] of n variables of m observations each, [n, m], one variable a row; the variance of a vector (PyTorch's cov,
   * NumPy's without bias). Integers in f32.
   * @throws ShapeError for other ranks
   */
  cov: (x: Tensor, { correction = 1 }: CovarianceOptions = {}): Tensor => {
    const matrix = covariance(variables('cov', x), correction);
    return x.rank === 1 ? matrix.reshape([]) : matrix;
  },

  /**
   * The correlations [n, n], from -1 to 1, of n variables of m observations each, [n, m], one variable a row. NaN beside a variable
   * that does not vary.
   * @throws ShapeError for other ranks
   */
  corrcoef: (x: Tensor): Tensor => {
    const matrix = covariance(variables('corrcoef', x), 0);
    const deviations = matrix.diagonal().sqrt();
    const result = matrix.div(deviations.unsqueeze(1)).div(deviations).clip(-1, 1);
    return x.rank === 1 ? result.reshape([]) : result;
  },

  /**
   * Where |x - other| ≤ atol + rtol · |other|, or both are the same infinity. `isClose(y).all()` is PyTorch's allclose.
   * @throws ValueError for a tolerance that is negative or NaN
   */
  isClose: (
    x: Tensor,
    other: Operand,
    { rtol = 1e-5, atol = 1e-8, equalNaN = false }: IsCloseOptions = {},
  ): Tensor => {
    if (!(rtol >= 0 && atol >= 0))
      throw new ValueError('isClose', `needs tolerances ≥ 0, got rtol ${rtol} and atol ${atol}`);
    return within('isClose', other instanceof Tensor ? [x, other] : [x], () => {
      // Integers of any size have room in f64.
      const wide = (t: Tensor): Tensor => (isFloat(t.dtype) ? t : t.cast('f64'));
      const a = wide(x);
      const b = other instanceof Tensor ? wide(other) : other;
      const apart = a.sub(b).abs();
      const allowed = b instanceof Tensor ? b.abs().mul(rtol).add(atol) : Math.abs(Number(b)) * rtol + atol;
      const close = a.eq(b).logicalOr(apart.isFinite().logicalAnd(apart.le(allowed)));
      if (!equalNaN) return close;
      return close.logicalOr(a.isNaN().logicalAnd(b instanceof Tensor ? b.isNaN() : Number.isNaN(b)));
    });
  },
};
