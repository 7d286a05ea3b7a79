/** The parts of factorisations. Every function takes matrices in the last two axes, any number of them before those. */
import { apply } from '../../apply.ts';
import { ValueError } from '../../errors.ts';
import { matrixSizes, squareSize } from '../../ops/linalg/shapes.ts';
import type { Tensor } from '../../tensor.ts';
import { identityBeside, within } from './support.ts';

const join = (parts: readonly Tensor[], axis: number): Tensor => apply('concat', parts, { axis });

/** Orthonormal columns with what is missing to a whole basis. */
const completed = (q: Tensor): Tensor => join([q, q.orthogonalComplement()], -1);

export const factors = {
  /**
   * A = Q R for matrices [m, n] of any shape: q [m, k] with orthonormal columns and r [k, n] upper triangular, its diagonal
   * ≥ 0, with k = min(m, n). By Householder's mirrors. Where the first k columns of A are independent the two are unique, and
   * only there do they have gradients.
   * @param options.mode `complete` makes q [m, m] and r [m, n]; where m > n that has no gradient. Default `reduced`
   * @throws ShapeError for fewer than two axes
   */
  qr: (
    x: Tensor,
    { mode = 'reduced' }: { mode?: 'reduced' | 'complete' } = {},
  ): { readonly q: Tensor; readonly r: Tensor } =>
    within('qr', [x], () => {
      if (mode !== 'reduced' && mode !== 'complete')
        throw new ValueError('qr', `the mode is reduced or complete, got ${String(mode)}`, { operands: [x] });
      const [m, n] = matrixSizes('qr', x);
      const k = Math.min(m, n);
      const packed = x.narrow(-1, 0, k).qrPacked();
      const q = packed.narrow(-2, 0, m);
      const r = packed.narrow(-2, m, k).transpose();
      if (n > m) return { q, r: join([r, q.transpose().matmul(x.narrow(-1, m, n - m))], -1) };
      if (mode === 'reduced' || m === n) return { q, r };
      const frame = x.shape.slice(0, -2).map(() => [0, 0] as const);
      return { q: completed(q), r: r.pad([...frame, [0, m - n]]) };
    }),

  /**
   * A = P L U for matrices [m, n] of any shape, with partial pivoting: a permutation p [m, m], l [m, k] with ones on its
   * diagonal and no element above 1 in size, u [k, n]; k = min(m, n). The permutation has no gradient.
   * @throws ShapeError for fewer than two axes
   */
  lu: (x: Tensor): { readonly p: Tensor; readonly l: Tensor; readonly u: Tensor } =>
    within('lu', [x], () => {
      const [m, n] = matrixSizes('lu', x);
      const k = Math.min(m, n);
      const order = x.luPermutation().unsqueeze(-1);
      const packed = x.takeAlongAxis(order, -2).luPacked();
      const rows = identityBeside(x, m).expand([...x.shape.slice(0, -2), m, m]);
      return {
        p: rows.takeAlongAxis(order, -2).transpose(),
        l: packed
          .narrow(-1, 0, k)
          .tril(-1)
          .add(identityBeside(x, m, k)),
        u: packed.narrow(-2, 0, k).triu(),
      };
    }),

  /**
   * Eigenvalues [n], ascending, and eigenvectors [n, n], orthonormal columns, of symmetric matrices: of (A + Aᵀ)/2. The sign of
   * each vector is chosen as `eighPacked` says. Vectors have gradients where the eigenvalues differ; elsewhere they come out as
   * NaN or infinite, but for those of the eigenvalues alone.
   * @throws ShapeError where the matrices are not square
   * @throws ValueError where an element is NaN or infinite
   */
  eigh: (x: Tensor): { readonly values: Tensor; readonly vectors: Tensor } =>
    within('eigh', [x], () => {
      const n = squareSize('eigh', x);
      const packed = x.eighPacked();
      return { values: packed.select(-2, 0), vectors: packed.narrow(-2, 1, n) };
    }),

  /** The eigenvalues of `eigh` alone. */
  eigvalsh: (x: Tensor): Tensor => within('eigvalsh', [x], () => x.eighPacked().select(-2, 0)),

  /**
   * A = U diag(s) Vᵀ for matrices [m, n] of any shape: u [m, k] and vh = Vᵀ [k, n] with orthonormal columns and rows, s [k]
   * descending; k = min(m, n). The sign of each pair of vectors is chosen as `svdPacked` says. Vectors have gradients where the
   * singular values differ, and where they are not 0 unless A is square.
   * @param options.fullMatrices u [m, m] and vh [n, n]; where that makes them larger they have no gradient. Default false
   * @throws ShapeError for fewer than two axes
   * @throws ValueError where an element is NaN or infinite
   */
  svd: (
    x: Tensor,
    { fullMatrices = false }: { fullMatrices?: boolean } = {},
  ): { readonly u: Tensor; readonly s: Tensor; readonly vh: Tensor } =>
    within('svd', [x], () => {
      const [m, n] = matrixSizes('svd', x);
      const packed = x.svdPacked();
      const u = packed.narrow(-2, 1, m);
      const v = packed.narrow(-2, 1 + m, n);
      return {
        u: fullMatrices && m > n ? completed(u) : u,
        s: packed.select(-2, 0),
        vh: (fullMatrices && n > m ? completed(v) : v).transpose(),
      };
    }),

  /** The singular values of `svd` alone. */
  svdvals: (x: Tensor): Tensor => within('svdvals', [x], () => x.svdPacked().select(-2, 0)),
};
