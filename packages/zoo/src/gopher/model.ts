/**
 * Gopher (arXiv 2112.11446), by its description: the weights were never published.
 *
 * - Decoder of pre-norm blocks: RMSNorm, attention, RMSNorm, feed-forward layer of four times the width; no biases.
 * - Transformer-XL's relative positions in every layer: (q_i + u)·k_j + (q_i + v)·(W r_{i-j}), over √d. They reach any distance.
 * - One table for embedding and output head.
 */
import {
  Embedding,
  Linear,
  MLP,
  Module,
  MultiHeadAttention,
  RMSNorm,
  TransformerXLPositions,
  type MultiHeadAttentionInputs,
  type WeightedAttention,
} from '@infinigrad/nn';
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import { throughBlocks } from '../core/blocks.ts';
import { activationNamed } from '../core/activations.ts';
import { headLogits, type CausalLM, type CausalLMOptions, type CausalLMOutput } from '../core/causal-lm.ts';
import { checkedTokens, decoderInputs } from '../core/decoder-inputs.ts';
import { keyValueCaches, type ModelCache, type ModelCacheOptions } from '../core/model-cache.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { gopherSchema, type GopherConfig, type GopherOptions } from './config.ts';

export class GopherBlock extends Module {
  readonly inputNorm: RMSNorm;
  /** With positions of its own: `scorePositions`. */
  readonly attention: MultiHeadAttention;
  readonly postNorm: RMSNorm;
  readonly mlp: MLP;

  constructor(config: GopherConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, numAttentionHeads: numHeads, headDim, rmsNormEps: eps } = config;
    const { initializerRange: std, attentionDropout: dropout } = config;
    const keys = key.split(3) as [Key, Key, Key];
    this.inputNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.attention = new MultiHeadAttention(hiddenSize, {
      numHeads,
      headDim,
      bias: false,
      causal: true,
      dropout,
      scorePositions: new TransformerXLPositions(numHeads, headDim, hiddenSize, { key: keys[0], std, dtype }),
      key: keys[1],
      std,
      dtype,
    });
    this.postNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.mlp = new MLP(hiddenSize, config.intermediateSize, {
      activation: activationNamed(config.hiddenAct),
      bias: false,
      key: keys[2],
      std,
      dtype,
    });
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    return finished(this, x, this.attention.forward(this.inputNorm.forward(x), inputs));
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): WeightedAttention {
    const { output, weights } = this.attention.forwardWithWeights(this.inputNorm.forward(x), inputs);
    return { output: finished(this, x, output), weights };
  }
}

function finished({ postNorm, mlp }: GopherBlock, x: Tensor, attended: Tensor): Tensor {
  const middle = x.add(attended);
  return middle.add(mlp.forward(postNorm.forward(middle)));
}

export class GopherForCausalLM extends PretrainedModel<GopherConfig> implements CausalLM {
  static readonly meta: ModelMeta<GopherConfig> = {
    architecture: 'GopherForCausalLM',
    config: gopherSchema,
    keyMap: [],
    basePrefix: '',
    tied: ({ tieWordEmbeddings }) => (tieWordEmbeddings ? [['embed_tokens.weight', 'lm_head.weight']] : []),
    shape: (config) => ({
      layers: config.numHiddenLayers,
      heads: config.numAttentionHeads,
      kvHeads: config.numAttentionHeads,
      keyDim: config.headDim,
      valueDim: config.headDim,
      positionDim: config.headDim,
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.hiddenSize : 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly GopherBlock[];
  readonly norm: RMSNorm;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange`; u and v 0 */
  constructor(options: GopherOptions, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(gopherSchema.make(options));
    const { vocabSize, hiddenSize, numHiddenLayers, initializerRange: std, rmsNormEps: eps } = this.config;
    const keys = key.split(numHiddenLayers + 2);
    this.embedTokens = new Embedding(vocabSize, hiddenSize, { key: keys[0]!, std, dtype });
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, i) => new GopherBlock(this.config, keys[i + 2]!, dtype),
    );
    this.norm = new RMSNorm(hiddenSize, { eps, dtype });
    this.lmHead = this.config.tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: keys[1]!, bias: false, std, dtype });
  }

  /**
   * Next-token logits. Positions are distances within the row: `positionIds` change nothing.
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit
   */
  forward(inputIds: Tensor, options: CausalLMOptions = {}): CausalLMOutput {
    checkedTokens('Gopher', inputIds);
    const { cache, outputHiddenStates, outputAttentions, lastLogits } = options;
    const inputs = decoderInputs('Gopher', inputIds, this.layers.length, options);
    const saving = this.gradientCheckpointing && this.training && !cache;
    const { lastHiddenState, ...further } = throughBlocks(
      this.embedTokens.forward(inputIds),
      this.layers,
      this.norm,
      inputs,
      { outputHiddenStates, outputAttentions, saving },
    );
    return {
      logits: headLogits(lastHiddenState, lastLogits, this.lmHead, this.embedTokens),
      ...further,
    };
  }

  newCache(options: ModelCacheOptions = {}): ModelCache {
    return keyValueCaches(this.layers.length, options);
  }
}
