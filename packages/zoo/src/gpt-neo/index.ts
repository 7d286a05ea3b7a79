export {
  attentionLayers,
  gptNeoConfig,
  gptNeoParameterCount,
  gptNeoPresets,
  type AttentionType,
  type AttentionTypes,
  type GPTNeoConfig,
  type GPTNeoOptions,
} from './config.ts';
export { GPTNeoForCausalLM, GPTNeoModel } from './model.ts';
