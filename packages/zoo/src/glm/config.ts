/** Configuration of GLM: plain data, config.json in Hugging Face's spelling, and sizes. */
import type { RopeScaling } from '@infinigrad/nn';
import { activation, type HiddenAct } from '../core/activations.ts';
import { flag, integer, layerCount, nullable, number, positive, tokenIds } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';
import { ropeParameter, ropeScaling, ropeTheta } from '../core/rope-fields.ts';

export interface GlmConfig extends ConfigBase {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  /** Default 128, or hiddenSize / numAttentionHeads where config.json says null. */
  readonly headDim: number;
  /** Default silu. */
  readonly hiddenAct: HiddenAct;
  /** Default 131072. */
  readonly maxPositionEmbeddings: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Default 1.5625e-7. */
  readonly rmsNormEps: number;
  /** Default 10000. */
  readonly ropeTheta: number;
  /** The part of each head that is turned, in pairs of neighbours. Default 0.5. */
  readonly partialRotaryFactor: number;
  /** Default null. */
  readonly ropeScaling: RopeScaling | null;
  /** Biases of queries, keys and values. Default true. */
  readonly attentionBias: boolean;
  /** Weights of attention dropped in training. Default 0. */
  readonly attentionDropout: number;
  /** Default false. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | readonly number[] | null;
  readonly eosTokenId: number | readonly number[] | null;
  /** Its vector starts as zeros, and learns as part of a tied head alone. Default 151329. */
  readonly padTokenId: number | null;
}

export type GlmOptions = ConfigOptions<GlmConfig>;

export const glmSchema = configSchema<GlmConfig>(
  'GlmConfig',
  'glm',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 151552 },
    hiddenSize: { key: 'hidden_size', check: integer(), default: 4096 },
    intermediateSize: { key: 'intermediate_size', check: integer(), default: 13696 },
    numHiddenLayers: { key: 'num_hidden_layers', check: layerCount, default: 40 },
    numAttentionHeads: { key: 'num_attention_heads', check: integer(), default: 32 },
    numKeyValueHeads: {
      key: 'num_key_value_heads',
      check: integer(),
      default: 2,
    },
    headDim: {
      key: 'head_dim',
      check: integer(2),
      default: 128,
      read: ({ head_dim: own, hidden_size: width, num_attention_heads: heads }) =>
        own === null ? Number(width) / Number(heads) : own,
    },
    hiddenAct: { key: 'hidden_act', check: activation, default: 'silu' },
    maxPositionEmbeddings: { key: 'max_position_embeddings', check: integer(), default: 131072 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    rmsNormEps: { key: 'rms_norm_eps', check: positive, default: 1.5625e-7 },
    ropeTheta: ropeTheta(),
    partialRotaryFactor: {
      key: 'partial_rotary_factor',
      check: number(0, 1),
      default: 0.5,
      read: (json) => ropeParameter(json, 'partial_rotary_factor'),
    },
    ropeScaling: ropeScaling(),
    attentionBias: { key: 'attention_bias', check: flag, default: true },
    attentionDropout: { key: 'attention_dropout', check: number(0, 1), default: 0 },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: false },
    bosTokenId: { key: 'bos_token_id', check: tokenIds, default: null },
    eosTokenId: { key: 'eos_token_id', check: tokenIds, default: [151329, 151336, 151338] },
    padTokenId: { key: 'pad_token_id', check: nullable(integer(0)), default: 151329 },
  },
  (config, fail) => {
    const {
      numAttentionHeads: heads,
      numKeyValueHeads: kvHeads,
      headDim,
      partialRotaryFactor: part,
    } = config;
    if (heads % kvHeads !== 0)
      fail(`numAttentionHeads ${heads} is not a multiple of numKeyValueHeads ${kvHeads}`);
    if ((config.padTokenId ?? 0) >= config.vocabSize)
      fail(`padTokenId ${config.padTokenId} is no token of ${config.vocabSize}`);
    const turned = rotaryDim(config);
    if (turned < 2 || turned % 2 !== 0)
      fail(`partialRotaryFactor ${part} of headDim ${headDim} must be an even number ≥ 2, got ${turned}`);
  },
);

/** The dimensions of each head that are turned. */
export const rotaryDim = ({ headDim, partialRotaryFactor }: GlmConfig): number =>
  Math.trunc(headDim * partialRotaryFactor);

/**
 * A configuration with its defaults, those of Hugging Face: GLM-4-9B.
 * @throws ValueError for fields that are not known or make no sense
 */
export const glmConfig = (options: GlmOptions = {}): GlmConfig => glmSchema.make(options);

/** Sizes by name: `new GlmForCausalLM(glmPresets['glm-tiny'], key)`. */
export const glmPresets = {
  /** Ours, for trying things out, over bytes. */
  'glm-tiny': {
    vocabSize: 256,
    hiddenSize: 64,
    intermediateSize: 176,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 16,
    maxPositionEmbeddings: 512,
    tieWordEmbeddings: true,
    eosTokenId: null,
    padTokenId: null,
  },
  'glm-edge-1.5b': {
    vocabSize: 59264,
    hiddenSize: 2048,
    intermediateSize: 6144,
    numHiddenLayers: 28,
    numAttentionHeads: 16,
    numKeyValueHeads: 4,
    headDim: 128,
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-5,
    partialRotaryFactor: 1,
    tieWordEmbeddings: true,
    attentionBias: false,
    eosTokenId: [59246, 59253, 59255],
    padTokenId: 59246,
  },
  'glm-4-9b': {},
} as const satisfies Readonly<Record<string, GlmOptions>>;

/** The numbers in a model's parameters, without making it. */
export function glmParameterCount(options: GlmOptions): number {
  const config = glmConfig(options);
  const { vocabSize, hiddenSize: d, intermediateSize: ff, numHiddenLayers, headDim } = config;
  const [q, kv] = [config.numAttentionHeads * headDim, config.numKeyValueHeads * headDim];
  const attention = 2 * d * (q + kv) + (config.attentionBias ? q + 2 * kv : 0);
  const tables = (config.tieWordEmbeddings ? 1 : 2) * vocabSize * d;
  return tables + numHiddenLayers * (attention + 3 * d * ff + 2 * d) + d;
}
