/** What decoder language models take and give. */
import type { AttentionMask, Embedding, Linear } from '@infinigrad/nn';
import type { Key, Tensor } from '@infinigrad/tensor';
import type { ModelCache, ModelCacheOptions } from './model-cache.ts';

export interface CausalLMOptions {
  /**
   * bool or integers [batch, length so far], 0 for padding; or who may see whom beside causality: `documentMask(documents)` for
   * documents packed into rows, whose `positionIds` then count from 0 in each.
   */
  readonly attentionMask?: Tensor | AttentionMask | undefined;
  /** Where the tokens stand, i32 [length] or [batch, length]. Default: after those read, padding apart. */
  readonly positionIds?: Tensor | undefined;
  /**
   * So many tokens at the beginning of each row are seen by all of it: a prefix language model. Padding on the left counts; with a cache
   * the first call must hold them whole. Default none. For LLaMA, GPT-2 and GLM: windows and relative positions know no later tokens.
   */
  readonly prefix?: readonly number[] | undefined;
  /** What was read before; this call's tokens are read into it. */
  readonly cache?: ModelCache | undefined;
  /** Give the hidden states too: of the embedding, and after each block, the last one normalised. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
  /** Give the weights of attention too. Default false. */
  readonly outputAttentions?: boolean | undefined;
  /** How many of the last positions need logits. Default all. */
  readonly lastLogits?: number | undefined;
  /** Decides what dropout drops in training; a fresh one for every call. */
  readonly key?: Key | undefined;
}

export interface CausalLMOutput {
  /** [batch, length or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  /** Each [batch, length, hiddenSize]. */
  readonly hiddenStates?: readonly Tensor[];
  /** One a layer, [batch, heads, length, length so far]. */
  readonly attentions?: readonly Tensor[];
}

/** A decoder language model, as generation sees it. */
export interface CausalLM {
  forward(inputIds: Tensor, options?: CausalLMOptions): CausalLMOutput;
  newCache(options?: ModelCacheOptions): ModelCache;
}

/** Logits of the last positions of x [batch, length, hiddenSize]; where there is no head of its own, the embedding is it. */
export function headLogits(
  x: Tensor,
  lastLogits: number | undefined,
  head: Linear | null,
  embedding: Embedding,
): Tensor {
  const length = x.shape[1]!;
  const last =
    lastLogits === undefined || lastLogits === length ? x : x.narrow(1, length - lastLogits, lastLogits);
  return head ? head.forward(last) : embedding.attend(last);
}
