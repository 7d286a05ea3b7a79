/** Optimizers, gradient transforms, schedules, clipping. */
export { Optimizer, type OptimizerOptions, type ParameterUpdate, type Updated } from './optimizer.ts';
export type { OptimizerState, StateNumbers, StateSlots, StateTensors, TensorSlot } from './states.ts';
export type { GroupSettings, ParameterGroup, Parameters, ResolvedGroup } from './groups.ts';
export type { OptionsOf } from './settings.ts';
export * as transforms from './transforms/index.ts';
export { ChainOptimizer, ChainedOptimizer, type ChainOptions } from './chained.ts';
export * from './adam.ts';
export * from './adam-kin.ts';
export * from './sgd.ts';
export * from './adagrad.ts';
export * from './adafactor.ts';
export * from './muon.ts';
export { clipGradNorm, clipGradNormAsync, clipGradValue, gradNorm, gradNormAsync } from './clip.ts';
export type { Schedule } from './schedules/schedule.ts';
export * as schedules from './schedules/index.ts';
export { constant } from './schedules/decay.ts';
export { warmupCosine, type WarmupCosineOptions } from './schedules/compose.ts';
export * from './schedules/plateau.ts';
