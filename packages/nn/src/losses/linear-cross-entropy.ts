/** Cross-entropy of a linear layer's outputs, which for a large vocabulary are never there all at once. */
import { checkpoint, customGradient, recording, valueAndGrad } from '@infinigrad/autograd';
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
 * `crossEntropy(hidden · weightᵀ + bias, targets)`, some lines at a time, so that the logits never stand in memory whole. The mean and
 * the sum make their gradients with the losses, while a chunk's logits are there, and take no longer than the whole; a loss for each
 * target (`none`) makes the logits again for the gradient. Second derivatives are right, but hold the graphs of all chunks.
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

  const flat = targets.reshape([sizeOf(targets.shape)]);
  const settings: Settings = {
    chunkSize,
    ignoreIndex,
    labelSmoothing,
    zLoss,
    reduction: reduction === 'none' ? 'none' : 'sum',
  };
  const floats: Tensor[] = [hidden, weight, ...(bias ? [bias] : [])];
  return inWide<Tensor[]>(floats, (...wide) => {
    const inputs: Inputs = [wide[0]!.reshape([flat.size, d]), ...wide.slice(1)];
    const needs = inputs.map((x) => x.requiresGrad);
    const atOnce = recording() && needs.includes(true) && !inputs.some((x) => x.storage.unreadable);
    if (reduction !== 'none' && atOnce) {
      const total = withGradients(inputs, flat, needs, settings);
      return reduction === 'sum' ? total : total.div(countOf(flat, ignoreIndex, total));
    }
    const lossOf = checkpoint((t: Tensor, ...chunk: Inputs): Tensor => chunkLoss(chunk, t, settings));
    const chunks = chunksOf(inputs, flat, chunkSize, (chunk, t) => lossOf(t, ...chunk));
    if (reduction === 'none') return concat(chunks).reshape(targets.shape);
    const total = sumOf(chunks);
    return reduction === 'sum' ? total : total.div(countOf(flat, ignoreIndex, total));
  });
}

/** Hidden states, weight and perhaps bias. */
type Inputs = [hidden: Tensor, ...others: Tensor[]];

interface Settings {
  readonly chunkSize: number;
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;
  readonly zLoss: number;
  readonly reduction: 'sum' | 'none';
}

function chunkLoss([hidden, weight, bias]: Inputs, targets: Tensor, settings: Settings): Tensor {
  const product = hidden.matmul(weight!.transpose());
  return crossEntropy(bias ? product.add(bias) : product, targets, settings);
}

/** What `body` makes of each chunk; of no lines, there is one of no lines. */
function chunksOf<T>(
  [hidden, ...others]: Inputs,
  targets: Tensor,
  chunkSize: number,
  body: (chunk: Inputs, targets: Tensor) => T,
): T[] {
  const made: T[] = [];
  for (let at = 0; at < targets.size || at === 0; at += chunkSize) {
    const size = Math.min(chunkSize, targets.size - at);
    made.push(body([hidden.narrow(0, at, size), ...others], targets.narrow(0, at, size)));
  }
  return made;
}

const sumOf = (values: readonly Tensor[]): Tensor =>
  values.length === 1 ? values[0]! : concat(values.map((x) => x.reshape([1]))).sum();

const countOf = (targets: Tensor, ignoreIndex: number, like: Tensor): Tensor =>
  targets.ne(ignoreIndex).cast(like.dtype).sum().maximum(1);

/**
 * The sum of the losses, with its gradients made chunk by chunk while the logits are there: what the backward pass then does is to
 * scale them (Liger kernels, arXiv 2410.10989, section 3.2).
 */
const withGradients = customGradient(
  (inputs: Inputs, targets: Tensor, needs: readonly boolean[], settings: Settings) => {
    const values: Tensor[] = [];
    const ofHidden: Tensor[] = [];
    const ofOthers: (Tensor | null)[] = needs.slice(1).map(() => null);
    chunksOf(inputs, targets, settings.chunkSize, (chunk, t) => {
      const varying = chunk.filter((_, i) => needs[i]);
      const lossOf = (fresh: Tensor[]): Tensor => {
        const left = [...fresh];
        return chunkLoss(chunk.map((x, i) => (needs[i] ? left.shift()! : x)) as Inputs, t, settings);
      };
      // Called again for a second derivative, it is recorded.
      const { value, grad } = valueAndGrad(lossOf, { createGraph: recording() })(varying);
      const gradients = [...grad];
      values.push(value);
      if (needs[0]) ofHidden.push(gradients.shift()!);
      for (let i = 1; i < chunk.length; i++)
        if (needs[i]) ofOthers[i - 1] = added(ofOthers[i - 1]!, gradients.shift()!);
    });
    const hidden = needs[0] ? concat(ofHidden) : null;
    return { output: sumOf(values), saved: [hidden, ...ofOthers] };
  },
  (g: Tensor, saved) => [saved.map((x) => x && x.mul(g.cast(x.dtype))), null, null, null],
  { name: 'linearCrossEntropy' },
);

/** The sum of two gradients, of which neither is wanted any more unless they are part of a graph: those of a large weight are large. */
function added(sum: Tensor | null, next: Tensor): Tensor {
  if (!sum) return next;
  const total = sum.add(next);
  if (recording()) return total;
  total.storage.settle();
  for (const x of [sum, next]) x.storage.dispose();
  return total;
}
