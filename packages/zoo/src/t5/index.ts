export * from './config.ts';
export * from './cache.ts';
export type { StackOutput } from './stack.ts';
export { T5EncoderModel, type T5EncodeOptions } from './encoder.ts';
export * from './model.ts';
