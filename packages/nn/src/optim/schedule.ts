/** Learning-rate schedules. */
import { ValueError } from '@infinigrad/tensor';

/** From the step, counted from 0, to a factor of every group's learning rate. */
export type Schedule = (step: number) => number;

/** The same factor at every step. */
export const constant =
  (factor = 1): Schedule =>
  () =>
    factor;

export interface WarmupCosineOptions {
  /** Steps over which the factor rises linearly: 1/warmupSteps at step 0, 1 at step warmupSteps - 1. */
  readonly warmupSteps: number;
  /** The step at which the factor has come down to finalFactor, and stays. */
  readonly totalSteps: number;
  /** Default 0. */
  readonly finalFactor?: number;
}

/** Linear warm-up, then half a cosine from 1 down to finalFactor (arXiv 1608.03983 without restarts). */
export function warmupCosine({ warmupSteps, totalSteps, finalFactor = 0 }: WarmupCosineOptions): Schedule {
  if (!Number.isInteger(warmupSteps) || warmupSteps < 0)
    throw new ValueError('warmupCosine', `warmupSteps must be an integer ≥ 0, got ${warmupSteps}`);
  if (!Number.isInteger(totalSteps) || totalSteps < Math.max(1, warmupSteps))
    throw new ValueError(
      'warmupCosine',
      `totalSteps must be an integer ≥ 1 and ≥ warmupSteps (${warmupSteps}), got ${totalSteps}`,
    );
  if (!Number.isFinite(finalFactor))
    throw new ValueError('warmupCosine', `finalFactor must be finite, got ${finalFactor}`);
  return (step) => {
    if (step < warmupSteps) return (step + 1) / warmupSteps;
    if (step >= totalSteps) return finalFactor;
    const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
    return finalFactor + ((1 - finalFactor) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}
