/** What all optimizers share: groups, the norm of the gradients, a step that changes everything or nothing, the state. */
import { enableGrad, noGrad } from '@infinigrad/autograd';
import { NumericError, scope, ShapeError, Tensor, ValueError } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { finiteLater } from './clip.ts';
import { FollowUp } from './follow-up.ts';
import { checkClipping, clipping, finiteNorm, type ClippingOptions } from './gradients.ts';
import {
  placeOf,
  resolveGroups,
  withOwn,
  type GroupSettings,
  type OptimizerParameters,
  type ResolvedGroup,
  type SettingsCheck,
} from './groups.ts';
import type { Schedule } from './schedules/schedule.ts';
import {
  ParameterStates,
  readStates,
  refuseState,
  type OptimizerState,
  type StateSlots,
  type StateTensors,
} from './states.ts';
import type { OptimizerOptions, ParameterUpdate, Updated } from './update.ts';
import { passing } from './wide.ts';

export abstract class Optimizer<S extends GroupSettings = GroupSettings> {
  /** The class's name, for errors. */
  protected readonly op: string;
  /** Steps taken. */
  stepCount = 0;
  /** The common 2-norm of all gradients at the last step, before clipping; null before the first, and on a GPU. */
  lastGradNorm: number | null = null;
  #groups: readonly ResolvedGroup<S>[];
  readonly #check: SettingsCheck<S>;
  readonly #clipping: ClippingOptions;
  readonly #followUp: FollowUp;
  readonly #schedule: Schedule;
  readonly #states = new ParameterStates();
  /** Weight of what has been accumulated into the gradients. */
  #accumulated = 0;

  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  protected constructor(
    op: string,
    params: OptimizerParameters<S>,
    defaults: S,
    check: SettingsCheck<S>,
    options: OptimizerOptions,
  ) {
    checkClipping(op, options);
    this.op = op;
    this.#groups = resolveGroups(op, params, defaults, check);
    this.#check = check;
    this.#clipping = options;
    this.#followUp = new FollowUp(op, options);
    this.#schedule = options.schedule ?? (() => 1);
  }

  /** The tensors that are kept of a parameter between steps. */
  protected abstract slots(parameter: Parameter, group: ResolvedGroup<S>): StateSlots;

  /** A parameter's next value and state. Called without recording gradients, in a scope that fuses. */
  protected abstract update(update: ParameterUpdate<S>): Updated;

  /**
   * Called before the updates of a step, for optimizers whose updates look at each other.
   * @param _updates what `update` will be called with, made when asked for
   */
  protected prepare(_updates: readonly (() => ParameterUpdate<S>)[]): void {}

  /** What is kept of a parameter; null before its first update. */
  protected stateOf(parameter: Parameter): StateTensors | null {
    return this.#states.get(parameter)?.tensors ?? null;
  }

  /** Gives a parameter another value of its shape, rounded to its dtype. */
  protected assign(parameter: Parameter, value: Tensor): void {
    scope(() => noGrad(() => this.#followUp.assign(parameter, value)));
  }

  /** With all their settings. */
  get groups(): readonly ResolvedGroup<S>[] {
    return this.#groups;
  }

  /** The first group's learning rate for the step to come, schedule included. */
  get learningRate(): number {
    return this.learningRateAt();
  }

  /** Every parameter, through all groups. */
  get parameters(): Parameter[] {
    return this.#groups.flatMap(({ params }) => params);
  }

  /**
   * The learning rate of a group, schedule included.
   * @param group its place or its name. Default 0
   * @param step counted from 0. Default: the step to come
   * @throws IndexError where there is no such group
   */
  learningRateAt(group: number | string = 0, step = this.stepCount): number {
    const at = placeOf(`${this.op}.learningRateAt`, this.#groups, group);
    return this.#rate(this.#groups[at]!, step);
  }

  /**
   * Changes settings of a group from the next step on: its learning rate, or whether it is frozen.
   * @param group its place or its name
   * @throws IndexError where there is no such group; ValueError for settings that are unknown or out of range
   */
  configure(group: number | string, settings: Partial<S>): void {
    const op = `${this.op}.configure`;
    const at = placeOf(op, this.#groups, group);
    const { params, name, ...before } = this.#groups[at]!;
    const after = withOwn(op, name, before as unknown as S, settings, this.#check);
    this.#groups = this.#groups.with(at, { ...after, params, name });
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
    this.#accumulated = 0;
  }

  /**
   * One training step: forward, backward, clip, update. The gradients are forgotten afterwards. A scope: what `f` makes is
   * given back when the step ends; `keep` what else you need of it.
   * @param f computes the loss, a single number
   * @returns the loss, without history
   * @throws NumericError where the loss or the gradients' norm is not finite; parameters and state are then as before. On a GPU
   * neither is read: the loss shows it
   */
  minimize(f: () => Tensor): Tensor {
    return scope(() => {
      this.zeroGrad();
      try {
        const op = `${this.op}.minimize`;
        const loss = this.#backward(op, f, 1);
        this.#update(op);
        return loss;
      } finally {
        this.zeroGrad();
      }
    });
  }

  /**
   * Adds the gradients of a part of a batch, weighted; the next `step` takes their weighted mean. Where `f` gives the mean
   * over a part's tokens and `weight` is their number, that is the gradient of the mean over the whole batch.
   * @param f computes the part's loss, a single number
   * @param weight of the part, > 0. Default 1
   * @returns the part's loss, without history
   * @throws NumericError where the loss is not finite, ValueError for another weight; the gradients are then as before
   */
  accumulate(f: () => Tensor, weight = 1): Tensor {
    const op = `${this.op}.accumulate`;
    if (!(weight > 0 && weight < Infinity))
      throw new ValueError(op, `weight must be a number > 0, got ${weight}`);
    return scope(() => {
      if (this.#accumulated === 0) this.zeroGrad();
      const loss = this.#backward(op, f, weight);
      this.#accumulated += weight;
      return loss;
    });
  }

  #backward(op: string, f: () => Tensor, weight: number): Tensor {
    const loss = enableGrad(f);
    if (!(loss instanceof Tensor) || loss.size !== 1)
      throw new ShapeError(op, 'the loss must be a single number', {
        operands: loss instanceof Tensor ? [loss] : [],
        hint: 'take its mean',
      });
    if (loss.backend.synchronous) this.#checkLoss(op, loss.itemSync());
    const seed = weight === 1 ? undefined : passing(weight, loss).reshape(loss.shape);
    loss.backward(seed, { consume: true });
    return loss.detach();
  }

  #checkLoss(op: string, value: number): void {
    if (!Number.isFinite(value))
      throw new NumericError(op, `the loss is ${value} at step ${this.stepCount + 1}`, {
        hint: 'nothing was changed',
      });
  }

  /**
   * Updates every parameter that has a gradient. The gradients stay as they are, but for those that were accumulated, which
   * are forgotten.
   * @throws NumericError where their norm is not finite; nothing is then changed
   */
  step(): void {
    scope(() => this.#update(`${this.op}.step`));
    if (this.#accumulated > 0) this.zeroGrad();
  }

  /** For `loadStateDict`, or a file. */
  stateDict(): OptimizerState {
    return { step: this.stepCount, tensors: this.#states.save(this.parameters) };
  }

  /**
   * Goes on from a state of an optimizer over the same parameters in the same order.
   * @throws ValueError that lists what is missing, unexpected or does not fit; nothing is then changed
   */
  loadStateDict({ step, tensors }: OptimizerState): void {
    const problems: string[] = [];
    if (!Number.isInteger(step) || step < 0) problems.push(`step ${step} is not an integer ≥ 0`);
    const left = new Set(Object.keys(tensors));
    const groupOf = new Map(this.#groups.flatMap((group) => group.params.map((p) => [p, group] as const)));
    const slotsOf = (parameter: Parameter): StateSlots => this.#allSlots(parameter, groupOf.get(parameter)!);
    const loaded = readStates(this.parameters, slotsOf, tensors, left, problems);
    if (left.size > 0) problems.push(`unexpected ${[...left].join(', ')}`);
    refuseState(`${this.op}.loadStateDict`, problems);
    this.stepCount = step;
    this.lastGradNorm = null;
    for (const parameter of this.parameters) {
      this.#states.set(parameter, loaded.get(parameter) ?? null);
      this.#followUp.loaded(parameter);
    }
  }

  #allSlots(parameter: Parameter, group: ResolvedGroup<S>): StateSlots {
    return { ...this.slots(parameter, group), ...this.#followUp.slots(parameter) };
  }

  #rate(group: ResolvedGroup<S>, step: number): number {
    return group.learningRate * this.#schedule(step);
  }

  #update(op: string): void {
    const active = this.#groups.filter(({ frozen }) => !frozen);
    const rates = active.map((group) => this.#rate(group, this.stepCount));
    for (const rate of rates)
      if (!(rate >= 0 && rate < Infinity))
        throw new ValueError(op, `the learning rate is ${rate} at step ${this.stepCount + 1}`, {
          hint: 'look at the schedule',
        });
    const held = active.flatMap(({ params }) => params.filter(({ grad }) => grad !== null));
    const gradients = held.map(({ grad }) => grad!);
    const share = this.#accumulated > 0 ? 1 / this.#accumulated : 1;
    const readable = gradients.every(({ backend }) => backend.synchronous);
    const norm = readable ? share * finiteNorm(op, held, this.stepCount + 1) : null;
    noGrad(() => {
      const { scale, adjust } = clipping(this.#clipping, gradients, share, norm);
      const finite = !readable && this.#followUp.guards ? finiteLater(gradients) : null;
      const updates = active.flatMap((group, i) =>
        group.params
          .filter(({ grad }) => grad !== null)
          .map((parameter) => (): ParameterUpdate<S> => {
            const { steps, tensors, numbers } = this.#states.of(parameter, this.#allSlots(parameter, group));
            return {
              parameter,
              value: this.#followUp.valueOf(parameter, tensors),
              gradient: adjust(parameter.grad!),
              gradientScale: scale,
              group,
              learningRate: rates[i]!,
              steps: steps + 1,
              state: tensors,
              numbers,
            };
          }),
      );
      this.prepare(updates);
      for (const make of updates) scope(() => this.#apply(make(), finite), { fuse: true });
    });
    this.stepCount++;
    this.lastGradNorm = norm;
  }

  #apply(update: ParameterUpdate<S>, finite: Tensor | null): void {
    const { parameter, steps } = update;
    const updated = this.update(update);
    const tensors = this.#followUp.finish(parameter, update, updated, finite);
    this.#states.set(parameter, { steps, tensors, numbers: updated.numbers ?? {} });
  }
}
