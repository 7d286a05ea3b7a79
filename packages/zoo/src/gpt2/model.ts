/**
 * GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners").
 *
 * - Decoder of pre-norm blocks: LayerNorm, causal attention, LayerNorm, gelu (tanh) of four times the width; biases everywhere.
 * - Learned positions; the embedding is the output head too.
 * - Files hold queries, keys and values in one matrix, and all matrices of blocks as [in, out]: also the square one.
 * - Weights that write to the residual stream start smaller, by 1/√(2 layers).
 */
import type { Key } from '@infinigrad/tensor';
import type { KeyRule } from '../core/key-map.ts';
import type { ModelInit, ModelMeta } from '../core/pretrained.ts';
import type { GPTSizes } from './block.ts';
import { gpt2Config, gpt2Schema, type GPT2Config, type GPT2Options } from './config.ts';
import { GPTLanguageModel, GPTModel } from './decoder.ts';

function sizesOf(config: GPT2Config): GPTSizes {
  const { nEmbd, nHead, nInner, scaleAttnWeights, scaleAttnByInverseLayerIdx } = config;
  const scale = scaleAttnWeights ? 1 / Math.sqrt(nEmbd / nHead) : 1;
  return {
    name: 'GPT2',
    vocabSize: config.vocabSize,
    positions: config.nPositions,
    hiddenSize: nEmbd,
    innerSize: nInner ?? 4 * nEmbd,
    layers: config.nLayer,
    heads: nHead,
    activation: config.activationFunction,
    epsilon: config.layerNormEpsilon,
    embeddingDropout: config.embdPdrop,
    residualDropout: config.residPdrop,
    attentionDropout: config.attnPdrop,
    std: config.initializerRange,
    residualGain: 1 / Math.sqrt(2 * config.nLayer),
    queryBias: true,
    scale: (layer) => (scaleAttnByInverseLayerIdx ? scale / (layer + 1) : scale),
    window: () => null,
  };
}

/** @param at what all keys of the decoder begin with, here and in the file */
function keyMap(at: '' | 'transformer.'): KeyRule[] {
  const block = `${at}h.{i}`;
  const projections = ['qProj', 'kProj', 'vProj'];
  return [
    ...['weight', 'bias'].map((p) => ({
      from: projections.map((name) => `${block}.attn.${name}.${p}`),
      to: `${block}.attn.c_attn.${p}`,
      transpose: true,
    })),
    { from: `${block}.attn.oProj.{p}`, to: `${block}.attn.c_proj.{p}`, transpose: true },
    { from: `${block}.mlp.upProj.{p}`, to: `${block}.mlp.c_fc.{p}`, transpose: true },
    { from: `${block}.mlp.downProj.{p}`, to: `${block}.mlp.c_proj.{p}`, transpose: true },
    { from: `${block}.ln1.{p}`, to: `${block}.ln_1.{p}` },
    { from: `${block}.ln2.{p}`, to: `${block}.ln_2.{p}` },
  ];
}

/** Masks of attention, which old files hold as if they were weights. */
const masks = /(^|\.)attn\.(masked_)?bias$/;

/** The decoder without its head. */
export class GPT2Model extends GPTModel<GPT2Config> {
  static readonly meta: ModelMeta<GPT2Config> = {
    architecture: 'GPT2Model',
    config: gpt2Schema,
    keyMap: keyMap(''),
    basePrefix: 'transformer.',
    ignored: [masks, /^lm_head\.weight$/],
    shape: ({ nLayer, nHead, nEmbd }) => ({
      layers: nLayer,
      heads: nHead,
      kvHeads: nHead,
      keyDim: nEmbd / nHead,
      valueDim: nEmbd / nHead,
      tiedHead: 0,
    }),
  };

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange` */
  constructor(options: GPT2Options, key: Key, init: ModelInit = {}) {
    const config = gpt2Config(options);
    super(config, sizesOf(config), key, init);
  }
}

export class GPT2LMHeadModel extends GPTLanguageModel<GPT2Config, GPT2Model> {
  static readonly meta: ModelMeta<GPT2Config> = {
    ...GPT2Model.meta,
    architecture: 'GPT2LMHeadModel',
    keyMap: keyMap('transformer.'),
    ignored: [masks],
    tied: ({ tieWordEmbeddings }) =>
      tieWordEmbeddings ? [['transformer.wte.weight', 'lm_head.weight']] : [],
    shape: (config) => ({
      ...GPT2Model.meta.shape!(config),
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.nEmbd : 0,
    }),
  };

  /** @param key decides the initial weights: normal, with standard deviation `initializerRange` */
  constructor(options: GPT2Options, key: Key, init: ModelInit = {}) {
    const [base, head] = key.split(2) as [Key, Key];
    const transformer = new GPT2Model(options, base, init);
    const { tieWordEmbeddings: tied, initializerRange: std } = transformer.config;
    super(transformer, { tied, std, key: head, ...init });
  }
}
