/** Configuration of T5: plain data, config.json in Hugging Face's spelling, and the published sizes. */
import type { ActivationName } from '@infinigrad/nn';
import { activation, activationNamed } from '../core/activations.ts';
import {
  flag,
  integer,
  layerCount,
  nullable,
  number,
  positive,
  tokenIds,
  type Check,
} from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';

export interface T5Config extends ConfigBase {
  /** Default 32128. */
  readonly vocabSize: number;
  /** Width. Default 512. */
  readonly dModel: number;
  /** Of each head; heads together need not be as wide as the model. Default 64. */
  readonly dKv: number;
  /** Default 2048. */
  readonly dFf: number;
  /** Of the encoder. Default 6. */
  readonly numLayers: number;
  /** Default numLayers. */
  readonly numDecoderLayers: number;
  /** Default 8. */
  readonly numHeads: number;
  /** Default 32. */
  readonly relativeAttentionNumBuckets: number;
  /** Distances from here on share a bucket. Default 128. */
  readonly relativeAttentionMaxDistance: number;
  /** Default 0.1. */
  readonly dropoutRate: number;
  /** Default 1e-6. */
  readonly layerNormEpsilon: number;
  /** Factor of all initial weights. Default 1. */
  readonly initializerFactor: number;
  /** `[gated-]activation`: `relu` in v1.0 (the default), `gated-gelu` (with the tanh approximation) in v1.1. */
  readonly feedForwardProj: string;
  /** The head is the table of the embedding: v1.0. Default true. */
  readonly tieWordEmbeddings: boolean;
  /** What the head sees is multiplied by dModel^-½. Default as tieWordEmbeddings. */
  readonly scaleDecoderOutputs: boolean;
  /** Default 0. */
  readonly padTokenId: number | null;
  /** Default 1. */
  readonly eosTokenId: number | readonly number[] | null;
  /** What decoding begins with. Default padTokenId. */
  readonly decoderStartTokenId: number | null;
}

export type T5Options = ConfigOptions<T5Config>;

/** The two halves of `feedForwardProj`. */
export interface FeedForwardKind {
  readonly gated: boolean;
  /** Hugging Face's name. */
  readonly name: string;
  readonly activation: ActivationName;
}

/** @param projection checked already */
export function feedForwardKind(projection: string): FeedForwardKind {
  const gated = projection.startsWith('gated-');
  const plain = gated ? projection.slice('gated-'.length) : projection;
  // The checkpoints of v1.1 say gated-gelu, and mean the approximation.
  const name = gated && plain === 'gelu' ? 'gelu_new' : plain;
  return { gated, name, activation: activationNamed(name) };
}

const feedForward: Check = (value) => {
  const wanted = typeof value === 'string' ? activation(value.replace(/^gated-/, '')) : 'a text';
  return wanted && `'gated-' or nothing, and ${wanted}`;
};

/** Configuration of T5 (arXiv 1910.10683), all of it with defaults, those of t5-small. */
export const t5Schema = configSchema<T5Config>(
  'T5',
  't5',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 32128 },
    dModel: { key: 'd_model', check: integer(), default: 512 },
    dKv: { key: 'd_kv', check: integer(), default: 64 },
    dFf: { key: 'd_ff', check: integer(), default: 2048 },
    numLayers: { key: 'num_layers', check: layerCount, default: 6 },
    numDecoderLayers: {
      key: 'num_decoder_layers',
      check: layerCount,
      default: (before) => before['numLayers'] as number,
      read: ({ num_decoder_layers: own }) => own ?? undefined,
    },
    numHeads: { key: 'num_heads', check: integer(), default: 8 },
    relativeAttentionNumBuckets: {
      key: 'relative_attention_num_buckets',
      check: integer(4),
      default: 32,
    },
    relativeAttentionMaxDistance: {
      key: 'relative_attention_max_distance',
      check: integer(),
      default: 128,
    },
    dropoutRate: { key: 'dropout_rate', check: number(0, 1), default: 0.1 },
    layerNormEpsilon: { key: 'layer_norm_epsilon', check: positive, default: 1e-6 },
    initializerFactor: { key: 'initializer_factor', check: number(0), default: 1 },
    feedForwardProj: {
      key: 'feed_forward_proj',
      check: feedForward,
      default: 'relu',
      // What is stored of its halves is not to be trusted: files that contradict themselves have been published.
      also: ['is_gated_act', 'dense_act_fn', 'is_encoder_decoder'],
      write: (value) => {
        const { gated, name } = feedForwardKind(value);
        return {
          feed_forward_proj: value,
          is_gated_act: gated,
          dense_act_fn: name,
          is_encoder_decoder: true,
        };
      },
    },
    tieWordEmbeddings: {
      key: 'tie_word_embeddings',
      check: flag,
      default: true,
      // transformers 5 writes true whatever the model, and tells v1.1 by the other key.
      read: ({ tie_word_embeddings: tie, scale_decoder_outputs: scale }) => (scale === false ? false : tie),
    },
    scaleDecoderOutputs: {
      key: 'scale_decoder_outputs',
      check: flag,
      default: (before) => before['tieWordEmbeddings'] as boolean,
    },
    padTokenId: { key: 'pad_token_id', check: nullable(integer(0)), default: 0 },
    eosTokenId: { key: 'eos_token_id', check: tokenIds, default: 1 },
    decoderStartTokenId: {
      key: 'decoder_start_token_id',
      check: nullable(integer(0)),
      default: (before) => before['padTokenId'] as number | null,
    },
  },
  (config, fail) => {
    const { relativeAttentionNumBuckets: buckets, relativeAttentionMaxDistance: reach } = config;
    if (buckets % 2 !== 0) fail(`relativeAttentionNumBuckets must be even, got ${buckets}`);
    if (reach <= buckets / 2)
      fail(`relativeAttentionMaxDistance must be above half of the ${buckets} buckets, got ${reach}`);
    for (const name of ['padTokenId', 'decoderStartTokenId'] as const)
      if ((config[name] ?? 0) >= config.vocabSize)
        fail(`${name} ${config[name]} is no token of ${config.vocabSize}`);
  },
);

/** @throws ValueError for options that are not known or make no model */
export const t5Config = (options: T5Options = {}): T5Config => t5Schema.make(options);

const v11 = { feedForwardProj: 'gated-gelu', tieWordEmbeddings: false } as const;

/** Published sizes, and a tiny one. Flan-T5 has those of v1.1. */
export const t5Presets = {
  't5-tiny': { vocabSize: 256, dModel: 64, dKv: 16, dFf: 128, numLayers: 2, numHeads: 4 },
  't5-efficient-tiny': { dModel: 256, dFf: 1024, numLayers: 4, numHeads: 4 },
  't5-small': {},
  't5-base': { dModel: 768, dFf: 3072, numLayers: 12, numHeads: 12 },
  't5-large': { dModel: 1024, dFf: 4096, numLayers: 24, numHeads: 16 },
  't5-3b': { dModel: 1024, dKv: 128, dFf: 16384, numLayers: 24, numHeads: 32 },
  't5-11b': { dModel: 1024, dKv: 128, dFf: 65536, numLayers: 24, numHeads: 128 },
  't5-v1_1-small': { ...v11, dFf: 1024, numLayers: 8, numHeads: 6 },
  't5-v1_1-base': { ...v11, dModel: 768, dFf: 2048, numLayers: 12, numHeads: 12 },
  't5-v1_1-large': { ...v11, dModel: 1024, dFf: 2816, numLayers: 24, numHeads: 16 },
  't5-v1_1-xl': { ...v11, dModel: 2048, dFf: 5120, numLayers: 24, numHeads: 32 },
  't5-v1_1-xxl': { ...v11, dModel: 4096, dFf: 10240, numLayers: 24, numHeads: 64 },
} as const satisfies Readonly<Record<string, T5Options>>;
