/** Schedules made of others. */
import { ValueError } from '@infinigrad/tensor';
import { cosine } from './decay.ts';
import { checkFinite, checkSteps, type Schedule } from './schedule.ts';

/**
 * Before another schedule a linear rise to where that begins: 1/steps of it at step 0, all of it at step `steps` - 1; the other counts
 * from 0 at step `steps`.
 */
export function warmup(steps: number, then: Schedule): Schedule {
  checkSteps('warmup', 'steps', steps);
  return (step) => (step < steps ? (then(0) * (step + 1)) / steps : then(step - steps));
}

/** One schedule after the other: the i-th ends before the i-th milestone; each counts from 0. PyTorch's SequentialLR. */
export function sequential(schedules: readonly Schedule[], milestones: readonly number[]): Schedule {
  if (schedules.length === 0 || milestones.length !== schedules.length - 1)
    throw new ValueError(
      'sequential',
      `${schedules.length} schedules need ${Math.max(0, schedules.length - 1)} milestones, got ${milestones.length}`,
    );
  milestones.forEach((milestone, i) => {
    checkSteps('sequential', 'a milestone', milestone);
    if (i > 0 && milestone <= milestones[i - 1]!)
      throw new ValueError('sequential', `milestones must rise, got ${milestones.join(', ')}`);
  });
  return (step) => {
    const at = milestones.filter((milestone) => milestone <= step).length;
    return schedules[at]!(step - (milestones[at - 1] ?? 0));
  };
}

/** The product of schedules; PyTorch's ChainedScheduler. */
export function chained(...schedules: readonly Schedule[]): Schedule {
  return (step) => schedules.reduce((factor, schedule) => factor * schedule(step), 1);
}

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
  checkFinite('warmupCosine', 'finalFactor', finalFactor);
  const steps = totalSteps - warmupSteps;
  const fall: Schedule = steps === 0 ? () => finalFactor : cosine({ steps, finalFactor });
  return (step) => (step < warmupSteps ? (step + 1) / warmupSteps : fall(step - warmupSteps));
}
