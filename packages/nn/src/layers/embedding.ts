/** Embeddings: a learned vector for each of a finite set of tokens. */
import { DTypeError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface EmbeddingOptions {
  /** Decides the initial vectors. */
  readonly key: Key;
  /** Standard deviation of the initial normal values. Default 1. */
  readonly std?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  /** [numEmbeddings, embeddingDim]. */
  readonly weight: Parameter;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    { key, std = 1, dtype = 'f32' }: EmbeddingOptions,
  ) {
    super();
    checkSizes('Embedding', { numEmbeddings, embeddingDim });
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.weight = new Parameter(key.normal([numEmbeddings, embeddingDim], { std, dtype }));
  }

  /**
   * The vectors of integer ids of any shape: [...] → [..., embeddingDim].
   * @throws DTypeError for ids that are not integers, IndexError for ids outside 0 … numEmbeddings - 1
   */
  forward(ids: Tensor): Tensor {
    if (ids.dtype !== 'i32' && ids.dtype !== 'u8')
      throw new DTypeError('Embedding', 'ids must be integers', {
        operands: [ids],
        hint: "cast('i32') converts",
      });
    return this.weight.indexSelect(0, ids);
  }
}
