/** @infinigrad/nn: modules, layers, losses and optimizers. */
export * from './parameter.ts';
export { Module, type LoadOptions, type LoadReport } from './module.ts';
export { functionalCall } from './functional-call.ts';
export type { InitStd } from './init.ts';
export * from './layers/linear.ts';
export * from './layers/embedding.ts';
export * from './layers/norm.ts';
export * from './layers/swiglu.ts';
export * from './layers/dropout.ts';
export * from './layers/rope.ts';
export * from './layers/attention.ts';
export { Cache, RecurrentCache, type CacheTree } from './attention/cache.ts';
export * from './losses.ts';
export * from './optim/adamw.ts';
export { clipGradNorm, gradNorm } from './optim/clip.ts';
export * from './optim/schedule.ts';
export type {
  AdamWGroupSettings,
  GroupSettings,
  ParameterGroup,
  Parameters,
  ResolvedGroup,
} from './optim/groups.ts';
export { Optimizer, type OptimizerOptions, type ParameterUpdate, type Updated } from './optim/optimizer.ts';
export type { OptimizerState, StateSlot, StateSlots, StateTensors } from './optim/states.ts';
