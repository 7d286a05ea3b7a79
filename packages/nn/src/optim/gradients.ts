/** What a step does with gradients before an optimizer sees them: their share, their norm, clipping. */
import { NumericError, ValueError, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { checkMaxNorm, clipFactor, clipFactorLater, squaredNorms } from './clip.ts';
import { times } from './wide.ts';

export interface ClippingOptions {
  /** Gradients are scaled down together where their common 2-norm is above this. Default: never. */
  readonly maxGradNorm?: number;
  /** Elements of gradients are brought into [-maxGradValue, maxGradValue]. Default: never. Not together with maxGradNorm. */
  readonly maxGradValue?: number;
}

/** @throws ValueError for limits that are not > 0, or both */
export function checkClipping(op: string, { maxGradNorm, maxGradValue }: ClippingOptions): void {
  if (maxGradNorm !== undefined) checkMaxNorm(op, maxGradNorm);
  if (maxGradValue !== undefined && !(maxGradValue > 0))
    throw new ValueError(op, `maxGradValue must be > 0, got ${maxGradValue}`);
  if (maxGradNorm !== undefined && maxGradValue !== undefined)
    throw new ValueError(op, 'takes maxGradNorm or maxGradValue, not both');
}

/** Gradients as a step takes them: what counts is `adjust` of a gradient, times `scale`. */
export interface Clipping {
  readonly scale: number;
  adjust(gradient: Tensor): Tensor;
}

/**
 * @param share what all gradients are multiplied by first
 * @param norm of all of them after that; null where it is not known yet
 */
export function clipping(
  { maxGradNorm, maxGradValue }: ClippingOptions,
  gradients: readonly Tensor[],
  share: number,
  norm: number | null,
): Clipping {
  if (maxGradValue !== undefined)
    return {
      scale: 1,
      adjust: (g) => times(g, share).minimum(maxGradValue).maximum(-maxGradValue),
    };
  if (maxGradNorm === undefined || gradients.length === 0) return { scale: share, adjust: (g) => g };
  if (norm !== null) return { scale: share * clipFactor(norm, maxGradNorm), adjust: (g) => g };
  const later = clipFactorLater(gradients, maxGradNorm / share);
  return { scale: share, adjust: (g) => g.mul(later) };
}

/** The 2-norm of the gradients of parameters that have one. @throws NumericError where it is not finite */
export function finiteNorm(op: string, held: readonly Parameter[], step: number): number {
  const squares = squaredNorms(held.map(({ grad }) => grad!));
  const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  if (!Number.isFinite(norm)) {
    const culprit = held[squares.findIndex((square) => !Number.isFinite(square))];
    const where = culprit ? ', first in the parameter' : '';
    throw new NumericError(op, `the norm of the gradients is ${norm} at step ${step}${where}`, {
      operands: culprit ? [culprit] : [],
      hint: 'nothing was changed',
    });
  }
  return norm;
}
