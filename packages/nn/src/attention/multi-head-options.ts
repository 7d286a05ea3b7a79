/** What multi-head attention can be made with, and called with. */
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import type { InitStd } from '../init.ts';
import type { Positions } from '../positions/positions.ts';
import type { RotaryEmbedding } from '../positions/rope.ts';
import type { ScorePositions } from '../positions/score-positions.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import type { AttentionMask } from './masks.ts';

export interface MultiHeadAttentionOptions {
  readonly numHeads: number;
  /** Heads of keys and values; each serves numHeads / numKvHeads neighbouring query heads. Default numHeads. */
  readonly numKvHeads?: number | undefined;
  /** Default dim / numHeads. */
  readonly headDim?: number | undefined;
  /** Width of the sequence that keys and values are made of. Default dim. */
  readonly kvDim?: number | undefined;
  /** Biases of the projections of queries, keys and values. Default true. */
  readonly bias?: boolean | undefined;
  /** Bias of the last projection. Default as `bias`. */
  readonly outBias?: boolean | undefined;
  /** No token sees a later one. Default false. */
  readonly causal?: boolean | undefined;
  /** Each token sees the last so many up to itself; causal. Default null: all. */
  readonly window?: number | null | undefined;
  /** Factor of the scores. Default 1/√headDim. */
  readonly scale?: number | undefined;
  /** Scores s become c · tanh(s / c). Default null. */
  readonly softcap?: number | null | undefined;
  /** Turns queries and keys by their positions. Default null. */
  readonly rope?: RotaryEmbedding | null | undefined;
  /** Positions in the scores; one may serve several layers. Default null. */
  readonly scorePositions?: ScorePositions | null | undefined;
  /** Norm of each head's queries and of its keys, before they are turned (arXiv 2302.05442; Qwen 3). Default null. */
  readonly qkNorm?: 'rms' | 'layer' | null | undefined;
  /** Of those norms. Default 1e-6. */
  readonly qkNormEps?: number | undefined;
  /** Weights dropped in training. Default 0. */
  readonly dropout?: number | undefined;
  /** Decides the initial weights. */
  readonly key: Key;
  /** As in `Linear`, for all four projections. */
  readonly std?: InitStd | undefined;
  /** Default f32. */
  readonly dtype?: FloatDType | undefined;
}

export interface MultiHeadAttentionInputs {
  /** What keys and values are made of, [batch, S, kvDim] (or [S, kvDim]). Default: x itself. */
  readonly context?: Tensor | undefined;
  /**
   * Which tokens a token may see: a mask, or bool that broadcasts to [batch, numHeads, T, S]. One that sees none gets
   * zeros. With a cache the keys are those it keeps and those of this call.
   */
  readonly mask?: AttentionMask | Tensor | null | undefined;
  /** Added to the scores, broadcasts to [batch, numHeads, T, S]: positions or pairs that the caller has numbers for. */
  readonly bias?: Tensor | null | undefined;
  /** bool [batch, S] (or [S]), false for tokens that nobody may see (padding). */
  readonly keyMask?: Tensor | null | undefined;
  /**
   * Of a causal layer: so many keys at the beginning of each row are seen by all its tokens, as in a prefix language model
   * (arXiv 1910.10683, figure 4). Default none. Neither with a window nor with positions in the scores, which know no later keys.
   */
  readonly prefix?: readonly number[] | undefined;
  /** Where the tokens stand, for `rope`. Default: after those in the cache, or from 0. */
  readonly positions?: Positions | undefined;
  /**
   * What was read before; this call's tokens come after it, and are read into it. With a context: its keys and values, made in
   * the first call and used in all further ones.
   */
  readonly cache?: KeyValueCache | null | undefined;
  /** Decides what is dropped in training; a fresh one for every call. */
  readonly key?: Key | undefined;
}
