/** Configuration of GLM: plain data, config.json in Hugging Face's spelling, and sizes. */
import { integer, nullable, number, positive } from '../core/checks.ts';
import { configSchema, type ConfigOptions } from '../core/config.ts';
import { ropeParameter } from '../core/rope-fields.ts';
import { checkGroups, llamaFields, type LlamaConfig } from '../llama/config.ts';

/** LLaMA's members, but for biases of feed-forward layers; some have other defaults. */
export interface GlmConfig extends Omit<LlamaConfig, 'mlpBias'> {
  /** Default 2. */
  readonly numKeyValueHeads: number;
  /** Default 128, or hiddenSize / numAttentionHeads where config.json says null. */
  readonly headDim: number;
  /** Default 131072. */
  readonly maxPositionEmbeddings: number;
  /** Default 1.5625e-7. */
  readonly rmsNormEps: number;
  /** The part of each head that is turned, in pairs of neighbours. Default 0.5. */
  readonly partialRotaryFactor: number;
  /** Biases of queries, keys and values. Default true. */
  readonly attentionBias: boolean;
  /** Its vector starts as zeros, and learns as part of a tied head alone. Default 151329. */
  readonly padTokenId: number | null;
}

export type GlmOptions = ConfigOptions<GlmConfig>;

const { mlpBias: _, ...shared } = llamaFields;

export const glmSchema = configSchema<GlmConfig>(
  'GlmConfig',
  'glm',
  {
    ...shared,
    vocabSize: { ...shared.vocabSize, default: 151552 },
    intermediateSize: { ...shared.intermediateSize, default: 13696 },
    numHiddenLayers: { ...shared.numHiddenLayers, default: 40 },
    numKeyValueHeads: { ...shared.numKeyValueHeads, default: 2 },
    headDim: {
      ...shared.headDim,
      default: 128,
      read: ({ head_dim: own, hidden_size: width, num_attention_heads: heads }) =>
        own === null ? Number(width) / Number(heads) : own,
    },
    maxPositionEmbeddings: { ...shared.maxPositionEmbeddings, default: 131072 },
    rmsNormEps: { ...shared.rmsNormEps, check: positive, default: 1.5625e-7 },
    partialRotaryFactor: {
      key: 'partial_rotary_factor',
      check: number(0, 1),
      default: 0.5,
      read: (json) => ropeParameter(json, 'partial_rotary_factor'),
    },
    attentionBias: { ...shared.attentionBias, default: true },
    bosTokenId: { ...shared.bosTokenId, default: null },
    eosTokenId: { ...shared.eosTokenId, default: [151329, 151336, 151338] },
    padTokenId: { key: 'pad_token_id', check: nullable(integer(0)), default: 151329 },
  },
  (config, fail) => {
    checkGroups(config, fail);
    const { headDim, partialRotaryFactor: part } = config;
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
