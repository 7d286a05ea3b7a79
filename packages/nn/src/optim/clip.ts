/** The global norm of gradients, and clipping by it. */
import { noGrad } from '@infinigrad/autograd';
import { BackendError, concat, scalar, scope, ValueError, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { widened } from './wide.ts';

/** Σ g², [1]. The squares of f16 would soon be infinite: wider. What is made on the way is given back at once. */
function squares(g: Tensor): Tensor {
  return scope(() => widened(g).square().sum().reshape([1]));
}

/** Σ g² of each gradient, read back in one go. */
export function squaredNorms(gradients: readonly Tensor[]): number[] {
  if (gradients.length === 0) return [];
  return noGrad(() => Array.from(concat(gradients.map(squares)).dataSync()));
}

/** What gradients of this norm are multiplied by, as in PyTorch: maxNorm / (norm + 1e-6), at most 1. */
export function clipFactor(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}

/** The same as a tensor, where the elements come later. */
export function clipFactorLater(gradients: readonly Tensor[], maxNorm: number): Tensor {
  const norm = concat(gradients.map(squares)).sum().sqrt();
  return scalar(maxNorm, norm.dtype, norm.backend).div(norm.add(1e-6)).minimum(1);
}

/** Whether the norm of all gradients is finite, as a tensor of rank 0, where the elements come later. */
export function finiteLater(gradients: readonly Tensor[]): Tensor {
  return concat(gradients.map(squares)).sum().isFinite();
}

export function checkMaxNorm(op: string, maxNorm: number): void {
  if (!(maxNorm > 0)) throw new ValueError(op, `maxNorm must be > 0, got ${maxNorm}`);
}

const gradientsOf = (params: Iterable<Parameter>): Tensor[] =>
  [...new Set(params)].flatMap(({ grad }) => (grad ? [grad] : []));

/** @throws BackendError where the elements come later */
function checkReadable(op: string, gradients: readonly Tensor[]): void {
  const later = gradients.find(({ backend }) => !backend.synchronous);
  if (later)
    throw new BackendError(op, `the norm of gradients on ${later.backend.name} comes later`, {
      operands: [later],
      hint: `await ${op}Async(), or give the optimizer maxGradNorm`,
    });
}

/**
 * The 2-norm of all gradients taken as one vector; a parameter without a gradient counts as zero.
 * @throws BackendError on a GPU: `gradNormAsync` does there
 */
export function gradNorm(params: Iterable<Parameter>): number {
  const gradients = gradientsOf(params);
  checkReadable('gradNorm', gradients);
  return Math.sqrt(squaredNorms(gradients).reduce((a, b) => a + b, 0));
}

/** As `gradNorm`, and on a GPU too. */
export async function gradNormAsync(params: Iterable<Parameter>): Promise<number> {
  const gradients = gradientsOf(params);
  if (gradients.length === 0) return 0;
  const norms = noGrad(() => concat(gradients.map(squares)));
  return Math.sqrt(Array.from(await norms.data()).reduce((a, b) => a + b, 0));
}

/**
 * Scales the gradients of all parameters by one factor so that their 2-norm, taken as one vector, is at most `maxNorm`.
 * @returns the norm before; where it is not finite the gradients stay as they are
 * @throws BackendError on a GPU: `clipGradNormAsync` does there
 */
export function clipGradNorm(params: Iterable<Parameter>, maxNorm: number): number {
  checkMaxNorm('clipGradNorm', maxNorm);
  const list = [...params];
  checkReadable('clipGradNorm', gradientsOf(list));
  const norm = gradNorm(list);
  const factor = clipFactor(norm, maxNorm);
  if (Number.isFinite(norm) && factor < 1)
    noGrad(() => {
      for (const parameter of new Set(list)) if (parameter.grad) parameter.grad = parameter.grad.mul(factor);
    });
  return norm;
}

/** A gradient times a factor of rank 0, in its own dtype. */
function scaled(g: Tensor, factor: Tensor): Tensor {
  return scope(() => {
    const wide = widened(g);
    return wide.mul(factor.cast(wide.dtype)).cast(g.dtype);
  });
}

/**
 * As `clipGradNorm`, and on a GPU too. The gradients are scaled when it returns, without waiting for the norm: only who
 * wants that waits.
 * @returns the norm before; where it is not finite the gradients stay as they are
 */
export function clipGradNormAsync(params: Iterable<Parameter>, maxNorm: number): Promise<number> {
  checkMaxNorm('clipGradNormAsync', maxNorm);
  const list = [...params];
  const gradients = gradientsOf(list);
  const norm = gradNormAsync(list);
  if (gradients.length > 0)
    noGrad(() => {
      const factor = scope(() => finiteLater(gradients).where(clipFactorLater(gradients, maxNorm), 1));
      for (const parameter of new Set(list))
        if (parameter.grad) parameter.grad = scaled(parameter.grad, factor);
    });
  return norm;
}

/**
 * Brings every element of the gradients into [-limit, limit]; NaN stays NaN.
 * @throws ValueError for a limit that is not > 0
 */
export function clipGradValue(params: Iterable<Parameter>, limit: number): void {
  if (!(limit > 0)) throw new ValueError('clipGradValue', `limit must be > 0, got ${limit}`);
  noGrad(() => {
    for (const parameter of new Set(params))
      if (parameter.grad) parameter.grad = parameter.grad.minimum(limit).maximum(-limit);
  });
}
