/**
 * GLM-4 and GLM-Edge (arXiv 2406.12793), as Hugging Face's `glm`. LLaMA, but for four things:
 *
 * - The feed-forward layer's gate and its other half are one matrix, the gate first.
 * - Queries, keys and values have biases; the output of attention has none.
 * - Rotary positions turn pairs of neighbours, and only the first part of each head.
 * - Norms with a very small epsilon.
 *
 * The vector of the padding token starts at 0, and what reads it gives it no gradient.
 */
import {
  activationOf,
  Embedding,
  Linear,
  Module,
  MultiHeadAttention,
  RMSNorm,
  RotaryEmbedding,
  type ActivationName,
  type MultiHeadAttentionInputs,
  type WeightedAttention,
} from '@infinigrad/nn';
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import { throughBlocks, type BlocksOutput } from '../core/blocks.ts';
import { activationNamed } from '../core/activations.ts';
import { headLogits, type CausalLM, type CausalLMOptions, type CausalLMOutput } from '../core/causal-lm.ts';
import { checkedTokens, decoderInputs } from '../core/decoder-inputs.ts';
import { keyValueCaches, type ModelCache, type ModelCacheOptions } from '../core/model-cache.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { glmSchema, rotaryDim, type GlmConfig, type GlmOptions } from './config.ts';

/** down(act(gate x) · up x), gate and up in one matrix. */
class GlmMLP extends Module {
  readonly activation: ActivationName;
  /** [2 · intermediateSize, hiddenSize]: the gate's rows first. */
  readonly gateUpProj: Linear;
  /** [hiddenSize, intermediateSize]. */
  readonly downProj: Linear;

  constructor(config: GlmConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, intermediateSize, initializerRange: std, hiddenAct } = config;
    const [up, down] = key.split(2) as [Key, Key];
    this.activation = activationNamed(hiddenAct);
    this.gateUpProj = new Linear(hiddenSize, 2 * intermediateSize, { key: up, bias: false, std, dtype });
    this.downProj = new Linear(intermediateSize, hiddenSize, { key: down, bias: false, std, dtype });
  }

  forward(x: Tensor): Tensor {
    const half = this.downProj.inFeatures;
    const [gate, up] = this.gateUpProj.forward(x).split([half, half], -1) as [Tensor, Tensor];
    return this.downProj.forward(
      this.activation === 'silu' ? gate.siluMul(up) : activationOf('Glm', this.activation)(gate).mul(up),
    );
  }
}

export class GlmBlock extends Module {
  readonly inputLayernorm: RMSNorm;
  readonly selfAttn: MultiHeadAttention;
  readonly postAttentionLayernorm: RMSNorm;
  readonly mlp: GlmMLP;

  constructor(config: GlmConfig, rope: RotaryEmbedding, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, rmsNormEps: eps, initializerRange: std } = config;
    const [attention, mlp] = key.split(2) as [Key, Key];
    this.inputLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.selfAttn = new MultiHeadAttention(hiddenSize, {
      numHeads: config.numAttentionHeads,
      numKvHeads: config.numKeyValueHeads,
      headDim: config.headDim,
      bias: config.attentionBias,
      outBias: false,
      causal: true,
      dropout: config.attentionDropout,
      rope,
      key: attention,
      std,
      dtype,
    });
    this.postAttentionLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.mlp = new GlmMLP(config, mlp, dtype);
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    return finished(this, x, this.selfAttn.forward(this.inputLayernorm.forward(x), inputs));
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): WeightedAttention {
    const { output, weights } = this.selfAttn.forwardWithWeights(this.inputLayernorm.forward(x), inputs);
    return { output: finished(this, x, output), weights };
  }
}

function finished({ postAttentionLayernorm, mlp }: GlmBlock, x: Tensor, attended: Tensor): Tensor {
  const middle = x.add(attended);
  return middle.add(mlp.forward(postAttentionLayernorm.forward(middle)));
}

export type GlmModelOutput = BlocksOutput;

/** The decoder without its head. */
export class GlmModel extends PretrainedModel<GlmConfig> {
  static readonly meta: ModelMeta<GlmConfig> = {
    architecture: 'GlmModel',
    config: glmSchema,
    keyMap: [],
    basePrefix: 'model.',
    ignored: [/rotary_emb\.inv_freq$/, /^lm_head\.weight$/],
    shape: (config) => ({
      layers: config.numHiddenLayers,
      heads: config.numAttentionHeads,
      kvHeads: config.numKeyValueHeads,
      keyDim: config.headDim,
      valueDim: config.headDim,
      tiedHead: 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly GlmBlock[];
  readonly norm: RMSNorm;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange`; biases 0 */
  constructor(options: GlmOptions, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(glmSchema.make(options));
    const { vocabSize, hiddenSize, numHiddenLayers, initializerRange: std, rmsNormEps: eps } = this.config;
    const { headDim, ropeTheta: base, ropeScaling, padTokenId } = this.config;
    const keys = key.split(numHiddenLayers + 1);
    const rope = new RotaryEmbedding(headDim, {
      base,
      rotaryDim: rotaryDim(this.config),
      interleaved: true,
      scaling: ropeScaling,
    });
    this.embedTokens = new Embedding(vocabSize, hiddenSize, {
      key: keys[0]!,
      std,
      dtype,
      ...(padTokenId !== null && { paddingIndex: padTokenId }),
    });
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, i) => new GlmBlock(this.config, rope, keys[i + 1]!, dtype),
    );
    this.norm = new RMSNorm(hiddenSize, { eps, dtype });
  }

  /**
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): GlmModelOutput {
    checkedTokens('GlmModel', inputIds);
    const { cache, outputHiddenStates, outputAttentions } = options;
    const inputs = decoderInputs('GlmModel', inputIds, this.layers.length, options);
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

export class GlmForCausalLM extends PretrainedModel<GlmConfig> implements CausalLM {
  static readonly meta: ModelMeta<GlmConfig> = {
    ...GlmModel.meta,
    architecture: 'GlmForCausalLM',
    ignored: [/rotary_emb\.inv_freq$/],
    tied: ({ tieWordEmbeddings }) =>
      tieWordEmbeddings ? [['model.embed_tokens.weight', 'lm_head.weight']] : [],
    shape: (config) => ({
      ...GlmModel.meta.shape!(config),
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.hiddenSize : 0,
    }),
  };

  readonly model: GlmModel;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange`; biases 0 */
  constructor(options: GlmOptions, key: Key, init: ModelInit = {}) {
    super(glmSchema.make(options));
    const { vocabSize, hiddenSize, initializerRange: std, tieWordEmbeddings } = this.config;
    const { dtype = 'f32' } = init;
    const [base, head] = key.split(2) as [Key, Key];
    this.model = new GlmModel(options, base, init);
    this.lmHead = tieWordEmbeddings
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
