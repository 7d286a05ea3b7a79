/** Transforms that divide by the root of gathered squares of the gradient. */
import { times } from '../wide.ts';
import { checkFraction, checkNotNegative } from './momentum.ts';
import type { GradientTransform } from './transform.ts';

export interface RmsScaling {
  /** Default 0.99. */
  readonly decay?: number;
  /** Default 1e-8. */
  readonly eps?: number;
  /** Divide by the standard deviation: the mean gradient is taken away. Default false. */
  readonly centered?: boolean;
}

/** RMSprop (Hinton's lecture 6e; centred: arXiv 1308.0850): g / (√v + eps) with v ← α v + (1 - α) g². */
export function scaleByRms({
  decay = 0.99,
  eps = 1e-8,
  centered = false,
}: RmsScaling = {}): GradientTransform {
  checkFraction('scaleByRms', 'decay', decay);
  checkNotNegative('scaleByRms', 'eps', eps);
  return {
    name: 'scaleByRms',
    slots: (slot) => ({ meanSquare: slot, ...(centered && { mean: slot }) }),
    apply: (g, { state }) => {
      const meanSquare = state['meanSquare']!.mul(decay).add(g.square().mul(1 - decay));
      if (!centered) return { update: g.div(meanSquare.sqrt().add(eps)), state: { meanSquare } };
      const mean = state['mean']!.mul(decay).add(g.mul(1 - decay));
      const deviation = meanSquare.sub(mean.square()).sqrt();
      return { update: g.div(deviation.add(eps)), state: { meanSquare, mean } };
    },
  };
}

export interface AdagradScaling {
  /** The rate falls as 1 / (1 + updates · rateDecay). Default 0. */
  readonly rateDecay?: number;
  /** Of the sums of squares. Default 0. */
  readonly initial?: number;
  /** Default 1e-10. */
  readonly eps?: number;
}

/** Adagrad (Duchi, Hazan, Singer 2011): g / (√Σg² + eps). */
export function scaleByAdagrad({
  rateDecay = 0,
  initial = 0,
  eps = 1e-10,
}: AdagradScaling = {}): GradientTransform {
  checkNotNegative('scaleByAdagrad', 'rateDecay', rateDecay);
  checkNotNegative('scaleByAdagrad', 'initial', initial);
  checkNotNegative('scaleByAdagrad', 'eps', eps);
  return {
    name: 'scaleByAdagrad',
    slots: (slot) => ({ sumOfSquares: { ...slot, initial } }),
    apply: (g, { steps, state }) => {
      const sumOfSquares = state['sumOfSquares']!.add(g.square());
      const update = times(g, 1 / (1 + (steps - 1) * rateDecay)).div(sumOfSquares.sqrt().add(eps));
      return { update, state: { sumOfSquares } };
    },
  };
}

export interface AdadeltaScaling {
  /** Default 0.9. */
  readonly decay?: number;
  /** Default 1e-6. */
  readonly eps?: number;
}

/** Adadelta (arXiv 1212.5701, Algorithm 1): g √(d + eps) / √(v + eps), d the running mean of the squares of what it gave. */
export function scaleByAdadelta({ decay = 0.9, eps = 1e-6 }: AdadeltaScaling = {}): GradientTransform {
  checkFraction('scaleByAdadelta', 'decay', decay);
  checkNotNegative('scaleByAdadelta', 'eps', eps);
  return {
    name: 'scaleByAdadelta',
    slots: (slot) => ({ meanSquare: slot, meanSquareUpdate: slot }),
    apply: (g, { state }) => {
      const meanSquare = state['meanSquare']!.mul(decay).add(g.square().mul(1 - decay));
      const update = state['meanSquareUpdate']!.add(eps).sqrt().div(meanSquare.add(eps).sqrt()).mul(g);
      const meanSquareUpdate = state['meanSquareUpdate']!.mul(decay).add(update.square().mul(1 - decay));
      return { update, state: { meanSquare, meanSquareUpdate } };
    },
  };
}
