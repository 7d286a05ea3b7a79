/** Losses. */
import { ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';

export interface CrossEntropyOptions {
  /** Targets with this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
  /** `mean` over the targets that count, `sum`, or one loss for each target. Default `mean`. */
  readonly reduction?: 'mean' | 'sum' | 'none';
  /** Share of the target's weight that is spread evenly over all classes, in [0, 1). Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * -log softmax(logits)[target], in nats. logits [..., classes], targets (i32) [...].
 * The mean over no target at all is 0 (PyTorch gives NaN).
 * @throws IndexError for a target outside 0 … classes - 1 that is not `ignoreIndex`
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0 } = options;
  if (logits.rank !== targets.rank + 1 || targets.shape.some((n, i) => n !== logits.shape[i]))
    throw new ShapeError('crossEntropy', 'logits must be [..., classes] and targets [...]', { operands: [logits, targets] });
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new ValueError('crossEntropy', `labelSmoothing must lie in [0, 1), got ${labelSmoothing}`);
  const counted = targets.ne(ignoreIndex);
  const logp = logits.logSoftmax();
  const picked = logp.gather(-1, counted.where(targets, 0).unsqueeze(-1)).squeeze(-1);
  const plain = picked.neg();
  const smooth = labelSmoothing === 0 ? plain : plain.mul(1 - labelSmoothing).add(logp.mean(-1).mul(-labelSmoothing));
  const losses = counted.where(smooth, 0);
  if (reduction === 'none') return losses;
  const total = losses.sum();
  return reduction === 'sum' ? total : total.div(counted.sum().maximum(1));
}
