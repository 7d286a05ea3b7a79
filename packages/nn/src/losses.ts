/** Losses. */
import {
  DTypeError,
  IndexError,
  isHalf,
  sameShape,
  ShapeError,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';

export interface CrossEntropyOptions {
  /** Targets of this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
  /** `mean` over the targets that count, `sum`, or `none`: a loss for each target, 0 for ignored ones. Default `mean`. */
  readonly reduction?: 'mean' | 'sum' | 'none';
  /** Share of the target's probability that is spread evenly over all classes (arXiv 1512.00567). Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * -log softmax(logits)[target]. Where every target is ignored the mean is 0, with a gradient of 0 (PyTorch: NaN).
 * @param logits [..., classes]
 * @param targets integers [...], each from 0 to classes - 1 or `ignoreIndex`
 * @throws ShapeError, DTypeError; IndexError for a target out of range
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0 } = options;
  const operands = [logits, targets];
  if (logits.rank === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape))
    throw new ShapeError('crossEntropy', 'needs logits [..., classes] and targets [...]', { operands });
  if (targets.dtype !== 'i32' && targets.dtype !== 'u8')
    throw new DTypeError('crossEntropy', 'targets must be integers', {
      operands,
      hint: "cast('i32') converts",
    });
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ValueError('crossEntropy', `labelSmoothing must lie in [0, 1], got ${labelSmoothing}`);
  if (!['mean', 'sum', 'none'].includes(reduction))
    throw new ValueError('crossEntropy', `reduction must be mean, sum or none, got '${String(reduction)}'`);
  // Sums over many targets leave the range of f16.
  if (isHalf(logits.dtype)) return crossEntropy(logits.cast('f32'), targets, options).cast(logits.dtype);
  const classes = logits.shape.at(-1)!;
  checkTargets(targets, classes, ignoreIndex, operands);
  const counted = targets.ne(ignoreIndex);
  const plain = logits.softmaxCrossEntropy(targets, ignoreIndex);
  const losses = labelSmoothing === 0 ? plain : smoothed(plain, logits, counted, labelSmoothing);
  if (reduction === 'none') return losses;
  const total = losses.sum();
  return reduction === 'sum' ? total : total.div(counted.cast(total.dtype).sum().maximum(1));
}

/** (1 - s) times the loss, plus s times the mean of -log softmax over all classes. */
function smoothed(plain: Tensor, logits: Tensor, counted: Tensor, s: number): Tensor {
  const evenly = logits.logSoftmax(-1).mean(-1).neg();
  return plain.mul(1 - s).add(counted.where(evenly, 0).mul(s));
}

/** Where the targets can be read at once; elsewhere (on a device, inside a vmap) it is up to the backend's gather to notice. */
function checkTargets(
  targets: Tensor,
  classes: number,
  ignoreIndex: number,
  operands: readonly Tensor[],
): void {
  if (!targets.backend.synchronous || targets.storage.unreadable) return;
  for (const target of targets.dataSync())
    if ((target < 0 || target >= classes) && target !== ignoreIndex)
      throw new IndexError('crossEntropy', `target ${target} is out of range for ${classes} classes`, {
        operands,
        hint: `${ignoreIndex} (ignoreIndex) leaves a position out`,
      });
}
