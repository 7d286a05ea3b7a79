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
export * from './layers.ts';
export * from './delta-layers.ts';
export {
  RecurrentMixer,
  type MixerForward,
  type MixerOptions,
  type MixerRead,
  type MixerState,
} from './mixer.ts';
export type { RecurrenceForm, RecurrenceOptions, RecurrenceOutput, RecurrenceState } from './problem.ts';
export * from './short-convolution.ts';
