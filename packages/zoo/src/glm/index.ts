export {
  glmConfig,
  glmParameterCount,
  glmPresets,
  glmSchema,
  type GlmConfig,
  type GlmOptions,
} from './config.ts';
export * from './model.ts';
export * from './blank-config.ts';
export * from './blank-infilling.ts';
