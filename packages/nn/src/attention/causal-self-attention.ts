/** Causal self-attention as LLaMA has it. */
import { ShapeError, Tensor, type FloatDType, type Key } from '@infinigrad/tensor';
import type { InitStd } from '../init.ts';
import type { RotaryEmbedding } from '../positions/rope.ts';
import { MultiHeadAttention } from './multi-head.ts';
import type { MultiHeadAttentionInputs } from './multi-head-options.ts';

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
export class CausalSelfAttention extends MultiHeadAttention {
  constructor(
    dim: number,
    { numHeads, numKvHeads, headDim, key, std, rope, dtype }: CausalSelfAttentionOptions,
  ) {
    const options = { numHeads, numKvHeads, headDim, key, std, rope, dtype };
    super(dim, { ...options, bias: false, causal: true }, 'CausalSelfAttention');
  }

  /**
   * @param x [batch, T, dim], or [T, dim] for one sequence
   * @param inputs as in `MultiHeadAttention`, or alone bool [batch, T] (or [T]), false for tokens that no query may see (padding)
   * @returns of x's shape
   */
  override forward(x: Tensor, inputs: MultiHeadAttentionInputs | Tensor = {}): Tensor {
    if (!(inputs instanceof Tensor)) return super.forward(x, inputs);
    if (inputs.rank !== x.rank - 1)
      throw new ShapeError(
        'CausalSelfAttention',
        x.rank === 3
          ? `the mask must be [${x.shape.slice(0, 2).join(', ')}]`
          : 'needs [batch, T, dim] or [T, dim]',
        { operands: [x, inputs] },
      );
    return super.forward(x, { keyMask: inputs });
  }
}
