/** AdamW: Adam with decoupled weight decay (Kingma and Ba, arXiv 1412.6980; Loshchilov and Hutter, arXiv 1711.05101). */
import { noGrad } from '@infinigrad/autograd';
import { sameShape, ValueError, zerosLike, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { clipGradNorm, gradNorm } from './clip.ts';
import type { Schedule } from './schedule.ts';

/** Parameters with settings of their own; what is left out is the optimizer's. */
export interface ParameterGroup {
  readonly params: Iterable<Parameter>;
  readonly name?: string;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
}

export interface AdamWOptions {
  /** Default 1e-3. */
  readonly learningRate?: number;
  /** Decay rates of the two moments. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
  /** Scale all gradients down together where their 2-norm exceeds this. Default: no limit. */
  readonly maxGradNorm?: number;
  /** Factor on all learning rates, by steps done. Default 1. */
  readonly schedule?: Schedule;
}

export interface OptimizerState {
  readonly step: number;
  readonly tensors: Record<string, Tensor>;
}

interface Slot {
  readonly parameter: Parameter;
  readonly group: number;
  moment: Tensor;
  secondMoment: Tensor;
}

type Settings = Required<Pick<AdamWOptions, 'learningRate' | 'betas' | 'eps' | 'weightDecay'>>;

export class AdamW {
  /** Steps done. */
  stepCount = 0;
  /** The 2-norm of all gradients at the last step, before clipping. */
  lastGradNorm: number | null = null;
  private readonly groups: readonly Settings[];
  private readonly slots: readonly Slot[];
  private readonly maxGradNorm: number | undefined;
  private readonly schedule: Schedule;

  /** @throws ValueError for settings that make no sense, or a parameter in two groups */
  constructor(parameters: Iterable<Parameter> | readonly ParameterGroup[], options: AdamWOptions = {}) {
    const { learningRate = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01, maxGradNorm, schedule = () => 1 } = options;
    const given = [...(parameters as Iterable<Parameter | ParameterGroup>)];
    const isGroup = (x: Parameter | ParameterGroup): x is ParameterGroup => 'params' in x;
    const groups: readonly ParameterGroup[] = given.every(isGroup) ? given : [{ params: given as Parameter[] }];
    this.groups = groups.map((g) => checked({ learningRate, betas, eps, weightDecay, ...pickSettings(g) }));
    const seen = new Set<Parameter>();
    this.slots = groups.flatMap(({ params }, group) =>
      [...params].map((parameter) => {
        if (seen.has(parameter)) throw new ValueError('AdamW', 'a parameter is listed twice', { operands: [parameter] });
        seen.add(parameter);
        return { parameter, group, moment: zerosLike(parameter), secondMoment: zerosLike(parameter) };
      }),
    );
    if (this.slots.length === 0) throw new ValueError('AdamW', 'there are no parameters to train');
    this.maxGradNorm = maxGradNorm;
    this.schedule = schedule;
  }

  /** The first group's learning rate for the next step. */
  get learningRate(): number {
    return this.groups[0]!.learningRate * this.schedule(this.stepCount);
  }

  private get parameters(): Parameter[] {
    return this.slots.map(({ parameter }) => parameter);
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const p of this.parameters) p.grad = null;
  }

  /**
   * One training step: evaluates the loss, differentiates it, clips, updates.
   * @returns the loss, without history
   * @throws ValueError naming the step where the loss or a gradient is not finite; no parameter is changed then
   */
  minimize(loss: () => Tensor): Tensor {
    this.zeroGrad();
    const value = loss();
    const number = value.itemSync();
    if (!Number.isFinite(number))
      throw new ValueError('AdamW.minimize', `the loss is ${number} at step ${this.stepCount + 1}`, {
        hint: 'the parameters are as they were; try a lower learning rate or clip gradients',
      });
    value.backward();
    this.step();
    this.zeroGrad();
    return value.detach();
  }

  /** Updates every parameter that has a gradient. @throws ValueError where a gradient is not finite; nothing is changed then */
  step(): void {
    const norm = this.maxGradNorm === undefined ? gradNorm(this.parameters) : clipGradNorm(this.parameters, this.maxGradNorm);
    if (!Number.isFinite(norm)) {
      throw new ValueError('AdamW.step', `the gradient is ${norm} at step ${this.stepCount + 1}`, {
        hint: 'the parameters are as they were; try a lower learning rate',
      });
    }
    this.lastGradNorm = norm;
    const factor = this.schedule(this.stepCount);
    this.stepCount++;
    noGrad(() => {
      for (const slot of this.slots) if (slot.parameter.grad) update(slot, this.groups[slot.group]!, factor, this.stepCount);
    });
  }

  /** All that is needed to go on exactly: the moments, in the parameters' order. */
  stateDict(): OptimizerState {
    const tensors: Record<string, Tensor> = {};
    this.slots.forEach(({ moment, secondMoment }, i) => {
      tensors[`${i}.moment`] = moment;
      tensors[`${i}.secondMoment`] = secondMoment;
    });
    return { step: this.stepCount, tensors };
  }

  /** @throws ValueError where the state is of other parameters; nothing is changed then */
  loadStateDict({ step, tensors }: OptimizerState): void {
    const loaded = this.slots.map(({ parameter }, i) =>
      ['moment', 'secondMoment'].map((name) => {
        const value = Object.hasOwn(tensors, `${i}.${name}`) ? tensors[`${i}.${name}`]! : null;
        if (!value || !sameShape(value.shape, parameter.shape) || value.dtype !== parameter.dtype)
          throw new ValueError('AdamW.loadStateDict', `${i}.${name} is missing or of another shape`, { operands: [parameter] });
        return value;
      }),
    );
    loaded.forEach(([moment, secondMoment], i) => {
      this.slots[i]!.moment = moment!;
      this.slots[i]!.secondMoment = secondMoment!;
    });
    this.stepCount = step;
  }
}

function update(slot: Slot, settings: Settings, factor: number, step: number): void {
  const { parameter: p } = slot;
  const { betas, eps, weightDecay } = settings;
  const [beta1, beta2] = betas;
  const learningRate = settings.learningRate * factor;
  const g = p.grad!;
  // m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²
  slot.moment = slot.moment.mul(beta1).add(g.mul(1 - beta1));
  slot.secondMoment = slot.secondMoment.mul(beta2).add(g.square().mul(1 - beta2));
  // p ← (1 - lr · decay) p - lr m̂ / (√v̂ + eps), with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
  const root = slot.secondMoment.sqrt().mul(1 / Math.sqrt(1 - beta2 ** step)).add(eps);
  const move = slot.moment.div(root).mul(learningRate / (1 - beta1 ** step));
  p.assign((weightDecay === 0 ? p.detach() : p.detach().mul(1 - learningRate * weightDecay)).sub(move));
}

function pickSettings(group: ParameterGroup): Partial<Settings> {
  const { learningRate, betas, eps, weightDecay } = group;
  return {
    ...(learningRate !== undefined && { learningRate }),
    ...(betas !== undefined && { betas }),
    ...(eps !== undefined && { eps }),
    ...(weightDecay !== undefined && { weightDecay }),
  };
}

function checked(settings: Settings): Settings {
  const { learningRate, betas, eps, weightDecay } = settings;
  const fail = (name: string, value: number): never => {
    throw new ValueError('AdamW', `${name} is out of range: ${value}`);
  };
  if (!(learningRate >= 0)) fail('learningRate', learningRate);
  if (!(eps >= 0)) fail('eps', eps);
  if (!(weightDecay >= 0)) fail('weightDecay', weightDecay);
  for (const beta of betas) if (!(beta >= 0 && beta < 1)) fail('betas', beta);
  return settings;
}
