/** Cross-entropy from logits, and the negative log-likelihood from log-probabilities. */
import {
  DTypeError,
  IndexError,
  isFloat,
  sameShape,
  ShapeError,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';
import { checkAtLeast, checkClassTargets, checkReduction, inWide, type Reduction } from './reduction.ts';

/** Targets of this value count for nothing. */
const ignored = -100;

export interface NLLOptions {
  /** Targets of this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
  /** `mean` over the targets that count, `sum`, or `none`: a loss for each target, 0 for ignored ones. Default `mean`. */
  readonly reduction?: Reduction;
  /** A factor for each class, [classes]; the mean is then the weighted one. Default: 1 throughout. */
  readonly weight?: Tensor;
}

export interface CrossEntropyOptions extends NLLOptions {
  /** Share of the target's probability that is spread evenly over all classes (arXiv 1512.00567). Default 0. */
  readonly labelSmoothing?: number;
  /**
   * Adds this times the square of log Σ exp(logits), which keeps logits from drifting (PaLM, arXiv 2204.02311, section 5). Its mean
   * is over the targets that count, whatever their classes' weights. Default 0.
   */
  readonly zLoss?: number;
}

/**
 * -log softmax(logits)[target]. Where every target is ignored the mean is 0, with a gradient of 0 (PyTorch: NaN).
 * @param logits [..., classes]
 * @param targets integers [...], each from 0 to classes - 1 or `ignoreIndex`
 * @throws ShapeError, DTypeError, ValueError; IndexError for a target out of range
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = ignored, reduction = 'mean', labelSmoothing = 0, zLoss = 0, weight } = options;
  const op = 'crossEntropy';
  checkClassTargets(op, 'logits', logits, targets);
  checkSmoothing(op, labelSmoothing);
  checkAtLeast(op, 'zLoss', zLoss, 0);
  checkReduction(op, reduction);
  checkWeight(op, weight, logits);
  checkTargets(op, targets, logits.shape.at(-1)!, ignoreIndex, [logits, targets]);
  return inWide([logits], (x) => {
    const counted = targets.ne(ignoreIndex);
    const weights = weight && weightsOf(weight, x, targets, counted);
    const each = classLosses(x, targets, counted, { ignoreIndex, labelSmoothing, weight, weights });
    const drift = zLoss === 0 ? null : counted.where(x.logSumExp(-1).square().mul(zLoss), 0);
    if (reduction === 'none') return drift ? each.add(drift) : each;
    const total = each.sum();
    if (reduction === 'sum') return drift ? total.add(drift.sum()) : total;
    const count = counted.cast(total.dtype).sum().maximum(1);
    const mean = total.div(weights ? atLeastTiny(weights.sum()) : count);
    return drift ? mean.add(drift.sum().div(count)) : mean;
  });
}

/**
 * -logProbs[target]: crossEntropy for log-probabilities. Where every target is ignored the mean is 0.
 * @param logProbs [..., classes]
 * @param targets integers [...], each from 0 to classes - 1 or `ignoreIndex`
 * @throws ShapeError, DTypeError, ValueError; IndexError for a target out of range
 */
export function nllLoss(logProbs: Tensor, targets: Tensor, options: NLLOptions = {}): Tensor {
  const { ignoreIndex = ignored, reduction = 'mean', weight } = options;
  const op = 'nllLoss';
  checkClassTargets(op, 'logProbs', logProbs, targets);
  if (!isFloat(logProbs.dtype))
    throw new DTypeError(op, 'logProbs must be floating-point', { operands: [logProbs] });
  checkReduction(op, reduction);
  checkWeight(op, weight, logProbs);
  checkTargets(op, targets, logProbs.shape.at(-1)!, ignoreIndex, [logProbs, targets]);
  return inWide([logProbs], (x) => {
    const counted = targets.ne(ignoreIndex);
    const safe = counted.where(targets, 0).cast('i32');
    const plain = counted.where(x.gather(-1, safe.unsqueeze(-1)).squeeze(-1).neg(), 0);
    const weights = weight && weightsOf(weight, x, targets, counted);
    const losses = weights ? plain.mul(weights) : plain;
    if (reduction === 'none') return losses;
    const total = losses.sum();
    if (reduction === 'sum') return total;
    return total.div(weights ? atLeastTiny(weights.sum()) : counted.cast(total.dtype).sum().maximum(1));
  });
}

interface ClassOptions {
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;
  readonly weight: Tensor | undefined;
  readonly weights: Tensor | undefined;
}

/** The loss of each target: (1 - s) times that of its class, plus s times the mean over all classes; each by its class's weight. */
function classLosses(
  logits: Tensor,
  targets: Tensor,
  counted: Tensor,
  { ignoreIndex, labelSmoothing: s, weight, weights }: ClassOptions,
): Tensor {
  const plain = logits.softmaxCrossEntropy(targets, ignoreIndex);
  const own = weights ? plain.mul(weights) : plain;
  if (s === 0) return own;
  const log = logits.logSoftmax(-1);
  const evenly = (weight ? log.mul(weight.cast(log.dtype)) : log).mean(-1).neg();
  return own.mul(1 - s).add(counted.where(evenly, 0).mul(s));
}

/** The weight of each target's class; 0 for those ignored. */
function weightsOf(weight: Tensor, logits: Tensor, targets: Tensor, counted: Tensor): Tensor {
  const safe = counted.where(targets, 0).cast('i32');
  return counted.where(weight.cast(logits.dtype).indexSelect(0, safe), 0);
}

/** Weights that add up to nothing leave a loss of nothing. */
const atLeastTiny = (total: Tensor): Tensor => total.eq(0).where(1, total);

export function checkSmoothing(op: string, labelSmoothing: number): void {
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ValueError(op, `labelSmoothing must lie in [0, 1], got ${labelSmoothing}`);
}

function checkWeight(op: string, weight: Tensor | undefined, logits: Tensor): void {
  if (!weight) return;
  const operands = [logits, weight];
  if (!sameShape(weight.shape, logits.shape.slice(-1)))
    throw new ShapeError(op, 'the weight must have one number for each class', { operands });
  if (!isFloat(weight.dtype)) throw new DTypeError(op, 'the weight must be floating-point', { operands });
}

/** Where the targets can be read at once; elsewhere (on a device, inside a vmap) it is up to the backend's gather to notice. */
export function checkTargets(
  op: string,
  targets: Tensor,
  classes: number,
  ignoreIndex: number,
  operands: readonly Tensor[],
): void {
  if (!targets.backend.synchronous || targets.storage.unreadable) return;
  for (const target of targets.dataSync())
    if ((target < 0 || target >= classes) && target !== ignoreIndex)
      throw new IndexError(op, `target ${target} is out of range for ${classes} classes`, {
        operands,
        hint: `${ignoreIndex} (ignoreIndex) leaves a position out`,
      });
}
