/** Configuration of LLaMA and its kin. */
import type { RopeScaling } from '@infinigrad/nn';
import { activation, type HiddenAct } from '../core/activations.ts';
import { flag, integer, layerCount, number, tokenIds } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions, type Fields } from '../core/config.ts';
import { ropeScaling, ropeTheta } from '../core/rope-fields.ts';

export interface LlamaConfig extends ConfigBase {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Default numAttentionHeads. */
  readonly numKeyValueHeads: number;
  /** Even. Default hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  /** Default silu. */
  readonly hiddenAct: HiddenAct;
  /** The length it was trained for; scalings of the positions go by it. Default 2048. */
  readonly maxPositionEmbeddings: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Default 1e-6. */
  readonly rmsNormEps: number;
  /** Default 10000. */
  readonly ropeTheta: number;
  /** Default null. */
  readonly ropeScaling: RopeScaling | null;
  /** Biases of the four projections of attention. Default false. */
  readonly attentionBias: boolean;
  /** Weights of attention dropped in training. Default 0. */
  readonly attentionDropout: number;
  /** Biases of the feed-forward layers. Default false. */
  readonly mlpBias: boolean;
  /** Default false. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | readonly number[] | null;
  readonly eosTokenId: number | readonly number[] | null;
  readonly padTokenId: number | readonly number[] | null;
}

export type LlamaOptions = ConfigOptions<LlamaConfig>;

/** The fields of config.json; what is built on LLaMA adds its own. */
export const llamaFields: Fields<LlamaConfig> = {
  vocabSize: { key: 'vocab_size', check: integer(), default: 32000 },
  hiddenSize: { key: 'hidden_size', check: integer(), default: 4096 },
  intermediateSize: { key: 'intermediate_size', check: integer(), default: 11008 },
  numHiddenLayers: { key: 'num_hidden_layers', check: layerCount, default: 32 },
  numAttentionHeads: { key: 'num_attention_heads', check: integer(), default: 32 },
  numKeyValueHeads: {
    key: 'num_key_value_heads',
    check: integer(),
    default: (before) => before['numAttentionHeads'] as number,
  },
  headDim: {
    key: 'head_dim',
    check: integer(2),
    default: (before) => (before['hiddenSize'] as number) / (before['numAttentionHeads'] as number),
  },
  hiddenAct: { key: 'hidden_act', check: activation, default: 'silu' },
  maxPositionEmbeddings: { key: 'max_position_embeddings', check: integer(), default: 2048 },
  initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
  rmsNormEps: { key: 'rms_norm_eps', check: number(0), default: 1e-6 },
  ropeTheta: ropeTheta(),
  ropeScaling: ropeScaling(),
  attentionBias: { key: 'attention_bias', check: flag, default: false },
  attentionDropout: { key: 'attention_dropout', check: number(0, 1), default: 0 },
  mlpBias: { key: 'mlp_bias', check: flag, default: false },
  tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: false },
  bosTokenId: { key: 'bos_token_id', check: tokenIds, default: 1 },
  eosTokenId: { key: 'eos_token_id', check: tokenIds, default: 2 },
  padTokenId: { key: 'pad_token_id', check: tokenIds, default: null },
};

/** Heads of keys and values serve groups of heads of queries. */
export function checkGroups(
  { numAttentionHeads, numKeyValueHeads }: Pick<LlamaConfig, 'numAttentionHeads' | 'numKeyValueHeads'>,
  fail: (problem: string) => never,
): void {
  if (numAttentionHeads % numKeyValueHeads !== 0)
    fail(`numAttentionHeads ${numAttentionHeads} is not a multiple of numKeyValueHeads ${numKeyValueHeads}`);
}

/** What no table of fields tells. */
export function checkLlama(config: LlamaConfig, fail: (problem: string) => never): void {
  checkGroups(config, fail);
  const { headDim } = config;
  if (headDim % 2 !== 0) fail(`headDim must be even for rotary positions, got ${headDim}`);
}

export const llamaSchema = configSchema<LlamaConfig>('LlamaConfig', 'llama', llamaFields, checkLlama);

/**
 * A configuration with its defaults, those of Hugging Face.
 * @throws ValueError for fields that are not known or make no sense
 */
export const llamaConfig = (options: LlamaOptions = {}): LlamaConfig => llamaSchema.make(options);

const smol = {
  vocabSize: 49152,
  hiddenSize: 576,
  intermediateSize: 1536,
  numHiddenLayers: 30,
  numAttentionHeads: 9,
  numKeyValueHeads: 3,
  maxPositionEmbeddings: 2048,
  initializerRange: 0.02,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  bosTokenId: 0,
  eosTokenId: 0,
} as const;
const smol360 = {
  ...smol,
  hiddenSize: 960,
  intermediateSize: 2560,
  numHiddenLayers: 32,
  numAttentionHeads: 15,
  numKeyValueHeads: 5,
} as const;
const smol2 = { ropeTheta: 1e5, maxPositionEmbeddings: 8192, bosTokenId: 1, eosTokenId: 2 } as const;
const llama3 = {
  vocabSize: 128256,
  numAttentionHeads: 32,
  numKeyValueHeads: 8,
  maxPositionEmbeddings: 8192,
  rmsNormEps: 1e-5,
  ropeTheta: 5e5,
  bosTokenId: 128000,
  eosTokenId: 128001,
} as const;

/** Sizes by name: `new LlamaForCausalLM(llamaPresets['llama-tiny'], key)`. */
export const llamaPresets = {
  /** Ours, for trying things out: 0.11 M parameters, over bytes. */
  'llama-tiny': {
    vocabSize: 256,
    hiddenSize: 64,
    intermediateSize: 176,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    maxPositionEmbeddings: 512,
    tieWordEmbeddings: true,
    bosTokenId: null,
    eosTokenId: null,
  },
  'smollm-135m': smol,
  'smollm-360m': smol360,
  'smollm2-135m': { ...smol, ...smol2, initializerRange: 1 / 24 },
  'smollm2-360m': { ...smol360, ...smol2 },
  'tinyllama-1.1b': {
    hiddenSize: 2048,
    intermediateSize: 5632,
    numHiddenLayers: 22,
    numKeyValueHeads: 4,
    rmsNormEps: 1e-5,
  },
  'llama-2-7b': { maxPositionEmbeddings: 4096, rmsNormEps: 1e-5 },
  'llama-3-8b': { ...llama3, intermediateSize: 14336 },
  'llama-3.2-1b': {
    ...llama3,
    hiddenSize: 2048,
    intermediateSize: 8192,
    numHiddenLayers: 16,
    headDim: 64,
    maxPositionEmbeddings: 131072,
    tieWordEmbeddings: true,
    ropeScaling: {
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    },
  },
} as const satisfies Readonly<Record<string, LlamaOptions>>;

/** The numbers in a model's parameters, without making it. */
export function llamaParameterCount(options: LlamaOptions): number {
  const config = llamaConfig(options);
  const { vocabSize, hiddenSize: d, intermediateSize: ff, numHiddenLayers, headDim } = config;
  const [q, kv] = [config.numAttentionHeads * headDim, config.numKeyValueHeads * headDim];
  const attention = 2 * d * (q + kv) + (config.attentionBias ? q + 2 * kv + d : 0);
  const mlp = 3 * d * ff + (config.mlpBias ? 2 * ff + d : 0);
  const tables = (config.tieWordEmbeddings ? 1 : 2) * vocabSize * d;
  return tables + numHiddenLayers * (attention + mlp + 2 * d) + d;
}
