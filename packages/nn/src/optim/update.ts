/** What an optimizer is told, and what goes in and out of one parameter's update. */
import type { Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import type { FollowUpOptions } from './follow-up.ts';
import type { ClippingOptions } from './gradients.ts';
import type { GroupSettings, ResolvedGroup } from './groups.ts';
import type { Schedule } from './schedules/schedule.ts';
import type { StateNumbers, StateTensors } from './states.ts';

/** Options of every optimizer, for all its groups together. */
export interface OptimizerOptions extends ClippingOptions, FollowUpOptions {
  /** Factor of all learning rates at a step, counted from 0. Default 1 throughout. */
  readonly schedule?: Schedule;
}

/** One parameter's part of a step. */
export interface ParameterUpdate<S extends GroupSettings> {
  readonly parameter: Parameter;
  /** What the parameter is before the step, in the dtype that is computed with. */
  readonly value: Tensor;
  /** In the parameter's dtype. What counts is this times `gradientScale`. */
  readonly gradient: Tensor;
  readonly gradientScale: number;
  readonly group: ResolvedGroup<S>;
  /** Of the group, schedule included. */
  readonly learningRate: number;
  /** Updates this parameter has had, counting this one. */
  readonly steps: number;
  readonly state: StateTensors;
  readonly numbers: StateNumbers;
}

/** What an update gives. */
export interface Updated {
  /** Row-major, of the parameter's shape; it is rounded to the parameter's dtype. */
  readonly value: Tensor;
  readonly state: StateTensors;
  /** Default: none. */
  readonly numbers?: StateNumbers;
}
