/** Equations, inverses, determinants and powers. Matrices are in the last two axes. */
import { ShapeError, ValueError } from '../../errors.ts';
import { matrixSizes, squareSize } from '../../ops/linalg/shapes.ts';
import type { Tensor } from '../../tensor.ts';
import { asFloat, identityBeside, within } from './support.ts';

export interface FactorOptions {
  /** Whether the factor is the upper one, Uᵀ U = A, or the lower, L Lᵀ = A. Default false. */
  readonly upper?: boolean;
}

/** X of L Lᵀ X = B or Uᵀ U X = B. */
function fromFactor(b: Tensor, factor: Tensor, upper: boolean): Tensor {
  const half = factor.triangularSolve(b, { upper, transpose: upper });
  return factor.triangularSolve(half, { upper, transpose: !upper });
}

export const equations = {
  /**
   * The X of A X = B, where `factor` is what `cholesky` made of A. Leading axes broadcast.
   * @param b the right-hand sides [n, k], as in PyTorch the first argument
   * @throws ShapeError where the sizes do not fit
   * @throws ValueError where the factor has a zero on its diagonal
   */
  choleskySolve: (b: Tensor, factor: Tensor, { upper = false }: FactorOptions = {}): Tensor =>
    within('choleskySolve', [b, factor], () => fromFactor(b, factor, upper)),

  /** The inverse of A, from what `cholesky` made of it. */
  choleskyInverse: (factor: Tensor, { upper = false }: FactorOptions = {}): Tensor =>
    within('choleskyInverse', [factor], () =>
      fromFactor(identityBeside(factor, squareSize('choleskyInverse', factor)), factor, upper),
    ),

  /**
   * The X of A X = B, or with `left: false` of X A = B, reading one triangle of A. Leading axes broadcast.
   * @param options.upper which triangle. Default false
   * @param options.unitTriangular take the diagonal for ones, whatever it holds. Default false
   * @throws ShapeError where the sizes do not fit
   * @throws ValueError where the diagonal has a zero
   */
  solveTriangular: (
    a: Tensor,
    b: Tensor,
    {
      upper = false,
      left = true,
      unitTriangular = false,
    }: { upper?: boolean; left?: boolean; unitTriangular?: boolean } = {},
  ): Tensor =>
    within('solveTriangular', [a, b], () => {
      const options = { upper, unitDiagonal: unitTriangular };
      if (left) return a.triangularSolve(b, options);
      return a.triangularSolve(b.transpose(), { ...options, transpose: true }).transpose();
    }),

  /**
   * The inverse of square matrices.
   * @throws ShapeError where they are not square
   * @throws ValueError where one is singular
   */
  inverse: (x: Tensor): Tensor =>
    within('inverse', [x], () => x.solve(identityBeside(x, squareSize('inverse', x)))),

  /**
   * The sign of the determinant, -1, 0 or 1, and the logarithm of its absolute value, for matrices whose determinant may be
   * too large or too small for the dtype. Of a singular matrix: 0 and -Infinity, without a gradient.
   * @throws ShapeError where the matrices are not square
   */
  slogdet: (x: Tensor): { readonly sign: Tensor; readonly logAbsDet: Tensor } =>
    within('slogdet', [x], () => {
      const packed = x.slogdetPacked();
      return { sign: packed.select(-1, 0), logAbsDet: packed.select(-1, 1) };
    }),

  /** The logarithm of the determinant: -Infinity where that is 0, NaN where it is negative. */
  logdet: (x: Tensor): Tensor =>
    within('logdet', [x], () => {
      const { sign, logAbsDet } = x.slogdet();
      return sign.lt(0).where(NaN, logAbsDet);
    }),

  /**
   * Least squares: the X [n, k] of smallest norm among those that make ‖A X - B‖ smallest, for A [m, n] of any shape and rank and
   * B [m, k], or one vector [m]. By way of `pinv`, and improved twice by what is left over. Gradients hold where the rank stays.
   * @param options.rtol singular values up to this times the largest count as 0. Default as for `pinv`
   * @returns the solution; the sum of squares that is left for each right-hand side; the rank; the singular values
   * @throws ShapeError where the sizes do not fit
   */
  lstsq: (
    a: Tensor,
    b: Tensor,
    { rtol }: { rtol?: number } = {},
  ): {
    readonly solution: Tensor;
    readonly residuals: Tensor;
    readonly rank: Tensor;
    readonly singularValues: Tensor;
  } =>
    within('lstsq', [a, b], () => {
      const [m] = matrixSizes('lstsq', a);
      const right = b.rank === 1 ? b.unsqueeze(-1) : b;
      if (right.shape.at(-2) !== m)
        throw new ShapeError('lstsq', `${right.shape.at(-2)} rows on the right for ${m} on the left`, {
          operands: [a, b],
        });
      const inverse = a.pinv(rtol);
      let x = inverse.matmul(right);
      for (let step = 0; step < 2; step++) x = x.add(inverse.matmul(right.sub(a.matmul(x))));
      const residuals = a.matmul(x).sub(right).square().sum(-2);
      const singularValues = a.svdvals();
      return {
        solution: b.rank === 1 ? x.squeeze(-1) : x,
        residuals: b.rank === 1 ? residuals.squeeze(-1) : residuals,
        rank: a.matrixRank(rtol === undefined ? {} : { rtol }),
        singularValues,
      };
    }),

  /**
   * Square matrices multiplied with themselves n times, by squaring; the identity for 0, powers of the inverse for n < 0.
   * @throws ShapeError where they are not square
   * @throws ValueError where n is no integer, or n < 0 and a matrix is singular
   */
  matrixPower: (x: Tensor, n: number): Tensor =>
    within('matrixPower', [x], () => {
      const size = squareSize('matrixPower', x);
      if (!Number.isInteger(n))
        throw new ValueError('matrixPower', `needs an integer, got ${n}`, { operands: [x] });
      if (n === 0) return identityBeside(x, size).expand(x.shape);
      let square = n < 0 ? x.inverse() : asFloat(x);
      let result: Tensor | null = null;
      for (let rest = Math.abs(n); ; square = square.matmul(square)) {
        if (rest % 2 === 1) result = result ? result.matmul(square) : square;
        rest = Math.floor(rest / 2);
        if (rest === 0) return result!;
      }
    }),
};
