/** Configuration of Gopher, the published sizes, and how they were trained. */
import { activation, type HiddenAct } from '../core/activations.ts';
import { flag, integer, layerCount, number, positive, tokenIds } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';

export interface GopherConfig extends ConfigBase {
  /** Default 32000: SentencePiece, with bytes to fall back on. */
  readonly vocabSize: number;
  /** Even. */
  readonly hiddenSize: number;
  /** Default 4 · hiddenSize. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Default hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  /** Default gelu. */
  readonly hiddenAct: HiddenAct;
  /** The length it was trained for; positions are relative, and none is too far. Default 2048. */
  readonly maxPositionEmbeddings: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Default 1e-6. */
  readonly rmsNormEps: number;
  /** Weights of attention dropped in training. Default 0. */
  readonly attentionDropout: number;
  /** Default true: so the published sizes come out. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | readonly number[] | null;
  readonly eosTokenId: number | readonly number[] | null;
  readonly padTokenId: number | readonly number[] | null;
}

export type GopherOptions = ConfigOptions<GopherConfig>;

/** There are no public weights, and no config.json but ours, spelled in the manner of Hugging Face. */
export const gopherSchema = configSchema<GopherConfig>(
  'GopherConfig',
  'gopher',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 32000 },
    hiddenSize: { key: 'hidden_size', check: integer(2) },
    intermediateSize: {
      key: 'intermediate_size',
      check: integer(),
      default: (before) => 4 * (before['hiddenSize'] as number),
    },
    numHiddenLayers: { key: 'num_hidden_layers', check: layerCount },
    numAttentionHeads: { key: 'num_attention_heads', check: integer() },
    headDim: {
      key: 'head_dim',
      check: integer(),
      default: (before) => (before['hiddenSize'] as number) / (before['numAttentionHeads'] as number),
    },
    hiddenAct: { key: 'hidden_act', check: activation, default: 'gelu' },
    maxPositionEmbeddings: { key: 'max_position_embeddings', check: integer(), default: 2048 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    rmsNormEps: { key: 'rms_norm_eps', check: positive, default: 1e-6 },
    attentionDropout: { key: 'attention_dropout', check: number(0, 1), default: 0 },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: true },
    bosTokenId: { key: 'bos_token_id', check: tokenIds, default: null },
    eosTokenId: { key: 'eos_token_id', check: tokenIds, default: null },
    padTokenId: { key: 'pad_token_id', check: tokenIds, default: null },
  },
  ({ hiddenSize }, fail) => {
    if (hiddenSize % 2 !== 0) fail(`hiddenSize must be even for sinusoidal distances, got ${hiddenSize}`);
  },
);

/** @throws ValueError for fields that are missing, not known, or make no sense */
export const gopherConfig = (options: GopherOptions): GopherConfig => gopherSchema.make(options);

const size = (
  numHiddenLayers: number,
  numAttentionHeads: number,
  headDim: number,
  hiddenSize: number,
): GopherOptions => ({ numHiddenLayers, numAttentionHeads, headDim, hiddenSize });

/** Table 1 of arXiv 2112.11446, and a tiny one of ours over bytes. */
export const gopherPresets = {
  'gopher-tiny': { ...size(2, 4, 16, 64), vocabSize: 256, maxPositionEmbeddings: 256 },
  'gopher-44m': size(8, 16, 32, 512),
  'gopher-117m': size(12, 12, 64, 768),
  'gopher-417m': size(12, 12, 128, 1536),
  'gopher-1.4b': size(24, 16, 128, 2048),
  'gopher-7.1b': size(32, 32, 128, 4096),
  'gopher-280b': size(80, 128, 128, 16384),
} as const satisfies Readonly<Record<string, GopherOptions>>;

export interface GopherTraining {
  readonly learningRate: number;
  /** Tokens of a batch; where two, the second from the middle of the training on. */
  readonly batchTokens: readonly number[];
  /** Largest norm of the gradient. */
  readonly clip: number;
}

/**
 * How those sizes were trained, in that table and section 2.3: Adam for 300 billion tokens, the learning rate from 1e-7 up over 1500
 * steps, then down to a tenth along a cosine.
 */
export const gopherTraining = {
  'gopher-44m': { learningRate: 6e-4, batchTokens: [0.25e6], clip: 1 },
  'gopher-117m': { learningRate: 6e-4, batchTokens: [0.25e6], clip: 1 },
  'gopher-417m': { learningRate: 2e-4, batchTokens: [0.25e6], clip: 1 },
  'gopher-1.4b': { learningRate: 2e-4, batchTokens: [0.25e6], clip: 1 },
  'gopher-7.1b': { learningRate: 1.2e-4, batchTokens: [2e6], clip: 0.25 },
  'gopher-280b': { learningRate: 4e-5, batchTokens: [3e6, 6e6], clip: 0.25 },
} as const satisfies Readonly<Record<string, GopherTraining>>;

/** The numbers in a model's parameters, without making it. */
export function gopherParameterCount(options: GopherOptions): number {
  const config = gopherConfig(options);
  const {
    vocabSize,
    hiddenSize: d,
    intermediateSize: ff,
    numHiddenLayers,
    numAttentionHeads,
    headDim,
  } = config;
  const heads = numAttentionHeads * headDim;
  // Queries, keys, values, distances and output; u and v; two norms.
  const layer = 5 * d * heads + 2 * heads + 2 * d * ff + 2 * d;
  return (config.tieWordEmbeddings ? 1 : 2) * vocabSize * d + numHiddenLayers * layer + d;
}
