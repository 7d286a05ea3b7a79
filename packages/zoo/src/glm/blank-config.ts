/** Configuration of the first GLM, the one that fills in blanks. */
import { integer, layerCount, number, positive } from '../core/checks.ts';
import { configSchema, type ConfigBase, type ConfigOptions } from '../core/config.ts';

export interface BlankGlmConfig extends ConfigBase {
  /** Default 30592: BERT's, with the further tokens of the method, padded. */
  readonly vocabSize: number;
  /** Default 768. */
  readonly hiddenSize: number;
  /** Default 12. */
  readonly numLayers: number;
  /** Default 12. */
  readonly numAttentionHeads: number;
  /** Positions from 0 to this one have vectors, both in the text and within a blank. Default 512. */
  readonly maxSequenceLength: number;
  /** Of the sum of vectors at the start. Default 0.1. */
  readonly embeddingDropoutProb: number;
  /** Of weights of attention. Default 0.1. */
  readonly attentionDropoutProb: number;
  /** Of what each half of a block adds. Default 0.1. */
  readonly outputDropoutProb: number;
  /** Standard deviation of initial weights; 1/√(2 numLayers) of it where a block adds to the stream. Default 0.02. */
  readonly initializerRange: number;
  /** Default 1e-5. */
  readonly layernormEpsilon: number;
}

export type BlankGlmOptions = ConfigOptions<BlankGlmConfig>;

export const blankGlmSchema = configSchema<BlankGlmConfig>(
  'BlankGlmConfig',
  'glm_blank_infilling',
  {
    vocabSize: { key: 'vocab_size', check: integer(), default: 30592 },
    hiddenSize: { key: 'hidden_size', check: integer(), default: 768 },
    numLayers: { key: 'num_layers', check: layerCount, default: 12 },
    numAttentionHeads: { key: 'num_attention_heads', check: integer(), default: 12 },
    maxSequenceLength: { key: 'max_sequence_length', check: integer(), default: 512 },
    embeddingDropoutProb: { key: 'embedding_dropout_prob', check: number(0, 1), default: 0.1 },
    attentionDropoutProb: { key: 'attention_dropout_prob', check: number(0, 1), default: 0.1 },
    outputDropoutProb: { key: 'output_dropout_prob', check: number(0, 1), default: 0.1 },
    initializerRange: { key: 'initializer_range', check: number(0), default: 0.02 },
    layernormEpsilon: { key: 'layernorm_epsilon', check: positive, default: 1e-5 },
  },
  ({ hiddenSize, numAttentionHeads: heads }, fail) => {
    if (hiddenSize % heads !== 0)
      fail(`hiddenSize ${hiddenSize} is not a multiple of numAttentionHeads ${heads}`);
  },
);

/** @throws ValueError for fields that are not known or make no sense */
export const blankGlmConfig = (options: BlankGlmOptions = {}): BlankGlmConfig => blankGlmSchema.make(options);

/** The paper's sizes (table 6), and a tiny one of ours over bytes and a few tokens more. */
export const blankGlmPresets = {
  'glm-blank-tiny': {
    vocabSize: 264,
    hiddenSize: 64,
    numLayers: 2,
    numAttentionHeads: 4,
    maxSequenceLength: 128,
  },
  'glm-base': {},
  'glm-large': { hiddenSize: 1024, numLayers: 24, numAttentionHeads: 16 },
} as const satisfies Readonly<Record<string, BlankGlmOptions>>;
