/** Causal scaled-dot-product attention, and the self-attention layer around it. */
import {
  DTypeError,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes, type InitStd } from '../init.ts';
import { Linear } from './linear.ts';
import { Module } from '../module.ts';
import type { RotaryEmbedding } from './rope.ts';

export interface CausalAttentionOptions {
  /**
   * bool, broadcasts to [..., T_q, T_k]; false where a query must not see a key. A query that sees no key at all
   * gets zeros, and gives none of its gradient on.
   */
  readonly mask?: Tensor;
  /** Factor of the scores. Default 1/√d. */
  readonly scale?: number;
}

/**
 * softmax(scale · q kᵀ, over the keys not later than the query) v.
 * @param q [..., T_q, d]
 * @param k [..., T_k, d], T_k ≥ T_q: the last query stands beside the last key
 * @param v [..., T_k, d_v]; leading axes of all three broadcast
 * @returns [..., T_q, d_v]
 */
export function causalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { mask, scale }: CausalAttentionOptions = {},
): Tensor {
  const operands = [q, k, v];
  if (operands.some((x) => x.rank < 2))
    throw new ShapeError('causalAttention', 'needs queries, keys and values [..., T, d]', { operands });
  const [queries, d] = q.shape.slice(-2) as [number, number];
  const keys = k.shape.at(-2)!;
  if (k.shape.at(-1) !== d)
    throw new ShapeError('causalAttention', 'queries and keys differ in size', { operands });
  if (v.shape.at(-2) !== keys)
    throw new ShapeError('causalAttention', 'keys and values differ in number', { operands });
  if (queries > keys)
    throw new ShapeError('causalAttention', `${queries} queries for ${keys} keys`, {
      operands,
      hint: 'the last query stands beside the last key',
    });
  if (mask && mask.dtype !== 'bool')
    throw new DTypeError('causalAttention', 'the mask must be bool', {
      operands: [mask],
      hint: 'true where a query may see a key',
    });
  // The op also gives the log-sum-exp of each query's scores, in a last column.
  return q.attention(k, v, { mask, scale, causal: true }).narrow(-1, 0, v.shape.at(-1)!);
}

export interface CausalSelfAttentionOptions {
  readonly numHeads: number;
  /** Heads of keys and values; each serves numHeads / numKvHeads neighbouring query heads. Default numHeads. */
  readonly numKvHeads?: number;
  /** Default dim / numHeads. */
  readonly headDim?: number;
  /** Decides the initial weights. */
  readonly key: Key;
  /** As in `Linear`, for all four projections. */
  readonly std?: InitStd;
  /** Turns queries and keys by their positions. Default null: no positions. */
  readonly rope?: RotaryEmbedding | null;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** Multi-head causal self-attention, without biases; with fewer key-value heads: grouped-query attention (arXiv 2305.13245). */
export class CausalSelfAttention extends Module {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly rope: RotaryEmbedding | null;
  /** [numHeads · headDim, dim]. */
  readonly qProj: Linear;
  /** [numKvHeads · headDim, dim]. */
  readonly kProj: Linear;
  /** [numKvHeads · headDim, dim]. */
  readonly vProj: Linear;
  /** [dim, numHeads · headDim]. */
  readonly oProj: Linear;

  constructor(dim: number, options: CausalSelfAttentionOptions) {
    super();
    const {
      numHeads,
      numKvHeads = numHeads,
      headDim = dim / numHeads,
      key,
      std,
      rope = null,
      dtype = 'f32',
    } = options;
    checkSizes('CausalSelfAttention', { dim, numHeads, numKvHeads, headDim });
    if (numHeads % numKvHeads !== 0)
      throw new ValueError(
        'CausalSelfAttention',
        `numHeads ${numHeads} is not a multiple of numKvHeads ${numKvHeads}`,
      );
    if (rope && rope.headDim !== headDim)
      throw new ValueError(
        'CausalSelfAttention',
        `the rotary embedding is for headDim ${rope.headDim}, not ${headDim}`,
      );
    const keys = key.split(4) as [Key, Key, Key, Key];
    const linear = (inputs: number, outputs: number, k: Key): Linear =>
      new Linear(inputs, outputs, { key: k, bias: false, dtype, ...(std !== undefined && { std }) });
    this.numHeads = numHeads;
    this.numKvHeads = numKvHeads;
    this.headDim = headDim;
    this.rope = rope;
    this.qProj = linear(dim, numHeads * headDim, keys[0]);
    this.kProj = linear(dim, numKvHeads * headDim, keys[1]);
    this.vProj = linear(dim, numKvHeads * headDim, keys[2]);
    this.oProj = linear(numHeads * headDim, dim, keys[3]);
  }

  /**
   * @param x [batch, T, dim], or [T, dim] for one sequence
   * @param mask bool [batch, T] (or [T]), false for tokens that no query may see (padding)
   * @returns of x's shape
   */
  forward(x: Tensor, mask?: Tensor): Tensor {
    const { numHeads, numKvHeads, headDim, rope } = this;
    if (x.rank === 2 && (!mask || mask.rank === 1))
      return this.forward(x.unsqueeze(0), mask?.unsqueeze(0)).squeeze(0);
    if (x.rank !== 3)
      throw new ShapeError('CausalSelfAttention', 'needs [batch, T, dim] or [T, dim]', {
        operands: mask ? [x, mask] : [x],
      });
    const [batch, length] = x.shape as readonly [number, number, number];
    if (mask && !(mask.rank === 2 && mask.shape[0] === batch && mask.shape[1] === length))
      throw new ShapeError('CausalSelfAttention', `the mask must be [${batch}, ${length}]`, {
        operands: [x, mask],
      });
    // [batch, kvHeads, group, T, headDim]: the query heads of a group meet their keys by broadcasting.
    const split = (y: Tensor, group: number): Tensor =>
      y.reshape([batch, length, numKvHeads, group, headDim]).permute([0, 2, 3, 1, 4]);
    const group = numHeads / numKvHeads;
    const q = split(this.qProj.forward(x), group);
    const k = split(this.kProj.forward(x), 1);
    const v = split(this.vProj.forward(x), 1);
    const turned = (y: Tensor): Tensor => (rope ? rope.apply(y) : y);
    const keyMask = mask?.reshape([batch, 1, 1, 1, length]);
    const mixed = causalAttention(turned(q), turned(k), v, keyMask ? { mask: keyMask } : {});
    return this.oProj.forward(mixed.permute([0, 3, 1, 2, 4]).reshape([batch, length, numHeads * headDim]));
  }
}
