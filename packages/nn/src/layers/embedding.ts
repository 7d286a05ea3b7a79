/** Embeddings: a learned vector for each of a finite set of tokens. */
import {
  DTypeError,
  IndexError,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface EmbeddingOptions {
  /** Decides the initial vectors. */
  readonly key: Key;
  /** Standard deviation of the initial normal values. Default 1. */
  readonly std?: number;
  /** A token whose vector starts as zeros and receives no gradient from `forward`. Default none. */
  readonly paddingIndex?: number;
  /** What vectors are multiplied by; `Math.sqrt(embeddingDim)` in the Transformer (arXiv 1706.03762, section 3.4). Default 1. */
  readonly scale?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIndex: number | null;
  readonly scale: number;
  /** [numEmbeddings, embeddingDim]. */
  readonly weight: Parameter;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    { key, std = 1, paddingIndex, scale = 1, dtype = 'f32' }: EmbeddingOptions,
  ) {
    super();
    checkSizes('Embedding', { numEmbeddings, embeddingDim });
    if (!Number.isFinite(scale))
      throw new ValueError('Embedding', `the scale must be a number, got ${scale}`);
    const pad = paddingIndex ?? null;
    if (pad !== null && !(Number.isInteger(pad) && pad >= 0 && pad < numEmbeddings))
      throw new IndexError('Embedding', `paddingIndex ${pad} is out of range for ${numEmbeddings} tokens`);
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIndex = pad;
    this.scale = scale;
    const drawn = key.normal([numEmbeddings, embeddingDim], { std, dtype });
    this.weight = new Parameter(pad === null ? drawn : drawn.indexFill(0, [pad], 0));
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
    const { paddingIndex, scale } = this;
    const found = this.weight.indexSelect(0, ids);
    const y = paddingIndex === null ? found : ids.ne(paddingIndex).unsqueeze(-1).where(found, found.detach());
    return scale === 1 ? y : y.mul(scale);
  }

  /**
   * The table the other way round, as an output head that is tied to it: x · weightᵀ, [..., embeddingDim] → [..., numEmbeddings]. Not
   * scaled.
   * @throws ShapeError where the last axis is not of size embeddingDim
   */
  attend(x: Tensor): Tensor {
    if (x.shape.at(-1) !== this.embeddingDim)
      throw new ShapeError('Embedding', `the last axis must have size ${this.embeddingDim}`, {
        operands: [x, this.weight],
      });
    return x.linear(this.weight);
  }
}
