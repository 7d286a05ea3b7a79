/** What a trainer is told. */
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount } from '../data/cursor.ts';
import type { DataSource, Json } from '../data/source.ts';
import type { Logger } from '../log/logger.ts';
import type { Module } from '../module.ts';
import type { Optimizer } from '../optim/optimizer.ts';
import type { BatchMaker } from './batches.ts';
import type { StopReason } from './events.ts';
import type { MonitorOptions } from './monitor.ts';
import type { MixedPrecision } from './precision.ts';
import type { CheckpointStore } from './state.ts';
import type { LossFunction } from './step.ts';

export interface EvaluationOptions<M, B> {
  /** Looked at whole each time; a function where it must be made anew. */
  readonly data: AsyncIterable<B> | Iterable<B> | (() => AsyncIterable<B> | Iterable<B>);
  /** Steps between evaluations. Default: one after the last step only. */
  readonly every?: number;
  /** Default: the trainer's. */
  readonly loss?: LossFunction<M, B>;
}

export interface TrainerOptions<M extends Module, B> {
  readonly model: M;
  /** Clipping and the schedule of the learning rate are its own. */
  readonly optimizer: Optimizer<any>;
  readonly loss: LossFunction<M, B>;
  /** Batches, or what makes the batch of a step from its number and key alone. */
  readonly data: DataSource<B> | BatchMaker<B>;
  /** How many steps; or else `epochs`. */
  readonly steps?: number;
  readonly epochs?: number;
  /** Batches that make one step. Default 1. */
  readonly accumulate?: number;
  /** What a batch counts for beside the others of its step: its number of tokens, say. Default 1. */
  readonly weight?: (batch: B) => number;
  /** A step's key is this one, folded with the number of steps before it. Default: none. */
  readonly key?: Key;
  readonly precision?: MixedPrecision;
  /** Steps between logs, in which the loss is read. Default 10. */
  readonly logEvery?: number;
  readonly loggers?: readonly Logger[];
  readonly evaluation?: EvaluationOptions<M, B>;
  /** What of the evaluations decides which model is the best, and when to stop. */
  readonly monitor?: MonitorOptions;
  /** Keep the best model, for `restoreBest`. Default false. */
  readonly keepBest?: boolean;
  readonly checkpoints?: CheckpointStore;
  /** Steps between checkpoints. Default: one after the last step only. */
  readonly saveEvery?: number;
  /** What makes this run what it is: a state of a run with another is refused. */
  readonly run?: Json;
  /** Milliseconds, for the time that steps take. Default performance.now. */
  readonly now?: () => number;
}

/** @throws ValueError for settings out of range, and those that make no sense together */
export function checkOptions<M extends Module, B>(options: TrainerOptions<M, B>): void {
  const op = 'Trainer';
  const { steps, epochs, accumulate, logEvery, saveEvery, evaluation } = options;
  if ((steps === undefined) === (epochs === undefined))
    throw new ValueError(op, 'needs either steps or epochs');
  if (epochs !== undefined && typeof options.data === 'function')
    throw new ValueError(op, 'batches that are made from the step have no epochs', {
      hint: 'say how many steps',
    });
  const counts = { steps, epochs, accumulate, logEvery, saveEvery, 'evaluation.every': evaluation?.every };
  for (const [name, value] of Object.entries(counts)) if (value !== undefined) checkCount(op, name, value);
  if (saveEvery !== undefined && !options.checkpoints)
    throw new ValueError(op, 'saveEvery needs checkpoints to save to');
  if ((options.keepBest || options.monitor) && !evaluation)
    throw new ValueError(op, `${options.keepBest ? 'keepBest' : 'monitor'} needs an evaluation`);
}

export interface FitResult {
  readonly step: number;
  readonly epoch: number;
  readonly reason: StopReason;
  readonly best: { readonly value: number; readonly step: number } | null;
}
