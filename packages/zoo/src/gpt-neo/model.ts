/**
 * GPT-Neo (Black et al. 2021), of which the TinyStories models (arXiv 2305.07759) are made.
 *
 * - GPT-2's blocks and learned positions, with other attention: scores are not scaled by 1/√headDim.
 * - Every other layer sees the last 256 tokens alone.
 * - No biases of queries, keys and values; matrices lie in files as [out, in].
 */
import type { Key } from '@infinigrad/tensor';
import type { KeyRule } from '../core/key-map.ts';
import type { ModelInit, ModelMeta } from '../core/pretrained.ts';
import type { GPTSizes } from '../gpt2/block.ts';
import { GPTLanguageModel, GPTModel } from '../gpt2/decoder.ts';
import {
  attentionLayers,
  gptNeoConfig,
  gptNeoSchema,
  type GPTNeoConfig,
  type GPTNeoOptions,
} from './config.ts';

function sizesOf(config: GPTNeoConfig): GPTSizes {
  const types = attentionLayers(config.attentionTypes);
  return {
    name: 'GPTNeo',
    vocabSize: config.vocabSize,
    positions: config.maxPositionEmbeddings,
    hiddenSize: config.hiddenSize,
    innerSize: config.intermediateSize ?? 4 * config.hiddenSize,
    layers: config.numLayers,
    heads: config.numHeads,
    activation: config.activationFunction,
    epsilon: config.layerNormEpsilon,
    embeddingDropout: config.embedDropout,
    residualDropout: config.residDropout,
    attentionDropout: config.attentionDropout,
    std: config.initializerRange,
    residualGain: 1,
    queryBias: false,
    scale: () => 1,
    window: (layer) => (types[layer] === 'local' ? config.windowSize : null),
  };
}

/** @param at what all keys of the decoder begin with, here and in the file */
function keyMap(at: '' | 'transformer.'): KeyRule[] {
  const block = `${at}h.{i}`;
  const projections = { qProj: 'q_proj', kProj: 'k_proj', vProj: 'v_proj', oProj: 'out_proj' };
  return [
    ...Object.entries(projections).map(([ours, theirs]) => ({
      from: `${block}.attn.${ours}.{p}`,
      to: `${block}.attn.attention.${theirs}.{p}`,
    })),
    { from: `${block}.mlp.upProj.{p}`, to: `${block}.mlp.c_fc.{p}` },
    { from: `${block}.mlp.downProj.{p}`, to: `${block}.mlp.c_proj.{p}` },
    { from: `${block}.ln1.{p}`, to: `${block}.ln_1.{p}` },
    { from: `${block}.ln2.{p}`, to: `${block}.ln_2.{p}` },
  ];
}

/** Masks of attention, which old files hold as if they were weights. */
const masks = /(^|\.)attn\.attention\.(masked_)?bias$/;

/** The decoder without its head. */
export class GPTNeoModel extends GPTModel<GPTNeoConfig> {
  static readonly meta: ModelMeta<GPTNeoConfig> = {
    architecture: 'GPTNeoModel',
    config: gptNeoSchema,
    keyMap: keyMap(''),
    basePrefix: 'transformer.',
    ignored: [masks, /^lm_head\.weight$/],
    shape: ({ numLayers, numHeads, hiddenSize }) => ({
      layers: numLayers,
      heads: numHeads,
      kvHeads: numHeads,
      keyDim: hiddenSize / numHeads,
      valueDim: hiddenSize / numHeads,
      tiedHead: 0,
    }),
  };

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange` */
  constructor(options: GPTNeoOptions, key: Key, init: ModelInit = {}) {
    const config = gptNeoConfig(options);
    super(config, sizesOf(config), key, init);
  }
}

export class GPTNeoForCausalLM extends GPTLanguageModel<GPTNeoConfig, GPTNeoModel> {
  static readonly meta: ModelMeta<GPTNeoConfig> = {
    ...GPTNeoModel.meta,
    architecture: 'GPTNeoForCausalLM',
    keyMap: keyMap('transformer.'),
    ignored: [masks],
    tied: ({ tieWordEmbeddings }) =>
      tieWordEmbeddings ? [['transformer.wte.weight', 'lm_head.weight']] : [],
    shape: (config) => ({
      ...GPTNeoModel.meta.shape!(config),
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.hiddenSize : 0,
    }),
  };

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange` */
  constructor(options: GPTNeoOptions, key: Key, init: ModelInit = {}) {
    const [base, head] = key.split(2) as [Key, Key];
    const transformer = new GPTNeoModel(options, base, init);
    const { tieWordEmbeddings: tied, initializerRange: std } = transformer.config;
    super(transformer, { tied, std, key: head, ...init });
  }
}
