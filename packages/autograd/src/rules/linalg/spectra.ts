/** Derivatives of eigenvalues, singular values and their vectors. */
import { scalar, type Tensor } from '@infinigrad/tensor';
import { fromOutput } from '../rule.ts';
import { identityLike, symmetricPart, times } from './parts.ts';

/**
 * x / gap, but 0 where `idle`. Where a gap is 0 and the place not idle the derivative does not exist, and the quotient
 * (±Infinity or NaN) says so.
 */
function overGap(x: Tensor, gap: Tensor, idle: Tensor): Tensor {
  const zero = scalar(0, x.dtype, x.backend);
  return idle.where(zero, x.div(idle.where(1, gap)));
}

const diagonalOf = (values: Tensor): Tensor => identityLike(values).mul(values);

/** 1 on the diagonal, and where two values are equal and no gradient of a vector comes from either side. */
function idlePlaces(gap: Tensor, ...sources: readonly Tensor[]): Tensor {
  const untouched = sources.reduce<Tensor>(
    (mask, x) => mask.logicalAnd(x.eq(0)).logicalAnd(x.transpose().eq(0)),
    gap.eq(0),
  );
  return identityLike(gap).ne(0).logicalOr(untouched);
}

export const spectra = {
  // gA = V (diag(gλ) + F ∘ (Vᵀ gV)) Vᵀ, Fᵢⱼ = 1/(λⱼ - λᵢ) off the diagonal (Giles 2008, 3.1)
  eighPacked: fromOutput((g, y) => {
    const n = y.shape.at(-1)!;
    const [values, vectors] = y.split([1, n], -2) as [Tensor, Tensor];
    const [gValues, gVectors] = g.split([1, n], -2) as [Tensor, Tensor];
    const gap = values.sub(values.transpose());
    const turns = times(vectors.transpose(), gVectors);
    const middle = diagonalOf(gValues).add(overGap(turns, gap, idlePlaces(gap, turns)));
    return symmetricPart(times(vectors, middle, vectors.transpose()));
  }),
  // gA = U ((skew(Uᵀ gU) S + S skew(Vᵀ gV)) / E + diag(gs)) Vᵀ + (I - U Uᵀ) gU S⁻¹ Vᵀ + U S⁻¹ gVᵀ (I - V Vᵀ),
  // Eᵢⱼ = sⱼ² - sᵢ² off the diagonal, skew(X) = X - Xᵀ (Townsend 2016, (18))
  svdPacked: fromOutput((g, y, c) => {
    const [m, n] = c.shapes[0]!.slice(-2) as [number, number];
    const k = Math.min(m, n);
    const [s, u, v] = y.split([1, m, n], -2) as [Tensor, Tensor, Tensor];
    const [gs, gu, gv] = g.split([1, m, n], -2) as [Tensor, Tensor, Tensor];
    const [uu, vv] = [times(u.transpose(), gu), times(v.transpose(), gv)];
    const skew = (x: Tensor): Tensor => x.sub(x.transpose());
    const gap = s.square().sub(s.square().transpose());
    const turns = skew(uu).mul(s).add(skew(vv).mul(s.transpose()));
    const middle = diagonalOf(gs).add(overGap(turns, gap, idlePlaces(gap, uu, vv)));
    let gA = times(u, middle, v.transpose());
    // What of a vector's gradient points out of the space that they span; there is nothing outside where they span all.
    const outside = (vectors: Tensor, gradient: Tensor, inner: Tensor): Tensor => {
      const out = gradient.sub(times(vectors, inner));
      return overGap(out, s, s.eq(0).logicalAnd(out.eq(0)));
    };
    if (m > k) gA = gA.add(times(outside(u, gu, uu), v.transpose()));
    if (n > k) gA = gA.add(times(u, outside(v, gv, vv).transpose()));
    return gA;
  }),
};
