export * from './config.ts';
export * as checks from './checks.ts';
export { stateEntries, type KeyRule, type StateEntry } from './key-map.ts';
export { PretrainedError, type PretrainedReport, type StateOptions, type StateSpelling } from './state.ts';
export * from './model-cache.ts';
export * from './pretrained.ts';
export * from './causal-lm.ts';
export * from './counting.ts';
export type { HiddenAct } from './activations.ts';
