/** Scaled dot-product attention under a causal mask. */
import { arange, ShapeError, ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { Linear } from './linear.ts';
import type { RotaryEmbedding } from './rope.ts';

export interface CausalAttentionOptions {
  /** bool, broadcasting against [..., queries, keys]: false where a key must not be seen. */
  readonly mask?: Tensor;
  /** Factor on the scores. Default 1/√d. */
  readonly scale?: number;
}

/**
 * softmax(scale · q kᵀ) v where no query sees a later key (Vaswani et al., arXiv 1706.03762, eq. 1).
 * q [..., queries, d], k [..., keys, d], v [..., keys, d_v] → [..., queries, d_v]. With fewer queries than keys they
 * stand at the end. A query that may see no key at all gives zeros.
 */
export function causalAttention(q: Tensor, k: Tensor, v: Tensor, { mask, scale }: CausalAttentionOptions = {}): Tensor {
  const [queries, d] = q.shape.slice(-2) as [number, number];
  const keys = k.shape.at(-2)!;
  if (queries > keys) throw new ShapeError('causalAttention', 'more queries than keys', { operands: [q, k] });
  const scores = q.mul(scale ?? 1 / Math.sqrt(d)).matmul(k.transpose());
  const seen = causalMask(queries, keys);
  if (!mask) return seen.where(scores, -Infinity).softmax().matmul(v);
  // Masked scores are very low rather than -Infinity, so that a row without any key stays finite; it is zeroed after.
  const allowed = seen.logicalAnd(mask);
  const weights = allowed.where(scores, -1e30).softmax();
  return allowed.where(weights, 0).matmul(v);
}

const masks = new Map<string, Tensor>();

/** bool [queries, keys]: key ≤ query, aligned at the end. */
function causalMask(queries: number, keys: number): Tensor {
  const name = `${queries} ${keys}`;
  let mask = masks.get(name);
  if (!mask) {
    mask = arange(keys).unsqueeze(0).le(arange(keys - queries, keys).unsqueeze(1));
    if (masks.size >= 64) masks.clear();
    masks.set(name, mask);
  }
  return mask;
}

export interface CausalSelfAttentionOptions {
  readonly numHeads: number;
  /** Each serves numHeads / numKvHeads neighbouring query heads. Default numHeads. */
  readonly numKvHeads?: number;
  /** Default dim / numHeads. */
  readonly headDim?: number;
  readonly key: Key;
  /** Standard deviation of the weights. Default: PyTorch's uniform initialisation. */
  readonly std?: number;
  /** Positions; none unless given. */
  readonly rope?: RotaryEmbedding | null;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** Multi-head causal self-attention without biases, [batch, length, dim] → the same. */
export class CausalSelfAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;
  private readonly numHeads: number;
  private readonly numKvHeads: number;
  private readonly headDim: number;
  private readonly rope: RotaryEmbedding | null;

  constructor(dim: number, options: CausalSelfAttentionOptions) {
    super();
    const { numHeads, numKvHeads = numHeads, headDim = dim / numHeads, key, std, rope = null, dtype = 'f32' } = options;
    if (!Number.isInteger(headDim)) throw new ValueError('CausalSelfAttention', `dim ${dim} does not divide into ${numHeads} heads`);
    if (numHeads % numKvHeads !== 0)
      throw new ValueError('CausalSelfAttention', `numHeads ${numHeads} is not a multiple of numKvHeads ${numKvHeads}`);
    const keys = key.split(4) as [Key, Key, Key, Key];
    const linear = (inputs: number, outputs: number, k: Key): Linear =>
      new Linear(inputs, outputs, { key: k, bias: false, dtype, ...(std !== undefined && { std }) });
    this.qProj = linear(dim, numHeads * headDim, keys[0]);
    this.kProj = linear(dim, numKvHeads * headDim, keys[1]);
    this.vProj = linear(dim, numKvHeads * headDim, keys[2]);
    this.oProj = linear(numHeads * headDim, dim, keys[3]);
    this.numHeads = numHeads;
    this.numKvHeads = numKvHeads;
    this.headDim = headDim;
    this.rope = rope;
  }

  /** @param mask bool [batch, length], false for padding, which is not attended to */
  forward(x: Tensor, mask?: Tensor): Tensor {
    const { numHeads, numKvHeads, headDim, rope } = this;
    if (x.rank !== 3) throw new ShapeError('CausalSelfAttention', 'needs [batch, length, dim]', { operands: [x] });
    const [batch, length] = x.shape as readonly [number, number, number];
    const split = (y: Tensor, heads: number): Tensor => y.reshape([batch, length, heads, headDim]).permute([0, 2, 1, 3]);
    const turn = (y: Tensor): Tensor => (rope ? rope.apply(y) : y);
    const q = turn(split(this.qProj.forward(x), numHeads));
    const k = repeatHeads(turn(split(this.kProj.forward(x), numKvHeads)), numHeads);
    const v = repeatHeads(split(this.vProj.forward(x), numKvHeads), numHeads);
    const attended = causalAttention(q, k, v, mask ? { mask: mask.reshape([batch, 1, 1, length]) } : {});
    return this.oProj.forward(attended.permute([0, 2, 1, 3]).reshape([batch, length, numHeads * headDim]));
  }
}

/** [batch, kvHeads, ...] → [batch, heads, ...], each head repeated for its neighbouring queries: 0, 0, 1, 1, … */
export function repeatHeads(x: Tensor, heads: number): Tensor {
  const [batch, kvHeads, ...rest] = x.shape as readonly [number, number, ...number[]];
  if (kvHeads === heads) return x;
  return x.unsqueeze(2).expand([batch, kvHeads, heads / kvHeads, ...rest]).reshape([batch, heads, ...rest]);
}
