/**
 * LLaMA (arXiv 2302.13971, 2307.09288, 2407.21783) and what is built like it: SmolLM, TinyLlama and many more.
 *
 * - Decoder of pre-norm blocks: RMSNorm, attention, RMSNorm, gated feed-forward layer (SwiGLU).
 * - Rotary positions over halves, with every scaling that Hugging Face knows.
 * - Heads of keys and values may be fewer than those of queries; a head may be of any even size.
 * - Caches that grow or are of fixed size, rows padded on the left, documents packed into rows, gradient checkpointing.
 * - Keys, shapes and numbers are Hugging Face's.
 */
import {
  Embedding,
  GatedMLP,
  Linear,
  Module,
  MultiHeadAttention,
  RMSNorm,
  RotaryEmbedding,
  type MultiHeadAttentionInputs,
} from '@infinigrad/nn';
import type { Key, Tensor } from '@infinigrad/tensor';
import { throughBlocks, type BlocksOutput } from '../core/blocks.ts';
import { activationNamed } from '../core/activations.ts';
import { headLogits, type CausalLM, type CausalLMOptions, type CausalLMOutput } from '../core/causal-lm.ts';
import { decoderInputs, checkedTokens } from '../core/decoder-inputs.ts';
import { keyValueCaches, type ModelCache, type ModelCacheOptions } from '../core/model-cache.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { llamaSchema, type LlamaConfig, type LlamaOptions } from './config.ts';

export class LlamaBlock extends Module {
  readonly inputLayernorm: RMSNorm;
  readonly selfAttn: MultiHeadAttention;
  readonly postAttentionLayernorm: RMSNorm;
  readonly mlp: GatedMLP;

  constructor(config: LlamaConfig, rope: RotaryEmbedding, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super();
    const { hiddenSize, rmsNormEps: eps, initializerRange: std } = config;
    const [attention, mlp] = key.split(2) as [Key, Key];
    this.inputLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.selfAttn = new MultiHeadAttention(hiddenSize, {
      numHeads: config.numAttentionHeads,
      numKvHeads: config.numKeyValueHeads,
      headDim: config.headDim,
      bias: config.attentionBias,
      causal: true,
      dropout: config.attentionDropout,
      rope,
      key: attention,
      std,
      dtype,
    });
    this.postAttentionLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.mlp = new GatedMLP(hiddenSize, config.intermediateSize, {
      activation: activationNamed(config.hiddenAct),
      bias: config.mlpBias,
      key: mlp,
      std,
      dtype,
    });
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    return this.#finish(x, this.selfAttn.forward(this.inputLayernorm.forward(x), inputs));
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): { output: Tensor; weights: Tensor } {
    const { output, weights } = this.selfAttn.forwardWithWeights(this.inputLayernorm.forward(x), inputs);
    return { output: this.#finish(x, output), weights };
  }

  #finish(x: Tensor, attended: Tensor): Tensor {
    const middle = x.add(attended);
    return middle.add(this.mlp.forward(this.postAttentionLayernorm.forward(middle)));
  }
}

export type LlamaModelOutput = BlocksOutput;

/** The decoder without its head. */
export class LlamaModel extends PretrainedModel<LlamaConfig> {
  static readonly meta: ModelMeta<LlamaConfig> = {
    architecture: 'LlamaModel',
    config: llamaSchema,
    keyMap: [],
    basePrefix: 'model.',
    ignored: [/rotary_emb\.inv_freq$/, /^lm_head\.weight$/],
    shape: ({ numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim }) => ({
      layers: numHiddenLayers,
      heads: numAttentionHeads,
      kvHeads: numKeyValueHeads,
      keyDim: headDim,
      valueDim: headDim,
      tiedHead: 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly LlamaBlock[];
  readonly norm: RMSNorm;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  constructor(options: LlamaOptions, key: Key, init: ModelInit = {}) {
    super(llamaSchema.make(options));
    const { vocabSize, hiddenSize, numHiddenLayers, initializerRange: std, rmsNormEps: eps } = this.config;
    const { headDim, ropeTheta: base, ropeScaling } = this.config;
    const { dtype = 'f32' } = init;
    const keys = key.split(numHiddenLayers + 1);
    const rope = new RotaryEmbedding(headDim, { base, scaling: ropeScaling });
    this.embedTokens = new Embedding(vocabSize, hiddenSize, { key: keys[0]!, std, dtype });
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, i) => new LlamaBlock(this.config, rope, keys[i + 1]!, init),
    );
    this.norm = new RMSNorm(hiddenSize, { eps, dtype });
  }

  /**
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): LlamaModelOutput {
    checkedTokens('LlamaModel', inputIds);
    const { cache, outputHiddenStates, outputAttentions } = options;
    const inputs = decoderInputs('LlamaModel', inputIds, this.layers.length, options);
    const saving = this.gradientCheckpointing && this.training && !cache;
    return throughBlocks(this.embedTokens.forward(inputIds), this.layers, this.norm, inputs, {
      outputHiddenStates,
      outputAttentions,
      saving,
    });
  }

  newCache(options: ModelCacheOptions = {}): ModelCache {
    return keyValueCaches(this.layers.length, options);
  }
}

export class LlamaForCausalLM extends PretrainedModel<LlamaConfig> implements CausalLM {
  static readonly meta: ModelMeta<LlamaConfig> = {
    ...LlamaModel.meta,
    architecture: 'LlamaForCausalLM',
    ignored: [/rotary_emb\.inv_freq$/],
    tied: ({ tieWordEmbeddings }) =>
      tieWordEmbeddings ? [['model.embed_tokens.weight', 'lm_head.weight']] : [],
    shape: (config) => ({
      ...LlamaModel.meta.shape!(config),
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.hiddenSize : 0,
    }),
  };

  readonly model: LlamaModel;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange` */
  constructor(options: LlamaOptions, key: Key, init: ModelInit = {}) {
    const config = llamaSchema.make(options);
    super(config);
    const { vocabSize, hiddenSize, initializerRange: std } = config;
    const { dtype = 'f32' } = init;
    const [base, head] = key.split(2) as [Key, Key];
    this.model = new LlamaModel(config, base, init);
    this.lmHead = config.tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: head, bias: false, std, dtype });
  }

  /**
   * Next-token logits.
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): CausalLMOutput {
    const { lastHiddenState: x, ...further } = this.model.forward(inputIds, options);
    return {
      logits: headLogits(x, options.lastLogits, this.lmHead, this.model.embedTokens),
      ...further,
    };
  }

  newCache(options: ModelCacheOptions = {}): ModelCache {
    return this.model.newCache(options);
  }

  get gradientCheckpointing(): boolean {
    return this.model.gradientCheckpointing;
  }

  set gradientCheckpointing(on: boolean) {
    this.model.gradientCheckpointing = on;
  }
}
