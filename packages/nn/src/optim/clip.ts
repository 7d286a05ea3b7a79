/** Gradient clipping. */
import { noGrad } from '@infinigrad/autograd';
import type { Parameter } from '../parameter.ts';

/** The 2-norm of all gradients together; parameters without a gradient count as zero. */
export function gradNorm(parameters: Iterable<Parameter>): number {
  let total = 0;
  noGrad(() => {
    for (const { grad } of parameters) if (grad) total += grad.square().sum().itemSync();
  });
  return Math.sqrt(total);
}

/** Scales all gradients down together where their 2-norm exceeds `maxNorm`. @returns the norm before */
export function clipGradNorm(parameters: Iterable<Parameter>, maxNorm: number): number {
  const list = [...parameters];
  const norm = gradNorm(list);
  if (norm > maxNorm)
    noGrad(() => {
      // As PyTorch: the small number keeps a norm of almost zero from dividing
      const scale = maxNorm / (norm + 1e-6);
      for (const p of list) if (p.grad) p.grad = p.grad.mul(scale);
    });
  return norm;
}
