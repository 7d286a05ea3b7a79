/** Binary cross-entropy, from probabilities and from logits. */
import { broadcastShapes, sameShape, ShapeError, type Tensor } from '@infinigrad/tensor';
import {
  checkAlike,
  checkFloats,
  checkReduction,
  inWide,
  reduced,
  type ReductionOptions,
} from './reduction.ts';

export interface BinaryCrossEntropyOptions extends ReductionOptions {
  /** A factor for each loss; broadcasts to the input. */
  readonly weight?: Tensor;
}

export interface BinaryCrossEntropyWithLogitsOptions extends BinaryCrossEntropyOptions {
  /** A factor for the part of the loss that is the positive class's, above 1 for more recall; broadcasts to the input. */
  readonly posWeight?: Tensor;
}

/**
 * -(t log p + (1 - t) log(1 - p)), logarithms not below -100. Where p is 0 or 1 the gradient through that logarithm is 0;
 * `binaryCrossEntropyWithLogits` has a gradient everywhere.
 * @param probs from 0 to 1
 * @param targets of the same shape, from 0 to 1
 * @throws ShapeError, DTypeError, ValueError
 */
export function binaryCrossEntropy(
  probs: Tensor,
  targets: Tensor,
  { reduction = 'mean', weight }: BinaryCrossEntropyOptions = {},
): Tensor {
  const op = 'binaryCrossEntropy';
  checkAlike(op, [probs, targets]);
  checkReduction(op, reduction);
  checkFactor(op, 'weight', weight, probs);
  const log = (p: Tensor): Tensor => {
    const none = p.eq(0);
    return none.where(-100, none.where(1, p).log()).maximum(-100);
  };
  return inWide([probs, targets], (p, t) => {
    const losses = t
      .mul(log(p))
      .add(
        t
          .neg()
          .add(1)
          .mul(log(p.neg().add(1))),
      )
      .neg();
    return reduced(weight ? losses.mul(weight.cast(losses.dtype)) : losses, reduction);
  });
}

/**
 * Binary cross-entropy of sigmoid(logits), without overflow.
 * @param targets of the logits' shape, from 0 to 1
 * @throws ShapeError, DTypeError, ValueError
 */
export function binaryCrossEntropyWithLogits(
  logits: Tensor,
  targets: Tensor,
  { reduction = 'mean', weight, posWeight }: BinaryCrossEntropyWithLogitsOptions = {},
): Tensor {
  const op = 'binaryCrossEntropyWithLogits';
  checkAlike(op, [logits, targets]);
  checkReduction(op, reduction);
  checkFactor(op, 'weight', weight, logits);
  checkFactor(op, 'posWeight', posWeight, logits);
  return inWide([logits, targets], (x, t) => {
    // (1 - t) x + (1 + (w - 1) t) log(1 + e⁻ˣ)
    const positive = posWeight ? posWeight.cast(x.dtype).sub(1).mul(t).add(1) : null;
    const tail = x.neg().softplus();
    const losses = t
      .neg()
      .add(1)
      .mul(x)
      .add(positive ? tail.mul(positive) : tail);
    return reduced(weight ? losses.mul(weight.cast(losses.dtype)) : losses, reduction);
  });
}

function checkFactor(op: string, name: string, factor: Tensor | undefined, x: Tensor): void {
  if (!factor) return;
  const operands = [x, factor];
  checkFloats(op, operands);
  const fits = (): boolean => {
    try {
      return sameShape(broadcastShapes(op, operands), x.shape);
    } catch {
      return false;
    }
  };
  if (!fits()) throw new ShapeError(op, `${name} does not broadcast to the input`, { operands });
}
