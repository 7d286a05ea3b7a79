/** @infinigrad/nn: modules, layers, losses and optimizers. */
export * from './parameter.ts';
export { Module } from './module.ts';
export { StateError, type LoadOptions, type LoadReport, type Mismatch } from './state.ts';
export { capture, type AfterForward, type BeforeForward, type Callable, type Captured } from './hooks.ts';
export { updateBuffer } from './tree.ts';
export { tie, tiedNames } from './tie.ts';
export type { MoveOptions } from './move.ts';
export type { NamePattern } from './pattern.ts';
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
export * from './linear-attention/index.ts';
export * from './losses/index.ts';
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
export type { OptimizerState, StateNumbers, StateSlots, StateTensors, TensorSlot } from './optim/states.ts';
