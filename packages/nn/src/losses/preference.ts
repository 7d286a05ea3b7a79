/** Losses of comparisons. */
import { broadcastShapes, Tensor, type Shape } from '@infinigrad/tensor';
import { checkSmoothing } from './cross-entropy.ts';
import {
  checkAlike,
  checkFloats,
  checkReduction,
  inWide,
  reduced,
  type ReductionOptions,
} from './reduction.ts';

export interface BradleyTerryOptions extends ReductionOptions {
  /** By how much the chosen one must lead (Llama 2, arXiv 2307.09288, eq. 2): a number, or one for each pair. Default 0. */
  readonly margin?: number | Tensor;
  /** The share of comparisons that are the wrong way round. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * -log sigmoid(chosen - rejected - margin): how unlikely a comparison is under rewards (Bradley and Terry 1952; arXiv
 * 2203.02155, eq. 1).
 * @param chosen rewards, of any shape
 * @param rejected rewards, of the same shape
 * @throws ShapeError, DTypeError, ValueError
 */
export function bradleyTerryLoss(
  chosen: Tensor,
  rejected: Tensor,
  { margin = 0, labelSmoothing: s = 0, reduction = 'mean' }: BradleyTerryOptions = {},
): Tensor {
  const op = 'bradleyTerryLoss';
  checkAlike(op, [chosen, rejected]);
  checkReduction(op, reduction);
  checkSmoothing(op, s);
  if (margin instanceof Tensor) checkMargin(op, chosen.shape, margin, chosen);
  return inWide([chosen, rejected], (a, b) => {
    const lead = a.sub(b).sub(margin instanceof Tensor ? margin.cast(a.dtype) : margin);
    const right = lead.neg().softplus();
    return reduced(s === 0 ? right : right.mul(1 - s).add(lead.softplus().mul(s)), reduction);
  });
}

function checkMargin(op: string, shape: Shape, margin: Tensor, chosen: Tensor): void {
  checkFloats(op, [margin]);
  void broadcastShapes(op, [chosen, margin]);
  if (margin.rank > 0) checkAlike(op, [chosen, margin]);
}
