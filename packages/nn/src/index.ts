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
export { summary, type Summary, type SummaryRow } from './summary.ts';
export type { InitStd } from './init.ts';
export * as init from './initializers.ts';
export { initialize, type Initializer } from './initializers.ts';
export * from './layers/linear.ts';
export * from './layers/embedding.ts';
export * from './layers/norm.ts';
export * from './layers/swiglu.ts';
export * from './layers/activations.ts';
export * from './layers/batch-norm.ts';
export * from './layers/bilinear.ts';
export * from './layers/containers.ts';
export * from './layers/convolution.ts';
export * from './layers/group-norm.ts';
export * from './layers/instance-norm.ts';
export type { Drawing, Layer } from './layers/layer.ts';
export * from './layers/mlp.ts';
export * from './layers/pooling.ts';
export * from './layers/recurrent.ts';
export type { RecurrentCall, RecurrentOptions } from './layers/recurrent-network.ts';
export * from './layers/residual.ts';
export * from './layers/dropout.ts';
export * from './positions/rope.ts';
export {
  ropeFrequencies,
  type DynamicScaling,
  type LinearScaling,
  type Llama3Scaling,
  type LongRopeScaling,
  type RopeFrequencies,
  type RopeScaling,
  type YarnScaling,
} from './positions/rope-scaling.ts';
export { ropeScalingFromConfig } from './positions/rope-scaling-config.ts';
export { positionIds, type Positions } from './positions/positions.ts';
export * from './positions/learned.ts';
export * from './positions/sinusoidal.ts';
export * from './positions/alibi.ts';
export * from './positions/relative-buckets.ts';
export * from './positions/relative-shift.ts';
export type { ScorePositions } from './positions/score-positions.ts';
export * from './attention/causal-attention.ts';
export * from './attention/causal-self-attention.ts';
export { Cache, RecurrentCache, type CacheTree } from './attention/cache.ts';
export * from './attention/key-value-cache.ts';
export * from './attention/masks.ts';
export * from './attention/multi-head.ts';
export type { MultiHeadAttentionInputs, MultiHeadAttentionOptions } from './attention/multi-head-options.ts';
export * from './attention/scaled-dot-product.ts';
export * from './linear-attention/index.ts';
export * from './memory/index.ts';
export * from './losses/index.ts';
export * from './train/index.ts';
export * from './data/index.ts';
export * from './log/index.ts';
export * from './optim/index.ts';
