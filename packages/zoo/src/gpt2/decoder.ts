/** Decoders with learned positions (GPT-2, GPT-Neo), and language models of them. */
import { Dropout, Embedding, KeyValueCache, LayerNorm, Linear, type Positions } from '@infinigrad/nn';
import {
  arange,
  DTypeError,
  fromData,
  ShapeError,
  ValueError,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { throughBlocks, type BlocksOutput } from '../core/blocks.ts';
import { headLogits, type CausalLM, type CausalLMOptions, type CausalLMOutput } from '../core/causal-lm.ts';
import { decoderInputs, checkedTokens } from '../core/decoder-inputs.ts';
import { keyValueCaches, type ModelCache, type ModelCacheOptions } from '../core/model-cache.ts';
import { PretrainedModel, type ModelInit } from '../core/pretrained.ts';
import { GPTBlock, type GPTSizes } from './block.ts';

export type GPTModelOutput = BlocksOutput;

/** A decoder without its head. */
export abstract class GPTModel<C extends object> extends PretrainedModel<C> {
  /** [vocabSize, hiddenSize]. */
  readonly wte: Embedding;
  /** [positions, hiddenSize]. */
  readonly wpe: Embedding;
  readonly drop: Dropout;
  readonly h: readonly GPTBlock[];
  readonly lnF: LayerNorm;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;
  /** What errors name. */
  protected readonly name: string;

  constructor(config: C, sizes: GPTSizes, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(config);
    const { hiddenSize, layers, std } = sizes;
    const keys = key.split(layers + 2);
    this.wte = new Embedding(sizes.vocabSize, hiddenSize, { key: keys[0]!, std, dtype });
    this.wpe = new Embedding(sizes.positions, hiddenSize, { key: keys[1]!, std, dtype });
    this.drop = new Dropout(sizes.embeddingDropout);
    this.h = Array.from({ length: layers }, (_, i) => new GPTBlock(sizes, i, keys[i + 2]!, dtype));
    this.lnF = new LayerNorm(hiddenSize, { eps: sizes.epsilon, dtype });
    this.name = sizes.name;
  }

  /**
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit, also for more tokens than there
   * are positions
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): GPTModelOutput {
    const { name, h } = this;
    checkedTokens(name, inputIds);
    const { cache, key, outputHiddenStates, outputAttentions } = options;
    const inputs = decoderInputs(name, inputIds, h.length, options);
    const saving = this.gradientCheckpointing && this.training && !cache;
    const embedded = this.wte.forward(inputIds).add(this.wpe.forward(this.#positions(inputIds, options)));
    const dropped = this.drop.forward(embedded, key?.foldIn(h.length));
    return throughBlocks(dropped, h, this.lnF, inputs, { outputHiddenStates, outputAttentions, saving });
  }

  newCache(options: ModelCacheOptions = {}): ModelCache {
    return keyValueCaches(this.h.length, options);
  }

  /** Where the tokens stand, i32 [length] or [batch, length]. */
  #positions(inputIds: Tensor, { positionIds, cache }: CausalLMOptions): Tensor {
    const { name } = this;
    const [batch, length] = inputIds.shape as readonly [number, number];
    if (positionIds) {
      const operands = [inputIds, positionIds];
      if (positionIds.dtype !== 'i32') throw new DTypeError(name, 'positionIds must be i32', { operands });
      const shape = positionIds.shape.join();
      if (shape !== `${length}` && shape !== `${batch},${length}`)
        throw new ShapeError(name, `positionIds must be [${length}] or [${batch}, ${length}]`, { operands });
      return positionIds;
    }
    const first = cache?.layers[0];
    const start: Positions = first instanceof KeyValueCache ? first.position : 0;
    const starts = typeof start === 'number' ? [start] : (start as readonly number[]);
    const end = Math.max(...starts) + length;
    if (end > this.wpe.numEmbeddings)
      throw new ValueError(name, `${end} tokens, and positions for ${this.wpe.numEmbeddings}`, {
        operands: [inputIds],
        hint: 'cut the text, or read its parts on their own',
      });
    const { backend } = inputIds;
    if (typeof start === 'number') return arange(start, end, 1, { dtype: 'i32', backend });
    const rows = starts.flatMap((from) => Array.from({ length }, (_, i) => Math.max(0, from + i)));
    return fromData(Int32Array.from(rows), [starts.length, length], { backend });
  }
}

/** What the head of a language model is made of. */
export interface GPTHead extends ModelInit {
  readonly tied: boolean;
  readonly std: number;
  readonly key: Key;
}

/** A decoder and its head. */
export abstract class GPTLanguageModel<C extends object, Base extends GPTModel<C>>
  extends PretrainedModel<C>
  implements CausalLM
{
  readonly transformer: Base;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;

  constructor(transformer: Base, { tied, key, std, dtype = 'f32' }: GPTHead) {
    super(transformer.config);
    const { embeddingDim, numEmbeddings } = transformer.wte;
    this.transformer = transformer;
    this.lmHead = tied ? null : new Linear(embeddingDim, numEmbeddings, { key, bias: false, std, dtype });
  }

  /**
   * Next-token logits.
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit, also for more tokens than there
   * are positions
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): CausalLMOutput {
    const { lastHiddenState: x, ...further } = this.transformer.forward(inputIds, options);
    return {
      logits: headLogits(x, options.lastLogits, this.lmHead, this.transformer.wte),
      ...further,
    };
  }

  newCache(options: ModelCacheOptions = {}): ModelCache {
    return this.transformer.newCache(options);
  }

  get gradientCheckpointing(): boolean {
    return this.transformer.gradientCheckpointing;
  }

  set gradientCheckpointing(on: boolean) {
    this.transformer.gradientCheckpointing = on;
  }
}
