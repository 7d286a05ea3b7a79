export { gpt2Config, gpt2ParameterCount, gpt2Presets, type GPT2Config, type GPT2Options } from './config.ts';
export type { GPTModelOutput } from './decoder.ts';
export { GPT2LMHeadModel, GPT2Model } from './model.ts';
