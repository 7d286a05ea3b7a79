export {
  llamaConfig,
  llamaParameterCount,
  llamaPresets,
  type LlamaConfig,
  type LlamaOptions,
} from './config.ts';
export * from './model.ts';
