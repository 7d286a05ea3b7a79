/** Configuration of GPT-Neo: plain data, config.json in Hugging Face's spelling, and published sizes. */
import { activation, type HiddenAct } from '../core/activations.ts';
import {
  flag,
  integer,
  layerCount,
  mostLayers,
  nullable,
  number,
  tokenIds,
  type Check,
} from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions, type Json } from '../core/config.ts';

/** What a layer sees: all before, or the last `windowSize` tokens. */
export type AttentionType = 'global' | 'local';

/** Types of layers, the whole list so many times, one after the other. */
export type AttentionTypes = readonly (readonly [readonly AttentionType[], number])[];

export interface GPTNeoConfig extends ConfigBase {
  /** Default 50257. */
  readonly vocabSize: number;
  /** Tokens that a text may have. Default 2048. */
  readonly maxPositionEmbeddings: number;
  /** Default 2048. */
  readonly hiddenSize: number;
  /** Default 24. */
  readonly numLayers: number;
  /** Default global and local by turns. */
  readonly attentionTypes: AttentionTypes;
  /** Default 16. */
  readonly numHeads: number;
  /** Width of the feed-forward layers; null (the default) is 4 hiddenSize. */
  readonly intermediateSize: number | null;
  /** Tokens that those of a local layer see, themselves included. Default 256. */
  readonly windowSize: number;
  /** Default gelu_new. */
  readonly activationFunction: HiddenAct;
  /** Dropped in training of what attention and feed-forward layers add. Default 0. */
  readonly residDropout: number;
  /** Of the embedding. Default 0. */
  readonly embedDropout: number;
  /** Of the weights of attention. Default 0. */
  readonly attentionDropout: number;
  /** Default 1e-5. */
  readonly layerNormEpsilon: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Default true. */
  readonly tieWordEmbeddings: boolean;
  /** Default 50256. */
  readonly bosTokenId: number | readonly number[] | null;
  /** Default 50256. */
  readonly eosTokenId: number | readonly number[] | null;
  /** Default null. */
  readonly padTokenId: number | readonly number[] | null;
}

export type GPTNeoOptions = ConfigOptions<GPTNeoConfig>;

const isType = (value: unknown): boolean => value === 'global' || value === 'local';

const attentionTypes: Check = (value) => {
  const wanted = "a list of pairs of a list of 'global' and 'local' and a number of times";
  if (!Array.isArray(value)) return wanted;
  const right = (value as readonly unknown[]).every((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    const [types, times] = pair as readonly unknown[];
    return Array.isArray(types) && types.every(isType) && integer(1, mostLayers)(times) === null;
  });
  return right ? null : wanted;
};

function alternating(layers: number): AttentionTypes {
  const pairs = Math.floor(layers / 2);
  return [
    ...(pairs > 0 ? [[['global', 'local'], pairs] as const] : []),
    ...(layers % 2 > 0 ? [[['global'], 1] as const] : []),
  ];
}

/** Layers that a list of types is for. */
const layersOf = (types: AttentionTypes): number =>
  types.reduce((total, [list, times]) => total + list.length * times, 0);

/** The type of each layer. */
export function attentionLayers(types: AttentionTypes): AttentionType[] {
  return types.flatMap(([list, times]) => Array.from({ length: times }, () => list).flat());
}

export const gptNeoSchema = configSchema<GPTNeoConfig>(
  'GPTNeoConfig',
  'gpt_neo',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 50257 },
    maxPositionEmbeddings: { key: 'max_position_embeddings', check: integer(), default: 2048 },
    hiddenSize: { key: 'hidden_size', check: integer(), default: 2048 },
    numLayers: { key: 'num_layers', check: layerCount, default: 24 },
    attentionTypes: {
      key: 'attention_types',
      check: attentionTypes,
      default: (before: Json) => alternating(before['numLayers'] as number),
      // Follows from the other.
      also: ['attention_layers'],
      write: (types) => ({ attention_types: types, attention_layers: attentionLayers(types) }),
    },
    numHeads: { key: 'num_heads', check: integer(), default: 16 },
    intermediateSize: { key: 'intermediate_size', check: nullable(integer()), default: null },
    windowSize: { key: 'window_size', check: integer(), default: 256 },
    activationFunction: { key: 'activation_function', check: activation, default: 'gelu_new' },
    residDropout: { key: 'resid_dropout', check: number(0, 1), default: 0 },
    embedDropout: { key: 'embed_dropout', check: number(0, 1), default: 0 },
    attentionDropout: { key: 'attention_dropout', check: number(0, 1), default: 0 },
    layerNormEpsilon: { key: 'layer_norm_epsilon', check: number(0), default: 1e-5 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: true },
    bosTokenId: { key: 'bos_token_id', check: tokenIds, default: 50256 },
    eosTokenId: { key: 'eos_token_id', check: tokenIds, default: 50256 },
    padTokenId: { key: 'pad_token_id', check: tokenIds, default: null },
  },
  ({ hiddenSize, numHeads, numLayers, attentionTypes: types }, fail) => {
    if (hiddenSize % numHeads !== 0)
      fail(`hiddenSize ${hiddenSize} is not a multiple of numHeads ${numHeads}`);
    if (layersOf(types) !== numLayers)
      fail(`attentionTypes are for ${layersOf(types)} layers, numLayers is ${numLayers}`);
  },
);

/**
 * A configuration with its defaults, those of Hugging Face: gpt-neo-1.3B.
 * @throws ValueError for fields that are not known or make no sense
 */
export const gptNeoConfig = (options: GPTNeoOptions = {}): GPTNeoConfig => gptNeoSchema.make(options);

/** Sizes by name: `new GPTNeoForCausalLM(gptNeoPresets['tinystories-1m'], key)`. */
export const gptNeoPresets = {
  /** Ours, for trying things out, over bytes. */
  'gpt-neo-tiny': {
    vocabSize: 256,
    maxPositionEmbeddings: 256,
    hiddenSize: 64,
    numLayers: 2,
    numHeads: 4,
    windowSize: 64,
    bosTokenId: null,
    eosTokenId: null,
  },
  'gpt-neo-125m': { hiddenSize: 768, numLayers: 12, numHeads: 12 },
  'gpt-neo-1.3b': {},
  'gpt-neo-2.7b': { hiddenSize: 2560, numLayers: 32, numHeads: 20 },
  /** roneneldan/TinyStories (arXiv 2305.07759). */
  'tinystories-1m': { hiddenSize: 64, numLayers: 8 },
  'tinystories-33m': { hiddenSize: 768, numLayers: 4 },
  'tinystories-2layers-33m': { hiddenSize: 1024, numLayers: 2 },
} as const satisfies Readonly<Record<string, GPTNeoOptions>>;

/** The numbers in a model's parameters, without making it. */
export function gptNeoParameterCount(options: GPTNeoOptions): number {
  const config = gptNeoConfig(options);
  const { vocabSize, maxPositionEmbeddings, hiddenSize: d, numLayers, intermediateSize } = config;
  const inner = intermediateSize ?? 4 * d;
  const block = 4 * d * d + d + 2 * d * inner + inner + d + 4 * d;
  const tables = (config.tieWordEmbeddings ? 1 : 2) * vocabSize + maxPositionEmbeddings;
  return tables * d + numLayers * block + 2 * d;
}
