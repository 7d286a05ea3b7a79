/** Scaled dot-product attention ("Attention Is All You Need", arXiv 1706.03762, eq. 1) with all that is put around it. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { AttentionMask, windowMask } from './masks.ts';
import { checkMask, checkOperands, fusedAttention } from './operands.ts';

export interface AttentionOptions {
  /** Which keys a query may see: a mask, or bool that broadcasts to [..., T_q, T_k]. A query that sees none gets zeros. */
  readonly mask?: AttentionMask | Tensor | null | undefined;
  /** No query sees a key after itself; the last query stands beside the last key. Default false. */
  readonly causal?: boolean | undefined;
  /** Each query sees the last so many keys up to its own. Default: all. */
  readonly window?: number | null | undefined;
  /** Added to the scores after scale and cap; broadcasts to [..., T_q, T_k]. */
  readonly bias?: Tensor | null | undefined;
  /** Factor of the scores. Default 1/√d. */
  readonly scale?: number | undefined;
  /** Scores s become c · tanh(s / c) (Gemma 2). Default: none. */
  readonly softcap?: number | null | undefined;
  /** Weights that are dropped, and the others scaled up. Default 0. */
  readonly dropout?: number | undefined;
  /** Decides which; needed where dropout > 0. */
  readonly key?: Key | undefined;
}

export interface WeightedAttention {
  /** [..., T_q, d_v]. */
  readonly output: Tensor;
  /** [..., T_q, T_k], as the values met them: after dropout. */
  readonly weights: Tensor;
}

const op = 'scaledDotProductAttention';

interface Seen {
  readonly causal: boolean;
  /** bool, besides causality. */
  readonly mask: Tensor | null;
}

/**
 * softmax(scale · q kᵀ + bias, over the keys that a query may see) v. Without bias, cap and dropout it is one fused op, which
 * never holds the T_q × T_k matrix.
 * @param q [..., T_q, d]
 * @param k [..., T_k, d]
 * @param v [..., T_k, d_v]; leading axes of all three broadcast
 * @returns [..., T_q, d_v]
 * @throws ShapeError, DTypeError for tensors that do not fit, ValueError for options that make no sense
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor {
  check([q, k, v], options);
  const { bias, scale, softcap, dropout = 0 } = options;
  if (bias || softcap || dropout > 0) return composed(q, k, v, options).output;
  const { mask, causal } = seenBy(q, k, options);
  return fusedAttention(q, k, v, { mask: mask ?? undefined, scale, causal });
}

/** The same, and the weights too. */
export function attentionWithWeights(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): WeightedAttention {
  check([q, k, v], options);
  return composed(q, k, v, options);
}

function composed(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): WeightedAttention {
  const { bias, scale = 1 / Math.sqrt(q.shape.at(-1)!), softcap, dropout = 0, key } = options;
  let scores = q.mul(scale).matmul(k.transpose());
  if (softcap) scores = scores.div(softcap).tanh().mul(softcap);
  if (bias) scores = scores.add(bias);
  const { mask, causal } = seenBy(q, k, options);
  const [queries, keys] = scores.shape.slice(-2) as [number, number];
  const below = causal && queries > 1 ? scores.triangleMask(keys - queries) : null;
  const visible = mask && below ? below.logicalAnd(mask) : (mask ?? below);
  let weights: Tensor;
  if (!visible) weights = scores.softmax(-1);
  else if (!mask) weights = visible.where(scores, -Infinity).softmax(-1);
  else {
    // Lines of -Infinity have no softmax: they see everything, and what comes of it is replaced.
    const any = visible.any(-1, true);
    const seen = visible.logicalOr(any.logicalNot()).where(scores, -Infinity);
    weights = any.where(seen.softmax(-1), 0);
  }
  if (dropout > 0) {
    const kept = key!.bernoulli(1 - dropout, weights.shape);
    weights = kept.where(dropout === 1 ? weights : weights.mul(1 / (1 - dropout)), 0);
  }
  return { output: weights.matmul(v), weights };
}

function seenBy(q: Tensor, k: Tensor, { mask, causal = false, window }: AttentionOptions): Seen {
  const sizes = { queries: q.shape.at(-2)!, keys: k.shape.at(-2)!, backend: q.backend };
  // A window as wide as the keys hides nothing that causality does not.
  const within = window == null ? null : windowMask(window);
  const parts: Tensor[] = [];
  if (within && window! < sizes.keys) parts.push(within.beside(sizes)!);
  if (mask instanceof AttentionMask) {
    const beside = mask.beside(sizes);
    if (beside) parts.push(beside);
  } else if (mask) parts.push(mask);
  return {
    causal: causal || within !== null || (mask instanceof AttentionMask && mask.causal),
    mask: parts.length === 0 ? null : parts.reduce((a, b) => a.logicalAnd(b)),
  };
}

function check(operands: readonly [Tensor, Tensor, Tensor], options: AttentionOptions): void {
  const { mask, causal, window, softcap, dropout = 0, key } = options;
  const ordered = causal || window != null || (mask instanceof AttentionMask && mask.causal);
  checkOperands(op, operands, ordered);
  if (mask && !(mask instanceof AttentionMask))
    checkMask(op, mask, 'true where a query may see a key; numbers to add to the scores are a bias');
  if (softcap != null && !(softcap > 0 && softcap < Infinity))
    throw new ValueError(op, `softcap must be a number > 0, got ${softcap}`);
  if (!(dropout >= 0 && dropout <= 1)) throw new ValueError(op, `dropout must lie in [0, 1], got ${dropout}`);
  if (dropout > 0 && !key)
    throw new ValueError(op, 'needs a key where weights are dropped', { operands, hint: 'pass { key }' });
}
