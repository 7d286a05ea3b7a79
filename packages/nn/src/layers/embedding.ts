/** Learned vectors for token ids. */
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface EmbeddingOptions {
  readonly key: Key;
  /** Standard deviation of the initial vectors. Default 1, as PyTorch. */
  readonly std?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** ids (i32) [...] → [..., embeddingDim]. An id outside 0 … numEmbeddings - 1 is an IndexError. */
export class Embedding extends Module {
  /** [numEmbeddings, embeddingDim]. */
  readonly weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, { key, std = 1, dtype = 'f32' }: EmbeddingOptions) {
    super();
    this.weight = new Parameter(key.normal([numEmbeddings, embeddingDim], { std, dtype }));
  }

  forward(ids: Tensor): Tensor {
    return this.weight.indexSelect(0, ids);
  }
}
