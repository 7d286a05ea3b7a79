export {
  trainStep,
  type LossContext,
  type LossFunction,
  type LossWithMetrics,
  type TrainStepOptions,
  type TrainStepResult,
} from './step.ts';
export { MixedPrecision, type MixedPrecisionOptions } from './precision.ts';
export { evaluate, type EvaluateOptions } from './evaluate.ts';
export { Trainer } from './trainer.ts';
export type { EvaluationOptions, FitResult, TrainerOptions } from './options.ts';
export type {
  EvaluationReport,
  Listener,
  LogReport,
  StepReport,
  StopReason,
  TrainerEvents,
} from './events.ts';
export type { BatchMaker } from './batches.ts';
export type { MonitorOptions } from './monitor.ts';
export type { CheckpointStore, TrainerMeta, TrainerState } from './state.ts';
export { Profiler, type OpProfile, type ProfilerOptions } from './profiler.ts';
export { Turns } from './turns.ts';
