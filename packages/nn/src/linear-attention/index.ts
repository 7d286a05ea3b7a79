/** Linear attention and its kin. */
export * from './feature-maps.ts';
export {
  deltaRule,
  gatedDeltaRule,
  gatedLinearAttention,
  linearAttention,
  retention,
  retentionDecays,
  type LinearAttentionOptions,
  type RetentionOptions,
} from './functions.ts';
export type { RecurrentForm, RecurrentOptions, RecurrentOutput, RecurrentState } from './problem.ts';
