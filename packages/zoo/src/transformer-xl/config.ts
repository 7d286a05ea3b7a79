/** Configuration of the Transformer-XL that the Infini-Transformer is held against; the names are that one's. */
import { flag, integer, layerCount, positive } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';

export interface TransformerXLConfig extends ConfigBase {
  readonly vocabSize: number;
  /** Even. */
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** Default hiddenSize / numHeads. */
  readonly headDim: number;
  /** Width of the SwiGLU layer. Default 8/3 hiddenSize, rounded up to a multiple of 8. */
  readonly intermediateSize: number;
  /** Tokens that are read at once, N. */
  readonly segmentLength: number;
  /** Hidden states that each layer keeps of the tokens before, M. Default segmentLength; 0: segments know nothing of each other. */
  readonly memoryLength: number;
  /** Default 1e-6. */
  readonly rmsNormEps: number;
  /** Use the embedding as output head too. Default false. */
  readonly tieWordEmbeddings: boolean;
}

export type TransformerXLOptions = ConfigOptions<TransformerXLConfig>;

export const transformerXLSchema = configSchema<TransformerXLConfig>(
  'TransformerXL',
  'transformer_xl',
  {
    vocabSize: { key: 'vocab_size', check: integer() },
    hiddenSize: { key: 'hidden_size', check: integer(2) },
    numLayers: { key: 'num_hidden_layers', check: layerCount },
    numHeads: { key: 'num_attention_heads', check: integer() },
    headDim: {
      key: 'head_dim',
      check: integer(),
      default: (before) => (before['hiddenSize'] as number) / (before['numHeads'] as number),
    },
    intermediateSize: {
      key: 'intermediate_size',
      check: integer(),
      default: (before) => Math.ceil(((before['hiddenSize'] as number) * 8) / 3 / 8) * 8,
    },
    segmentLength: { key: 'segment_length', check: integer() },
    memoryLength: {
      key: 'mem_len',
      check: integer(0),
      default: (before) => before['segmentLength'] as number,
    },
    rmsNormEps: { key: 'rms_norm_eps', check: positive, default: 1e-6 },
    tieWordEmbeddings: { key: 'tie_word_embeddings', check: flag, default: false },
  },
  ({ hiddenSize }, fail) => {
    if (hiddenSize % 2 !== 0) fail(`hiddenSize must be even for sinusoidal distances, got ${hiddenSize}`);
  },
);

/** @throws ValueError for fields that are missing, not known, or make no sense */
export const transformerXLConfig = (options: TransformerXLOptions): TransformerXLConfig =>
  transformerXLSchema.make(options);

/** The length of a memory of so many numbers in all layers together, at least 1: for comparisons at equal memory. */
export function memoryLengthFor(
  numbers: number,
  { hiddenSize, numLayers }: { readonly hiddenSize: number; readonly numLayers: number },
): number {
  return Math.max(1, Math.round(numbers / (hiddenSize * numLayers)));
}
