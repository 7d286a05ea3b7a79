/** What models are trained on: objectives, and sources whose best loss is known. */
export type { Tokens } from './checks.ts';
export { causalBatch, causalRow, type CausalBatch, type CausalRowOptions } from './causal.ts';
export { keyed } from './keyed.ts';
export { maskedBatch, maskTokens, type MaskedBatch, type MaskedRow, type MaskingOptions } from './masked.ts';
export {
  corruptSpans,
  fillSpans,
  spanCounts,
  spanLengths,
  spanMask,
  type Corrupted,
  type SentinelOptions,
  type SpanOptions,
} from './span-corruption.ts';
export {
  encoderDecoderBatch,
  spanCorruptionBatch,
  type EncoderDecoderBatch,
  type EncoderDecoderOptions,
} from './span-batch.ts';
export { drawBlanks, type BlankOptions, type Span } from './blanks.ts';
export {
  blankBatch,
  blankRow,
  fillBlanks,
  infillBlanks,
  type BlankBatch,
  type BlankRow,
  type BlankTokens,
} from './blank-infilling.ts';
export {
  prefixBatch,
  prefixLength,
  splitPrefix,
  type PrefixBatch,
  type PrefixOptions,
  type PrefixRow,
} from './prefix.ts';
export { entropyOf, MarkovChain, randomChain, type RandomChainOptions } from './markov.ts';
export { periodicFloor, periodicText, type PeriodicOptions } from './periodic.ts';
export { copyFloor, copyRow, type CopyOptions } from './copying.ts';
