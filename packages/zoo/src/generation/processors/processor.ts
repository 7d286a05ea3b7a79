/** Functions from logits to logits, of which the options of generation are made. */
import { fromData, type Tensor } from '@infinigrad/tensor';

/** What has been read and generated so far. */
export interface ProcessorContext {
  /** The tokens of each row, prompt and all, without padding. */
  readonly sequences: readonly (readonly number[])[];
  /** How many of each row have been generated. */
  readonly newTokens: number;
}

/**
 * Logits [rows, vocabulary] to others of that shape; -Infinity for a token that must not come. It builds ops and reads
 * nothing, so that it costs a GPU no waiting. Beam search hands it log-probabilities.
 */
export type LogitsProcessor = (logits: Tensor, context: ProcessorContext) => Tensor;

/** One after the other. */
export function chain(processors: readonly LogitsProcessor[]): LogitsProcessor {
  return (logits, context) => processors.reduce((x, processor) => processor(x, context), logits);
}

/** bool [rows, vocabulary] (or [1, vocabulary]), true for the tokens listed in each row; what lies outside the vocabulary is passed over. */
export function tokenMask(rows: readonly Iterable<number>[], { shape, backend }: Tensor): Tensor {
  const vocabulary = shape[1]!;
  const marks = new Uint8Array(rows.length * vocabulary);
  rows.forEach((tokens, row) => {
    for (const token of tokens) if (token < vocabulary) marks[row * vocabulary + token] = 1;
  });
  return fromData(marks, [rows.length, vocabulary], { dtype: 'bool', backend });
}

/** Logits with -Infinity where `mask` is true. */
export const without = (logits: Tensor, mask: Tensor): Tensor => mask.where(-Infinity, logits);
