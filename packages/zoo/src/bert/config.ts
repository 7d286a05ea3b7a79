/** Configuration of BERT: plain data, config.json in Hugging Face's spelling, and published sizes. */
import { activation, type HiddenAct } from '../core/activations.ts';
import { flag, integer, layerCount, listOf, nullable, number, text } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions, type Json } from '../core/config.ts';

export interface BertConfig extends ConfigBase {
  /** Default 30522. */
  readonly vocabSize: number;
  /** Default 768. */
  readonly hiddenSize: number;
  /** Default 12. */
  readonly numHiddenLayers: number;
  /** Default 12. */
  readonly numAttentionHeads: number;
  /** Default 3072. */
  readonly intermediateSize: number;
  /** Also of the head that predicts tokens. Default gelu, by the error function. */
  readonly hiddenAct: HiddenAct;
  /** Of the embedding, and of what attention and feed-forward layers add, in training. Default 0.1. */
  readonly hiddenDropoutProb: number;
  /** Of the weights of attention. Default 0.1. */
  readonly attentionProbsDropoutProb: number;
  /** Tokens that a text may have. Default 512. */
  readonly maxPositionEmbeddings: number;
  /** Default 2. */
  readonly typeVocabSize: number;
  /** Standard deviation of initial weights. Default 0.02. */
  readonly initializerRange: number;
  /** Default 1e-12. */
  readonly layerNormEps: number;
  /** Its vector starts as zeros and gets no gradient where it is looked up. Default 0. */
  readonly padTokenId: number | null;
  /** Before a classifier; null (the default) is hiddenDropoutProb. */
  readonly classifierDropout: number | null;
  /** What classifiers tell apart. Default LABEL_0 and LABEL_1. */
  readonly labels: readonly string[];
  /** The head that predicts tokens is the table of the embedding. Default true. */
  readonly tieWordEmbeddings: boolean;
}

export type BertOptions = ConfigOptions<BertConfig>;

/** More labels than anybody has: a larger number is a damaged file. */
const mostLabels = 1_000_000;

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `LABEL_${i}`);

/** Labels by their numbers, or by their number alone. */
function readLabels({ id2label: names, num_labels: count }: Json): unknown {
  if (typeof names === 'object' && names !== null && !Array.isArray(names)) {
    const ids = Object.keys(names);
    const all = ids.map((_, i) => (names as Json)[String(i)]);
    return all.includes(undefined) ? names : all;
  }
  if (names !== undefined && names !== null) return names;
  if (count === undefined) return undefined;
  return integer(1, mostLabels)(count) === null ? numbered(count as number) : count;
}

function writeLabels(labels: readonly string[]): Json {
  const plain = numbered(2);
  if (labels.length === 2 && labels.every((label, i) => label === plain[i])) return {};
  return {
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}

export const bertSchema = configSchema<BertConfig>(
  'BertConfig',
  'bert',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 30522 },
    hiddenSize: { key: 'hidden_size', check: integer(), default: 768 },
    numHiddenLayers: { key: 'num_hidden_layers', check: layerCount, default: 12 },
    numAttentionHeads: { key: 'num_attention_heads', check: integer(), default: 12 },
    intermediateSize: { key: 'intermediate_size', check: integer(), default: 3072 },
    hiddenAct: { key: 'hidden_act', check: activation, default: 'gelu' },
    hiddenDropoutProb: { key: 'hidden_dropout_prob', check: number(0, 1), default: 0.1 },
    attentionProbsDropoutProb: { key: 'attention_probs_dropout_prob', check: number(0, 1), default: 0.1 },
    maxPositionEmbeddings: { key: 'max_position_embeddings', check: integer(), default: 512 },
    typeVocabSize: { key: 'type_vocab_size', check: integer(), default: 2 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    layerNormEps: { key: 'layer_norm_eps', check: number(0), default: 1e-12 },
    padTokenId: { key: 'pad_token_id', check: nullable(integer(0)), default: 0 },
    classifierDropout: { key: 'classifier_dropout', check: nullable(number(0, 1)), default: null },
    labels: {
      key: 'id2label',
      check: listOf(text),
      default: () => numbered(2),
      also: ['label2id', 'num_labels'],
      read: readLabels,
      write: writeLabels,
    },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: true },
  },
  ({ hiddenSize, numAttentionHeads: heads, padTokenId, vocabSize, labels, extra }, fail) => {
    if (hiddenSize % heads !== 0)
      fail(`hiddenSize ${hiddenSize} is not a multiple of numAttentionHeads ${heads}`);
    if (padTokenId !== null && padTokenId >= vocabSize)
      fail(`padTokenId ${padTokenId} is no token of ${vocabSize}`);
    if (labels.length === 0) fail('there must be a label');
    const positions = extra['position_embedding_type'];
    if (positions !== undefined && positions !== 'absolute')
      fail(`position_embedding_type must be 'absolute', got ${JSON.stringify(positions)}`);
    for (const key of ['is_decoder', 'add_cross_attention'])
      if (extra[key] === true) fail(`${key} is true, and this is an encoder`);
  },
);

/**
 * A configuration with its defaults, those of bert-base-uncased.
 * @throws ValueError for fields that are not known or make no sense
 */
export const bertConfig = (options: BertOptions = {}): BertConfig => bertSchema.make(options);

const large = {
  hiddenSize: 1024,
  numHiddenLayers: 24,
  numAttentionHeads: 16,
  intermediateSize: 4096,
} as const;

/** Sizes by name: `new BertForMaskedLM(bertPresets['bert-base-uncased'], key)`. */
export const bertPresets = {
  /** prajjwal1/bert-tiny (arXiv 1908.08962). */
  'bert-tiny': { hiddenSize: 128, numHiddenLayers: 2, numAttentionHeads: 2, intermediateSize: 512 },
  'bert-base-uncased': {},
  'bert-base-cased': { vocabSize: 28996 },
  'bert-large-uncased': large,
  'bert-large-cased': { ...large, vocabSize: 28996 },
} as const satisfies Readonly<Record<string, BertOptions>>;

/** The numbers in the parameters of a BertModel with its pooler, without making it; `heads`: of a BertForPreTraining. */
export function bertParameterCount(options: BertOptions, { heads = false } = {}): number {
  const config = bertConfig(options);
  const { vocabSize, hiddenSize: d, intermediateSize: ff, numHiddenLayers } = config;
  const square = d * (d + 1);
  const norm = 2 * d;
  const tables = (vocabSize + config.maxPositionEmbeddings + config.typeVocabSize) * d + norm;
  const layer = 4 * square + norm + 2 * d * ff + ff + d + norm;
  const own = config.tieWordEmbeddings ? 0 : vocabSize * d;
  const both = heads ? square + norm + vocabSize + own + 2 * (d + 1) : 0;
  return tables + numHiddenLayers * layer + square + both;
}
