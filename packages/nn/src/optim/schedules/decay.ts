/** Schedules that fall (or rise) along a curve. */
import { ValueError } from '@infinigrad/tensor';
import { checkFactor, checkFinite, checkSteps, type Schedule } from './schedule.ts';

/** The same factor at every step. */
export const constant =
  (factor = 1): Schedule =>
  () =>
    factor;

/** From `from` (default 1) in equal steps to `to` at step `steps`, and there it stays; PyTorch's LinearLR. */
export function linear({
  from = 1,
  to,
  steps,
}: {
  readonly from?: number;
  readonly to: number;
  readonly steps: number;
}): Schedule {
  checkFactor('linear', 'from', from);
  checkFactor('linear', 'to', to);
  checkSteps('linear', 'steps', steps, 1);
  return (step) => (step >= steps ? to : from + ((to - from) * step) / steps);
}

/** From 1 along half a cosine to `finalFactor` (default 0) at step `steps`, and there it stays (arXiv 1608.03983). */
export function cosine({
  steps,
  finalFactor = 0,
}: {
  readonly steps: number;
  readonly finalFactor?: number;
}): Schedule {
  checkSteps('cosine', 'steps', steps, 1);
  checkFinite('cosine', 'finalFactor', finalFactor);
  return (step) =>
    step >= steps
      ? finalFactor
      : finalFactor + ((1 - finalFactor) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/**
 * A cosine that starts anew after `period` steps, and then after `growth` (default 1) times as many each time (SGDR,
 * arXiv 1608.03983); PyTorch's CosineAnnealingWarmRestarts.
 */
export function cosineRestarts({
  period,
  growth = 1,
  finalFactor = 0,
}: {
  readonly period: number;
  readonly growth?: number;
  readonly finalFactor?: number;
}): Schedule {
  checkSteps('cosineRestarts', 'period', period, 1);
  checkSteps('cosineRestarts', 'growth', growth, 1);
  checkFinite('cosineRestarts', 'finalFactor', finalFactor);
  return (step) => {
    let [at, length] = [step, period];
    if (growth === 1) at = step % period;
    else
      while (at >= length) {
        at -= length;
        length *= growth;
      }
    return finalFactor + ((1 - finalFactor) * (1 + Math.cos((Math.PI * at) / length))) / 2;
  };
}

/** From 1 as (1 - step / steps)^power to `finalFactor` (default 0) at step `steps`, and there it stays; PyTorch's PolynomialLR. */
export function polynomial({
  steps,
  power = 1,
  finalFactor = 0,
}: {
  readonly steps: number;
  readonly power?: number;
  readonly finalFactor?: number;
}): Schedule {
  checkSteps('polynomial', 'steps', steps, 1);
  checkFactor('polynomial', 'power', power);
  checkFinite('polynomial', 'finalFactor', finalFactor);
  return (step) =>
    step >= steps ? finalFactor : finalFactor + (1 - finalFactor) * (1 - step / steps) ** power;
}

/** `decay` to the power of the step; PyTorch's ExponentialLR. */
export function exponential(decay: number): Schedule {
  checkFactor('exponential', 'decay', decay);
  return (step) => decay ** step;
}

/** Times `factor` (default 0.1) after every `every` steps; PyTorch's StepLR. */
export function stepDecay({
  every,
  factor = 0.1,
}: {
  readonly every: number;
  readonly factor?: number;
}): Schedule {
  checkSteps('stepDecay', 'every', every, 1);
  checkFactor('stepDecay', 'factor', factor);
  return (step) => factor ** Math.floor(step / every);
}

/** Times `factor` (default 0.1) at each of the steps; PyTorch's MultiStepLR. */
export function multiStep({
  milestones,
  factor = 0.1,
}: {
  readonly milestones: readonly number[];
  readonly factor?: number;
}): Schedule {
  milestones.forEach((milestone) => checkSteps('multiStep', 'a milestone', milestone));
  checkFactor('multiStep', 'factor', factor);
  return (step) => factor ** milestones.filter((milestone) => milestone <= step).length;
}

/**
 * Linear warm-up over `warmupSteps`, then √(warmupSteps / (step + 1)) (arXiv 1706.03762, eq. 3, with its peak at 1); without
 * warm-up 1 / √(step + 1).
 */
export function inverseSquareRoot({ warmupSteps = 0 }: { readonly warmupSteps?: number } = {}): Schedule {
  checkSteps('inverseSquareRoot', 'warmupSteps', warmupSteps);
  return (step) =>
    step < warmupSteps ? (step + 1) / warmupSteps : Math.sqrt(Math.max(1, warmupSteps) / (step + 1));
}

/** How a decay runs: along a line, half a cosine, or 1 - √progress (arXiv 2405.18392). */
export type DecayShape = 'linear' | 'cosine' | 'sqrt';

const shapes: Readonly<Record<DecayShape, (progress: number) => number>> = {
  linear: (progress) => 1 - progress,
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
  sqrt: (progress) => 1 - Math.sqrt(progress),
};

/**
 * Warm-up, stable, decay (arXiv 2404.06395): linear to 1 over `warmupSteps`, 1 for `stableSteps`, then down to `finalFactor`
 * (default 0) over `decaySteps` by `shape` (default 'linear'), and there it stays.
 */
export function warmupStableDecay({
  warmupSteps,
  stableSteps,
  decaySteps,
  finalFactor = 0,
  shape = 'linear',
}: {
  readonly warmupSteps: number;
  readonly stableSteps: number;
  readonly decaySteps: number;
  readonly finalFactor?: number;
  readonly shape?: DecayShape;
}): Schedule {
  checkSteps('warmupStableDecay', 'warmupSteps', warmupSteps);
  checkSteps('warmupStableDecay', 'stableSteps', stableSteps);
  checkSteps('warmupStableDecay', 'decaySteps', decaySteps, 1);
  checkFinite('warmupStableDecay', 'finalFactor', finalFactor);
  if (!Object.hasOwn(shapes, shape))
    throw new ValueError('warmupStableDecay', `there is no shape '${String(shape)}'`, {
      hint: `one of ${Object.keys(shapes).join(', ')}`,
    });
  const begin = warmupSteps + stableSteps;
  return (step) => {
    if (step < warmupSteps) return (step + 1) / warmupSteps;
    if (step >= begin + decaySteps) return finalFactor;
    return finalFactor + (1 - finalFactor) * shapes[shape](Math.max(0, step - begin) / decaySteps);
  };
}
