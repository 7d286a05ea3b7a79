/** Configuration of GPT-2: plain data, config.json in Hugging Face's spelling, and the published sizes. */
import { activation, type HiddenAct } from '../core/activations.ts';
import { flag, integer, layerCount, nullable, number, tokenIds } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';

export interface GPT2Config extends ConfigBase {
  /** Default 50257. */
  readonly vocabSize: number;
  /** Tokens that a text may have. Default 1024. */
  readonly nPositions: number;
  /** Width. Default 768. */
  readonly nEmbd: number;
  /** Default 12. */
  readonly nLayer: number;
  /** Default 12. */
  readonly nHead: number;
  /** Width of the feed-forward layers; null (the default) is 4 nEmbd. */
  readonly nInner: number | null;
  /** Default gelu_new. */
  readonly activationFunction: HiddenAct;
  /** Dropped in training of what attention and feed-forward layers add. Default 0.1. */
  readonly residPdrop: number;
  /** Of the embedding. Default 0.1. */
  readonly embdPdrop: number;
  /** Of the weights of attention. Default 0.1. */
  readonly attnPdrop: number;
  /** Default 1e-5. */
  readonly layerNormEpsilon: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Scores are multiplied by 1/√headDim. Default true. */
  readonly scaleAttnWeights: boolean;
  /** And divided by the number of the layer, from 1. Default false. */
  readonly scaleAttnByInverseLayerIdx: boolean;
  /** A matter of half precision elsewhere; here attention is computed in f64 always. Default false. */
  readonly reorderAndUpcastAttn: boolean;
  /** Default true. */
  readonly tieWordEmbeddings: boolean;
  /** Default 50256. */
  readonly bosTokenId: number | readonly number[] | null;
  /** Default 50256. */
  readonly eosTokenId: number | readonly number[] | null;
  /** Default null. */
  readonly padTokenId: number | readonly number[] | null;
}

export type GPT2Options = ConfigOptions<GPT2Config>;

export const gpt2Schema = configSchema<GPT2Config>(
  'GPT2Config',
  'gpt2',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 50257 },
    nPositions: { key: 'n_positions', check: integer(), default: 1024 },
    nEmbd: { key: 'n_embd', check: integer(), default: 768 },
    nLayer: { key: 'n_layer', check: layerCount, default: 12 },
    nHead: { key: 'n_head', check: integer(), default: 12 },
    nInner: { key: 'n_inner', check: nullable(integer()), default: null },
    activationFunction: { key: 'activation_function', check: activation, default: 'gelu_new' },
    residPdrop: { key: 'resid_pdrop', check: number(0, 1), default: 0.1 },
    embdPdrop: { key: 'embd_pdrop', check: number(0, 1), default: 0.1 },
    attnPdrop: { key: 'attn_pdrop', check: number(0, 1), default: 0.1 },
    layerNormEpsilon: { key: 'layer_norm_epsilon', check: number(0), default: 1e-5 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    scaleAttnWeights: { key: 'scale_attn_weights', check: flag, default: true },
    scaleAttnByInverseLayerIdx: { key: 'scale_attn_by_inverse_layer_idx', check: flag, default: false },
    reorderAndUpcastAttn: { key: 'reorder_and_upcast_attn', check: flag, default: false },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: true },
    bosTokenId: { key: 'bos_token_id', check: tokenIds, default: 50256 },
    eosTokenId: { key: 'eos_token_id', check: tokenIds, default: 50256 },
    padTokenId: { key: 'pad_token_id', check: tokenIds, default: null },
  },
  ({ nEmbd, nHead, extra }, fail) => {
    if (nEmbd % nHead !== 0) fail(`nEmbd ${nEmbd} is not a multiple of nHead ${nHead}`);
    if (extra['add_cross_attention'] === true) fail('there is no attention to a second text here');
  },
);

/**
 * A configuration with its defaults, those of gpt2.
 * @throws ValueError for fields that are not known or make no sense
 */
export const gpt2Config = (options: GPT2Options = {}): GPT2Config => gpt2Schema.make(options);

/** Sizes by name: `new GPT2LMHeadModel(gpt2Presets['gpt2'], key)`. */
export const gpt2Presets = {
  /** Ours, for trying things out, over bytes. */
  'gpt2-tiny': {
    vocabSize: 256,
    nPositions: 256,
    nEmbd: 64,
    nLayer: 2,
    nHead: 4,
    bosTokenId: null,
    eosTokenId: null,
  },
  gpt2: {},
  'gpt2-medium': { nEmbd: 1024, nLayer: 24, nHead: 16 },
  'gpt2-large': { nEmbd: 1280, nLayer: 36, nHead: 20 },
  'gpt2-xl': { nEmbd: 1600, nLayer: 48, nHead: 25 },
} as const satisfies Readonly<Record<string, GPT2Options>>;

/** The numbers in a model's parameters, without making it. */
export function gpt2ParameterCount(options: GPT2Options): number {
  const { vocabSize, nPositions, nEmbd: d, nLayer, nInner, tieWordEmbeddings } = gpt2Config(options);
  const inner = nInner ?? 4 * d;
  const block = 4 * d * (d + 1) + 2 * d * inner + inner + d + 4 * d;
  return ((tieWordEmbeddings ? 1 : 2) * vocabSize + nPositions) * d + nLayer * block + 2 * d;
}
