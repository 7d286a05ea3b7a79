export { generate, type Generation } from './generate.ts';
export { stream, streamText } from './streams.ts';
export { generationSteps, type GenerationStep } from './steps.ts';
export type { GenerationOptions } from './options.ts';
export type { Prompt } from './prompts.ts';
export type { FinishReason } from './stopping.ts';
export type {
  CacheKind,
  CausalModel,
  EncoderDecoderModel,
  GenerativeCache,
  GenerativeCacheOptions,
  GenerativeModel,
  GenerativeOutput,
  ReadableModel,
  Reader,
  ReaderOptions,
  Reading,
  TokenDefaults,
} from './model.ts';
export { infiniDecoder } from './segments.ts';
export * from './processors/index.ts';
