/** Transforms that scale, add, clip and restrict. */
import { ValueError, type Tensor } from '@infinigrad/tensor';
import { checkMaxNorm, clipFactorLater } from '../clip.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { times } from '../wide.ts';
import type { GradientTransform } from './transform.ts';

/** The update times a number. */
export function scale(factor: number): GradientTransform {
  if (!Number.isFinite(factor)) throw new ValueError('scale', `factor must be finite, got ${factor}`);
  return { name: 'scale', apply: (update) => ({ update: factor === 1 ? update : update.mul(factor) }) };
}

/** The update times a number that depends on how many updates the parameter has had, counted from 0. */
export function scaleBySchedule(schedule: Schedule): GradientTransform {
  return {
    name: 'scaleBySchedule',
    apply: (update, { steps }) => ({ update: times(update, schedule(steps - 1)) }),
  };
}

/** The update times -(the group's learning rate, schedule included): the last step of most chains. */
export function scaleByLearningRate(): GradientTransform {
  return {
    name: 'scaleByLearningRate',
    apply: (update, { learningRate }) => ({ update: times(update, -learningRate) }),
  };
}

/**
 * Adds weightDecay · parameter. Before the moments it is the gradient of an L2 penalty; behind them, before the learning rate,
 * it is decoupled weight decay (arXiv 1711.05101).
 */
export function addDecayedWeights(weightDecay: number): GradientTransform {
  if (!(weightDecay >= 0 && weightDecay < Infinity))
    throw new ValueError('addDecayedWeights', `weightDecay must be a number ≥ 0, got ${weightDecay}`);
  return {
    name: 'addDecayedWeights',
    apply: (update, { parameter }) => ({
      update: weightDecay === 0 ? update : update.add(parameter.mul(weightDecay)),
    }),
  };
}

/** Every element brought into [-limit, limit]. */
export function clipByValue(limit: number): GradientTransform {
  if (!(limit > 0)) throw new ValueError('clipByValue', `limit must be > 0, got ${limit}`);
  return { name: 'clipByValue', apply: (update) => ({ update: update.minimum(limit).maximum(-limit) }) };
}

/** All updates scaled down together where their common 2-norm is above `maxNorm`, as `clipGradNorm` does. */
export function clipByGlobalNorm(maxNorm: number): GradientTransform {
  checkMaxNorm('clipByGlobalNorm', maxNorm);
  return {
    name: 'clipByGlobalNorm',
    whole: (updates) => clipFactorLater(updates, maxNorm),
    apply: (update, { factor }) => ({ update: update.mul(factor!) }),
  };
}

/** Each parameter's update scaled down where its own 2-norm is above `maxNorm`. */
export function clipByNorm(maxNorm: number): GradientTransform {
  checkMaxNorm('clipByNorm', maxNorm);
  return {
    name: 'clipByNorm',
    apply: (update) => ({ update: update.mul(clipFactorLater([update], maxNorm)) }),
  };
}

/** Elements that are NaN or infinite become 0. */
export function zeroNonFinite(): GradientTransform {
  return { name: 'zeroNonFinite', apply: (update) => ({ update: update.isFinite().where(update, 0) }) };
}

/** Subtracts from the update of a matrix its mean over all axes but the first (gradient centralization, arXiv 2004.01461). */
export function centralize(): GradientTransform {
  const centered = (x: Tensor): Tensor => {
    const axes = Array.from({ length: x.rank - 1 }, (_, i) => i + 1);
    return x.sub(x.mean(axes, true));
  };
  return { name: 'centralize', apply: (update) => ({ update: update.rank > 1 ? centered(update) : update }) };
}
