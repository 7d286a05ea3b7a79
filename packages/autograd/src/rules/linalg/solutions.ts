/** Derivatives of solutions, determinants and the pseudo-inverse. G is the gradient of the result, X the result. */
import { ops, type Tensor } from '@infinigrad/tensor';
import { fromBoth, fromInput, sumTo, type DifferentiableRule, type RuleContext } from '../rule.ts';
import { identityLike, times } from './parts.ts';

const inverseTransposed = (a: Tensor): Tensor => a.transpose().solve(identityLike(a));

/** A X = B: dB = A⁻ᵀ G, dA = -dB Xᵀ (Giles 2008, 2.3.1). */
const equations = (
  transposedSolution: (g: Tensor, c: RuleContext) => Tensor,
  ofMatrix: (dB: Tensor, x: Tensor, c: RuleContext) => Tensor,
): DifferentiableRule => {
  const right = (g: Tensor, c: RuleContext): Tensor => c.once(g, () => transposedSolution(g, c));
  return {
    kind: 'differentiable',
    saves: { inputs: [0], output: true },
    inputs: [
      (g, c) => sumTo(ofMatrix(right(g, c), c.output(), c), c.shapes[0]!),
      (g, c) => sumTo(right(g, c), c.shapes[1]!),
    ],
  };
};

interface Triangle {
  readonly upper: boolean;
  readonly transpose: boolean;
  readonly unitDiagonal: boolean;
}

export const solutions = {
  solve: equations(
    (g, c) => c.input(0).transpose().solve(g),
    (dB, x) => times(dB, x.transpose()).neg(),
  ),
  // As above; of A only the triangle that is read has a gradient. With Aᵀ X = B: dA = -X dBᵀ.
  triangularSolve: equations(
    (g, c) => {
      const { transpose, ...rest } = c.attrs as unknown as Triangle;
      return c.input(0).triangularSolve(g, { ...rest, transpose: !transpose });
    },
    (dB, x, c) => {
      const { upper, transpose, unitDiagonal } = c.attrs as unknown as Triangle;
      const dA = (transpose ? times(x, dB.transpose()) : times(dB, x.transpose())).neg();
      const off = unitDiagonal ? 1 : 0;
      return upper ? dA.triu(off) : dA.tril(-off);
    },
  ),
  // P = A⁺: dA = -Pᵀ G Pᵀ + (I - A P) Gᵀ P Pᵀ + Pᵀ P Gᵀ (I - P A) (Golub & Pereyra 1973, 4.12), where the rank stays.
  pinv: fromBoth((g, a, p) => {
    const [pt, gt] = [p.transpose(), g.transpose()];
    // Products from the left or the right, so that none is larger than A.
    const left = times(gt, p, pt);
    const right = times(pt, p, gt);
    return left
      .sub(times(a, times(p, left)))
      .add(right.sub(times(times(right, p), a)))
      .sub(times(pt, g, pt));
  }),
  det: fromInput((g, a) => g.unsqueeze(-1).unsqueeze(-1).mul(a.cofactor())),
  // log |det A|: A⁻ᵀ. The sign stays as it is.
  slogdetPacked: fromInput((g, a) => g.narrow(-1, 1, 1).unsqueeze(-1).mul(inverseTransposed(a))),
  // C = det(A) A⁻ᵀ: dA = (⟨G, C⟩ I - C Gᵀ) A⁻ᵀ
  cofactor: {
    kind: 'differentiable',
    saves: { inputs: 'all', output: true },
    inputs: [
      (g, call) => {
        const [a, c] = [call.input(0), call.output()];
        const along = g.mul(c).sum([-2, -1], true);
        return times(identityLike(a).mul(along).sub(times(c, g.transpose())), inverseTransposed(a));
      },
    ],
  } satisfies DifferentiableRule as DifferentiableRule,
  // exp(Aᵀ) in the direction of G: the upper right block of exp [Aᵀ G; 0 Aᵀ] (Al-Mohy & Higham 2009, (1.8)). It is linear
  // in G, which is brought to the size of 1, so that it does not call for squarings of its own.
  matrixExp: fromInput((g, a) => {
    const n = a.shape.at(-1)!;
    if (a.size === 0) return g;
    const largest = g.detach().abs().max();
    const scale = largest.gt(0).logicalAnd(largest.isFinite()).where(largest, 1);
    const at = a.transpose();
    const top = ops.concat([at, g.div(scale)], -1);
    const bottom = ops.concat([at.mul(0), at], -1);
    return ops.concat([top, bottom], -2).matrixExp().narrow(-2, 0, n).narrow(-1, n, n).mul(scale);
  }),
};
