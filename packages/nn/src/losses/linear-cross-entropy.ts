/** Cross-entropy of a linear layer's outputs, which for a large vocabulary are never there all at once. */
import { checkpoint } from '@infinigrad/autograd';
import { concat, ShapeError, sizeOf, ValueError, type Tensor } from '@infinigrad/tensor';
import { checkSmoothing, checkTargets, crossEntropy, type CrossEntropyOptions } from './cross-entropy.ts';
import { checkAtLeast, checkClassTargets, checkFloats, checkReduction, inWide } from './reduction.ts';

export interface LinearCrossEntropyOptions extends Omit<CrossEntropyOptions, 'weight'> {
  /** Lines whose logits stand in memory together. Default: as many as make 2²⁴ logits (64 MiB in f32), at least 16. */
  readonly chunkSize?: number;
  /** [classes], added to the logits. */
  readonly bias?: Tensor;
}

/**
 * `crossEntropy(hidden · weightᵀ + bias, targets)`, some lines at a time: the logits of a chunk are made, used and given back, and made
 * again for the gradient. Memory is that of a chunk's logits in place of all, at the price of one more product in the backward
 * pass. Can be differentiated to any order.
 * @param hidden [..., d]
 * @param weight [classes, d], as that of a Linear or an Embedding
 * @param targets integers [...], each from 0 to classes - 1 or `ignoreIndex`
 * @throws ShapeError, DTypeError, ValueError; IndexError for a target out of range
 */
export function linearCrossEntropy(
  hidden: Tensor,
  weight: Tensor,
  targets: Tensor,
  options: LinearCrossEntropyOptions = {},
): Tensor {
  const { reduction = 'mean', ignoreIndex = -100, labelSmoothing = 0, zLoss = 0, bias } = options;
  const op = 'linearCrossEntropy';
  const operands = [hidden, weight, targets, ...(bias ? [bias] : [])];
  checkFloats(op, [hidden, weight, ...(bias ? [bias] : [])]);
  checkClassTargets(op, 'hidden states', hidden, targets);
  const d = hidden.shape.at(-1)!;
  if (weight.rank !== 2 || weight.shape[1] !== d)
    throw new ShapeError(op, `the weight must be [classes, ${d}]`, { operands });
  const classes = weight.shape[0]!;
  if (bias && !(bias.rank === 1 && bias.shape[0] === classes))
    throw new ShapeError(op, `the bias must be [${classes}]`, { operands });
  checkReduction(op, reduction);
  checkSmoothing(op, labelSmoothing);
  checkAtLeast(op, 'zLoss', zLoss, 0);
  const { chunkSize = Math.max(16, Math.floor(2 ** 24 / Math.max(1, classes))) } = options;
  if (!Number.isInteger(chunkSize) || chunkSize < 1)
    throw new ValueError(op, `chunkSize must be an integer ≥ 1, got ${chunkSize}`);
  checkTargets(op, targets, classes, ignoreIndex, operands);

  const count = sizeOf(targets.shape);
  const flat = targets.reshape([count]);
  const settings = {
    ignoreIndex,
    labelSmoothing,
    zLoss,
    reduction: reduction === 'none' ? 'none' : 'sum',
  } as const;
  const lossOf = checkpoint((h: Tensor, w: Tensor, b: Tensor | null, t: Tensor): Tensor => {
    const product = h.matmul(w.transpose());
    return crossEntropy(b ? product.add(b) : product, t, settings);
  });
  const floats: Tensor[] = [hidden, weight, ...(bias ? [bias] : [])];
  return inWide<Tensor[]>(floats, (x, w, b) => {
    const lines = x!.reshape([count, d]);
    const chunks: Tensor[] = [];
    for (let at = 0; at < count || at === 0; at += chunkSize) {
      const size = Math.min(chunkSize, count - at);
      chunks.push(lossOf(lines.narrow(0, at, size), w!, b ?? null, flat.narrow(0, at, size)));
    }
    if (reduction === 'none') return concat(chunks).reshape(targets.shape);
    const total = chunks.length === 1 ? chunks[0]! : concat(chunks.map((y) => y.reshape([1]))).sum();
    return reduction === 'sum' ? total : total.div(flat.ne(ignoreIndex).cast(total.dtype).sum().maximum(1));
  });
}
