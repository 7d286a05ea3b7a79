/** Losses that pull together what belongs together. */
import {
  arange,
  concat,
  DTypeError,
  sameShape,
  ShapeError,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';
import { crossEntropy } from './cross-entropy.ts';
import {
  checkAtLeast,
  checkFloats,
  checkLines,
  checkReduction,
  inWide,
  reduced,
  type ReductionOptions,
} from './reduction.ts';

export interface InfoNCEOptions extends ReductionOptions {
  /** Similarities are divided by it. Default 0.07. */
  readonly temperature?: number;
  /** Further vectors [m, d] that belong to no query. */
  readonly negatives?: Tensor;
  /** The mean of the losses from queries to keys and from keys to queries (CLIP, arXiv 2103.00020). Default false. */
  readonly symmetric?: boolean;
}

/**
 * -log of the softmax, over all keys, of the cosine similarity to a query's own key (arXiv 1807.03748, eq. 4).
 * @param queries [n, d]
 * @param keys [n, d]: the i-th is the i-th query's own, the others are its negatives
 * @returns with `none`: [n]
 * @throws ShapeError, DTypeError, ValueError
 */
export function infoNCE(queries: Tensor, keys: Tensor, options: InfoNCEOptions = {}): Tensor {
  const { temperature = 0.07, negatives, symmetric = false, reduction = 'mean' } = options;
  const op = 'infoNCE';
  const operands = [queries, keys, ...(negatives ? [negatives] : [])];
  checkFloats(op, operands);
  if (queries.rank !== 2 || !sameShape(queries.shape, keys.shape))
    throw new ShapeError(op, 'needs queries [n, d] and keys [n, d]', { operands });
  const [n, d] = queries.shape as readonly [number, number];
  if (negatives && (negatives.rank !== 2 || negatives.shape[1] !== d))
    throw new ShapeError(op, `negatives must be [m, ${d}]`, { operands });
  checkAtLeast(op, 'temperature', temperature, 0, true);
  checkReduction(op, reduction);
  if (symmetric && negatives)
    throw new ValueError(op, 'with negatives the loss is not symmetric', { operands });
  return inWide([queries, keys], (a, b) => {
    const others = negatives?.cast(b.dtype);
    const unit = (x: Tensor): Tensor => x.div(x.square().sum(-1, true).sqrt().maximum(1e-12));
    const scores = unit(a)
      .matmul(unit(others ? concat([b, others]) : b).transpose())
      .div(temperature);
    const own = arange(n, { dtype: 'i32', backend: a.backend });
    const forth = crossEntropy(scores, own, { reduction });
    return symmetric ? forth.add(crossEntropy(scores.transpose(), own, { reduction })).div(2) : forth;
  });
}

export interface TripletMarginOptions extends ReductionOptions {
  /** Default 1. */
  readonly margin?: number;
  /** Order of the norm. Default 2. */
  readonly p?: number;
  /** Added to each difference. Default 1e-6. */
  readonly eps?: number;
  /** Take the distance from positive to negative where it is the smaller one. Default false. */
  readonly swap?: boolean;
}

/**
 * max(0, |anchor - positive| - |anchor - negative| + margin), of vectors [..., d].
 * @returns with `none`: [...]
 * @throws ShapeError, DTypeError, ValueError
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  { margin = 1, p = 2, eps = 1e-6, swap = false, reduction = 'mean' }: TripletMarginOptions = {},
): Tensor {
  const op = 'tripletMarginLoss';
  checkLines(op, [anchor, positive, negative]);
  checkAtLeast(op, 'margin', margin, 0, true);
  checkAtLeast(op, 'p', p, 0, true);
  checkAtLeast(op, 'eps', eps, 0);
  checkReduction(op, reduction);
  const distance = (a: Tensor, b: Tensor): Tensor => a.sub(b).add(eps).vectorNorm(p, -1);
  return inWide([anchor, positive, negative], (a, b, c) => {
    const [near, far] = [distance(a, b), distance(a, c)];
    const other = swap ? far.minimum(distance(b, c)) : far;
    return reduced(near.sub(other).add(margin).relu(), reduction);
  });
}

export interface CosineEmbeddingOptions extends ReductionOptions {
  /** Vectors that do not belong together may be as similar as this. Default 0. */
  readonly margin?: number;
}

/** Added to squared lengths, as PyTorch does. */
const lengthEps = 1e-12;

/**
 * 1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1.
 * @param a [..., d]
 * @param b [..., d]
 * @param targets [...], of 1 and -1, any dtype but bool
 * @returns with `none`: [...]
 * @throws ShapeError, DTypeError, ValueError
 */
export function cosineEmbeddingLoss(
  a: Tensor,
  b: Tensor,
  targets: Tensor,
  { margin = 0, reduction = 'mean' }: CosineEmbeddingOptions = {},
): Tensor {
  const op = 'cosineEmbeddingLoss';
  checkLines(op, [a, b]);
  const operands = [a, b, targets];
  if (!sameShape(targets.shape, a.shape.slice(0, -1)))
    throw new ShapeError(op, 'needs vectors [..., d] and targets [...]', { operands });
  if (targets.dtype === 'bool')
    throw new DTypeError(op, 'targets must be 1 and -1', { operands, hint: 'false counts as 0' });
  if (!(margin >= -1 && margin <= 1)) throw new ValueError(op, `margin must lie in [-1, 1], got ${margin}`);
  checkReduction(op, reduction);
  return inWide([a, b], (x, y) => {
    const square = (v: Tensor): Tensor => v.square().sum(-1).add(lengthEps);
    const cosine = x
      .mul(y)
      .sum(-1)
      .div(square(x).mul(square(y)).sqrt());
    const apart = targets.eq(-1).where(cosine.sub(margin).relu(), 0);
    return reduced(targets.eq(1).where(cosine.neg().add(1), apart), reduction);
  });
}
