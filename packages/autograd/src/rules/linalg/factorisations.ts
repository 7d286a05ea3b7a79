/** Derivatives of factorisations by elimination and by mirrors. A gradient of a part is written with a g in front: gL. */
import { concat, type Tensor } from '@infinigrad/tensor';
import { fromOutput, notDifferentiable } from '../rule.ts';
import { identityLike, lowerHalf, symmetricPart, times } from './parts.ts';

/** X A⁻¹ for a triangle A. */
const divideRight = (x: Tensor, a: Tensor, options: { upper: boolean; unitDiagonal?: boolean }): Tensor =>
  a.triangularSolve(x.transpose(), { ...options, transpose: true }).transpose();

/** The same for A⁻ᵀ. */
const divideRightTransposed = (
  x: Tensor,
  a: Tensor,
  options: { upper: boolean; unitDiagonal?: boolean },
): Tensor => a.triangularSolve(x.transpose(), options).transpose();

const unitLower = { upper: false, unitDiagonal: true } as const;
const upper = { upper: true } as const;

/** A = L U with a square L and U: gA = L⁻ᵀ (tril(Lᵀ gL, -1) + triu(gU Uᵀ)) U⁻ᵀ (as Giles 2008 does for Cholesky's). */
function squareLu(packed: Tensor, gL: Tensor, gU: Tensor): Tensor {
  const l = packed.tril(-1).add(identityLike(packed));
  const u = packed.triu();
  const middle = times(l.transpose(), gL).tril(-1).add(times(gU, u.transpose()).triu());
  const left = packed.triangularSolve(middle, { ...unitLower, transpose: true });
  return divideRightTransposed(left, packed, upper);
}

export const factorisations = {
  // L Lᵀ = A: gA = ½ (S + Sᵀ), S = L⁻ᵀ Φ(Lᵀ gL) L⁻¹, Φ the lower triangle with half the diagonal (Murray 2016, (8))
  cholesky: fromOutput((g, y, c) => {
    const isUpper = c.attrs['upper'] === true;
    const [l, gL] = isUpper ? [y.transpose(), g.transpose()] : [y, g];
    const middle = lowerHalf(times(l.transpose(), gL));
    const left = l.triangularSolve(middle, { upper: false, transpose: true });
    return symmetricPart(divideRight(left, l, { upper: false }));
  }),
  luPermutation: notDifferentiable('the result is an order of rows'),
  luPacked: fromOutput((g, y) => {
    const [m, n] = y.shape.slice(-2) as [number, number];
    const k = Math.min(m, n);
    const square = y.narrow(-2, 0, k).narrow(-1, 0, k);
    const gSquare = g.narrow(-2, 0, k).narrow(-1, 0, k);
    if (m > n) {
      // Below the square: L₂ = A₂ U⁻¹, gA₂ = gL₂ U⁻ᵀ, and U gets -L₂ᵀ gA₂ more.
      const gA2 = divideRightTransposed(g.narrow(-2, k, m - k), square, upper);
      const more = times(y.narrow(-2, k, m - k).transpose(), gA2);
      return concat([squareLu(square, gSquare, gSquare.sub(more)), gA2], -2);
    }
    if (m < n) {
      // Beside the square: U₂ = L⁻¹ A₂, gA₂ = L⁻ᵀ gU₂, and L gets -gA₂ U₂ᵀ more.
      const gA2 = square.triangularSolve(g.narrow(-1, k, n - k), { ...unitLower, transpose: true });
      const more = times(gA2, y.narrow(-1, k, n - k).transpose());
      return concat([squareLu(square, gSquare.sub(more), gSquare), gA2], -1);
    }
    return squareLu(square, gSquare, gSquare);
  }),
  // gA = (gQ + Q sym(M)) R⁻ᵀ, M = R gRᵀ - gQᵀ Q, sym copying the lower triangle up (Walter & Lehmann 2018, 4)
  qrPacked: fromOutput((g, y) => {
    const n = y.shape.at(-1)!;
    const m = y.shape.at(-2)! - n;
    const [q, gQ] = [y.narrow(-2, 0, m), g.narrow(-2, 0, m)];
    const [rt, gRt] = [y.narrow(-2, m, n), g.narrow(-2, m, n)];
    const middle = times(rt.transpose(), gRt).sub(times(gQ.transpose(), q)).tril();
    const symmetric = middle.add(middle.tril(-1).transpose());
    return divideRight(gQ.add(times(q, symmetric)), rt, { upper: false });
  }),
  orthogonalComplement: notDifferentiable('the basis is one of many, and jumps from one to another'),
};
