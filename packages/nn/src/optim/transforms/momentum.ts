/** Transforms that keep a running mean of the gradient. */
import { ValueError } from '@infinigrad/tensor';
import { times } from '../wide.ts';
import type { GradientTransform } from './transform.ts';

export function checkFraction(op: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw new ValueError(op, `${name} must lie in [0, 1), got ${value}`);
}

export function checkNotNegative(op: string, name: string, value: number): void {
  if (!(value >= 0 && value < Infinity))
    throw new ValueError(op, `${name} must be a number ≥ 0, got ${value}`);
}

export interface TraceOptions {
  /** Decay of what has gathered. */
  readonly momentum: number;
  /** A gradient counts 1 - dampening, but for the first, which counts whole. Default 0. */
  readonly dampening?: number;
  /** Look ahead (Nesterov): g + momentum · b. Default false. */
  readonly nesterov?: boolean;
}

/** Momentum, as in PyTorch's SGD: b ← momentum · b + (1 - dampening) g. */
export function trace({ momentum, dampening = 0, nesterov = false }: TraceOptions): GradientTransform {
  checkNotNegative('trace', 'momentum', momentum);
  if (!Number.isFinite(dampening))
    throw new ValueError('trace', `dampening must be finite, got ${dampening}`);
  return {
    name: 'trace',
    slots: (slot) => ({ momentum: slot }),
    apply: (g, { steps, state }) => {
      const b = steps === 1 ? g.clone() : state['momentum']!.mul(momentum).add(g.mul(1 - dampening));
      return { update: nesterov ? g.add(b.mul(momentum)) : b, state: { momentum: b } };
    },
  };
}

/** Running mean of the update, corrected for its start at 0 unless told: m ← β m + (1 - β) g. */
export function ema(decay: number, { debias = true }: { readonly debias?: boolean } = {}): GradientTransform {
  checkFraction('ema', 'decay', decay);
  return {
    name: 'ema',
    slots: (slot) => ({ mean: slot }),
    apply: (g, { steps, state }) => {
      const m = state['mean']!.mul(decay).add(g.mul(1 - decay));
      return { update: debias ? times(m, 1 / (1 - decay ** steps)) : m, state: { mean: m } };
    },
  };
}

export interface LionOptions {
  /** Of the direction, and of the running mean. Default [0.9, 0.99]. */
  readonly betas?: readonly [number, number];
}

/** The sign of a mean of gradient and momentum (Lion, arXiv 2302.06675, Algorithm 2): sign(β₁ m + (1 - β₁) g); m ← β₂ m + (1 - β₂) g. */
export function scaleByLion({ betas: [beta1, beta2] = [0.9, 0.99] }: LionOptions = {}): GradientTransform {
  checkFraction('scaleByLion', 'β₁', beta1);
  checkFraction('scaleByLion', 'β₂', beta2);
  return {
    name: 'scaleByLion',
    slots: (slot) => ({ moment: slot }),
    apply: (g, { state }) => {
      const m = state['moment']!;
      return {
        update: m
          .mul(beta1)
          .add(g.mul(1 - beta1))
          .sign(),
        state: { moment: m.mul(beta2).add(g.mul(1 - beta2)) },
      };
    },
  };
}
