/** Learning-rate schedules: functions from the number of steps done to a factor on every group's learning rate. */
import { ValueError } from '@infinigrad/tensor';

export type Schedule = (step: number) => number;

/** The same factor always. */
export const constant =
  (factor = 1): Schedule =>
  () =>
    factor;

/** Linear from 1/warmupSteps to 1, then half a cosine from 1 down to `finalFactor` (default 0) at `totalSteps`. */
export function warmupCosine(options: { readonly warmupSteps: number; readonly totalSteps: number; readonly finalFactor?: number }): Schedule {
  const { warmupSteps, totalSteps, finalFactor = 0 } = options;
  if (!(warmupSteps >= 0 && totalSteps > 0))
    throw new ValueError('warmupCosine', `needs warmupSteps ≥ 0 and totalSteps > 0, got ${warmupSteps} and ${totalSteps}`);
  return (step) => {
    if (step < warmupSteps) return (step + 1) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return finalFactor + ((1 - finalFactor) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}
