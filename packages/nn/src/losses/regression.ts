/** Losses of differences. */
import type { Tensor } from '@infinigrad/tensor';
import {
  checkAlike,
  checkAtLeast,
  checkReduction,
  inWide,
  reduced,
  type ReductionOptions,
} from './reduction.ts';

export interface HuberOptions extends ReductionOptions {
  /** Where the parabola becomes a line. Default 1. */
  readonly delta?: number;
}

export interface SmoothL1Options extends ReductionOptions {
  /** Where the parabola becomes a line; 0: never a parabola. Default 1. */
  readonly beta?: number;
}

function ofDifference(
  op: string,
  inputs: [Tensor, Tensor],
  { reduction = 'mean' }: ReductionOptions,
  loss: (difference: Tensor) => Tensor,
): Tensor {
  checkAlike(op, inputs);
  checkReduction(op, reduction);
  return inWide(inputs, (x, y) => reduced(loss(x.sub(y)), reduction));
}

/** (input - target)². @param target of the input's shape. @throws ShapeError, DTypeError, ValueError */
export function mseLoss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  return ofDifference('mseLoss', [input, target], options, (e) => e.square());
}

/** |input - target|; the gradient at 0 is 0. @param target of the input's shape. @throws ShapeError, DTypeError, ValueError */
export function l1Loss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  return ofDifference('l1Loss', [input, target], options, (e) => e.abs());
}

/**
 * e²/2 for |e| ≤ δ, else δ (|e| - δ/2), with e = input - target (Huber 1964).
 * @param target of the input's shape
 * @throws ShapeError, DTypeError, ValueError
 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  const { delta = 1 } = options;
  checkAtLeast('huberLoss', 'delta', delta, 0, true);
  return ofDifference('huberLoss', [input, target], options, (e) => huber(e, delta));
}

/**
 * e²/2β for |e| < β, else |e| - β/2, with e = input - target (Fast R-CNN, arXiv 1504.08083, eq. 3, where β is 1).
 * @param target of the input's shape
 * @throws ShapeError, DTypeError, ValueError
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  const { beta = 1 } = options;
  checkAtLeast('smoothL1Loss', 'beta', beta, 0);
  return ofDifference('smoothL1Loss', [input, target], options, (e) =>
    beta === 0 ? e.abs() : huber(e, beta).div(beta),
  );
}

/** m (|e| - m/2) with m = min(|e|, δ). */
function huber(e: Tensor, delta: number): Tensor {
  const size = e.abs();
  const least = size.minimum(delta);
  return least.mul(size.sub(least.div(2)));
}
