/** AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), step for step as PyTorch's. */
import { enableGrad, noGrad } from '@infinigrad/autograd';
import {
  computeDType,
  IndexError,
  ops,
  pin,
  retire,
  sameShape,
  scalar,
  scope,
  ShapeError,
  Tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { checkMaxNorm, clipFactor, clipFactorLater, squaredNorms } from './clip.ts';
import type { Schedule } from './schedule.ts';
import { resolveGroups, type GroupSettings, type ParameterGroup, type ResolvedGroup } from './groups.ts';

export interface AdamWOptions {
  /** Default 1e-3. */
  readonly learningRate?: number;
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number;
  /** A step multiplies a parameter by 1 - learning rate · weightDecay. Default 0.01. */
  readonly weightDecay?: number;
  /** Gradients are scaled down together where their common 2-norm is above this. Default: never. */
  readonly maxGradNorm?: number;
  /** Factor of all learning rates at a step, counted from 0. Default 1 throughout. */
  readonly schedule?: Schedule;
}

/** Running means for one parameter, in f32 for one of f16 or bf16: squares of small gradients would be lost. */
interface Moments {
  /** Updates this parameter has had; one without a gradient is passed over. */
  readonly steps: number;
  readonly mean: Tensor;
  readonly meanSquare: Tensor;
}

/** Everything that an exact resume needs, beside the parameters and the options. */
export interface OptimizerState {
  readonly step: number;
  /** `<i>.step` (i32), `<i>.moment` and `<i>.secondMoment` for the i-th parameter, counted through all groups. */
  readonly tensors: Record<string, Tensor>;
}

export class AdamW {
  readonly groups: readonly ResolvedGroup[];
  /** Steps taken. */
  stepCount = 0;
  /** The common 2-norm of all gradients at the last step, before clipping; null before the first, and on a GPU. */
  lastGradNorm: number | null = null;
  readonly #maxGradNorm: number | undefined;
  readonly #schedule: Schedule;
  readonly #moments = new Map<Parameter, Moments>();

  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: Iterable<Parameter> | readonly ParameterGroup[], options: AdamWOptions = {}) {
    const {
      learningRate = 1e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0.01,
      maxGradNorm,
      schedule = () => 1,
    } = options;
    const defaults: GroupSettings = { learningRate, betas, eps, weightDecay };
    if (maxGradNorm !== undefined) checkMaxNorm('AdamW', maxGradNorm);
    this.groups = resolveGroups('AdamW', params, defaults);
    this.#maxGradNorm = maxGradNorm;
    this.#schedule = schedule;
  }

  /** The first group's learning rate for the step to come, schedule included. */
  get learningRate(): number {
    return this.learningRateAt();
  }

  /** Every parameter, through all groups. */
  get parameters(): Parameter[] {
    return this.groups.flatMap(({ params }) => params);
  }

  /**
   * The learning rate of a group, schedule included.
   * @param group its place or its name. Default 0
   * @param step counted from 0. Default: the step to come
   */
  learningRateAt(group: number | string = 0, step = this.stepCount): number {
    const found =
      typeof group === 'number' ? this.groups[group] : this.groups.find(({ name }) => name === group);
    if (!found)
      throw new IndexError('AdamW.learningRateAt', `there is no group ${group}`, {
        hint: `groups: ${this.groups.map(({ name }) => name).join(', ')}`,
      });
    return this.#rate(found, step);
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  /**
   * One training step: forward, backward, clip, update. The gradients are forgotten afterwards. A scope: what `f` makes is
   * given back when the step ends; `keep` what else you need of it.
   * @param f computes the loss, a single number
   * @returns the loss, without history
   * @throws ValueError where the loss or the gradients' norm is not finite; parameters and state are then as before. On a GPU
   * neither is read: the loss shows it
   */
  minimize(f: () => Tensor): Tensor {
    return scope(() => {
      this.zeroGrad();
      try {
        return this.#minimize(f);
      } finally {
        this.zeroGrad();
      }
    });
  }

  #minimize(f: () => Tensor): Tensor {
    const loss = enableGrad(f);
    if (!(loss instanceof Tensor) || loss.size !== 1)
      throw new ShapeError('AdamW.minimize', 'the loss must be a single number', {
        operands: loss instanceof Tensor ? [loss] : [],
        hint: 'take its mean',
      });
    if (loss.backend.synchronous) this.#checkLoss(loss.itemSync());
    loss.backward(undefined, { consume: true });
    this.#update('AdamW.minimize');
    return loss.detach();
  }

  #checkLoss(value: number): void {
    if (!Number.isFinite(value))
      throw new ValueError('AdamW.minimize', `the loss is ${value} at step ${this.stepCount + 1}`, {
        hint: 'nothing was changed',
      });
  }

  /**
   * Updates every parameter that has a gradient. The gradients stay as they are.
   * @throws ValueError where their norm is not finite; nothing is then changed
   */
  step(): void {
    scope(() => this.#update('AdamW.step'));
  }

  /** For `loadStateDict`, or a file. */
  stateDict(): OptimizerState {
    const tensors: Record<string, Tensor> = {};
    this.parameters.forEach((parameter, i) => {
      const moments = this.#moments.get(parameter);
      if (!moments) return;
      tensors[`${i}.step`] = scalar(moments.steps, 'i32', parameter.backend);
      tensors[`${i}.moment`] = moments.mean.detach();
      tensors[`${i}.secondMoment`] = moments.meanSquare.detach();
    });
    return { step: this.stepCount, tensors };
  }

  /**
   * Goes on from a state of an optimizer over the same parameters in the same order.
   * @throws ValueError that lists what is missing, unexpected or does not fit; nothing is then changed
   */
  loadStateDict(state: OptimizerState): void {
    const { step, tensors } = state;
    const problems: string[] = [];
    if (!Number.isInteger(step) || step < 0) problems.push(`step ${step} is not an integer ≥ 0`);
    const left = new Set(Object.keys(tensors));
    const loaded = this.parameters.flatMap((parameter, i): [Parameter, Moments][] => {
      const names = [`${i}.step`, `${i}.moment`, `${i}.secondMoment`];
      const found = names.filter((name) => left.delete(name));
      if (found.length === 0) return [];
      if (found.length < names.length)
        problems.push(`missing ${names.filter((name) => !found.includes(name)).join(', ')}`);
      const fits = names.map((name, k) => {
        const value = Object.hasOwn(tensors, name) ? tensors[name]! : null;
        if (!value) return false;
        const good =
          k === 0
            ? value.size === 1
            : sameShape(value.shape, parameter.shape) && value.dtype === computeDType(parameter.dtype);
        if (!good)
          problems.push(
            `${name} is [${value.shape.join(', ')}] ${value.dtype}, the parameter [${parameter.shape.join(', ')}] ${parameter.dtype}`,
          );
        return good;
      });
      if (!fits.every(Boolean)) return [];
      const [steps, mean, meanSquare] = names.map((name) => tensors[name]!.detach()) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return [[parameter, { steps: steps.itemSync(), mean, meanSquare }]];
    });
    if (left.size > 0) problems.push(`unexpected ${[...left].join(', ')}`);
    if (problems.length > 0)
      throw new ValueError('AdamW.loadStateDict', problems.join('; '), {
        hint: 'is the model the same, and are the groups in the same order?',
      });
    this.stepCount = step;
    this.lastGradNorm = null;
    const fresh = new Map(loaded);
    for (const parameter of this.parameters) this.#setMoments(parameter, fresh.get(parameter) ?? null);
  }

  #rate(group: ResolvedGroup, step: number): number {
    return group.learningRate * this.#schedule(step);
  }

  #update(op: string): void {
    const held = this.parameters.flatMap(({ grad }) => (grad ? [grad] : []));
    const readable = held.every(({ backend }) => backend.synchronous);
    const norm = readable ? this.#gradientNorm(op) : null;
    const most = this.#maxGradNorm;
    const factor = most === undefined || norm === null ? 1 : clipFactor(norm, most);
    const later = most === undefined || norm !== null ? null : noGrad(() => clipFactorLater(held, most));
    const rates = this.groups.map((group) => this.#rate(group, this.stepCount));
    for (const rate of rates)
      if (!(rate >= 0 && rate < Infinity))
        throw new ValueError(op, `the learning rate is ${rate} at step ${this.stepCount + 1}`, {
          hint: 'look at the schedule',
        });
    noGrad(() => {
      this.groups.forEach((group, i) => {
        for (const parameter of group.params)
          if (parameter.grad) {
            const g = later ? parameter.grad.mul(later) : parameter.grad;
            this.#updateOne(parameter, g, group, rates[i]!, factor);
          }
      });
    });
    this.stepCount++;
    this.lastGradNorm = norm;
  }

  #gradientNorm(op: string): number {
    const held = this.parameters.filter(({ grad }) => grad !== null);
    const squares = squaredNorms(held.map(({ grad }) => grad!));
    const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
    if (!Number.isFinite(norm)) {
      const culprit = held[squares.findIndex((square) => !Number.isFinite(square))];
      const where = culprit ? ', first in the parameter' : '';
      throw new ValueError(op, `the norm of the gradients is ${norm} at step ${this.stepCount + 1}${where}`, {
        operands: culprit ? [culprit] : [],
        hint: 'nothing was changed',
      });
    }
    return norm;
  }

  /** Parameter (unless of f16 or bf16) and moments lie in one storage, which a step replaces by the next. */
  #updateOne(
    parameter: Parameter,
    g: Tensor,
    group: ResolvedGroup,
    learningRate: number,
    clip: number,
  ): void {
    const [beta1, beta2] = group.betas;
    const { eps, weightDecay } = group;
    const moments = this.#momentsOf(parameter);
    const step = moments.steps + 1;
    const { mean, meanSquare } = moments;
    const numbers = { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale: clip };
    const next = ops.adamWStep(parameter, mean, meanSquare, g, numbers);
    const value = next.select(0, 0);
    parameter.adopt(value.dtype === parameter.dtype ? value : value.cast(parameter.dtype));
    this.#setMoments(parameter, { steps: step, mean: next.select(0, 1), meanSquare: next.select(0, 2) });
  }

  #setMoments(parameter: Parameter, moments: Moments | null): void {
    const before = this.#moments.get(parameter);
    if (moments) {
      pin(moments.mean);
      pin(moments.meanSquare);
      this.#moments.set(parameter, moments);
    } else this.#moments.delete(parameter);
    for (const x of before ? [before.mean, before.meanSquare] : []) retire(x.storage);
  }

  #momentsOf(parameter: Parameter): Moments {
    const known = this.#moments.get(parameter);
    if (known) return known;
    const { shape, dtype, backend } = parameter;
    const zero = zeros(shape, { dtype: computeDType(dtype), backend });
    return { steps: 0, mean: zero, meanSquare: zero };
  }
}
