/** AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), step for step as PyTorch's. */
import { computeDType, ops } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import { checkAdamW, type AdamWGroupSettings, type Parameters } from './groups.ts';
import { Optimizer, type OptimizerOptions, type ParameterUpdate, type Updated } from './optimizer.ts';
import type { StateSlots } from './states.ts';

export interface AdamWOptions extends OptimizerOptions {
  /** Default 1e-3. */
  readonly learningRate?: number;
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number;
  /** A step multiplies a parameter by 1 - learning rate · weightDecay. Default 0.01. */
  readonly weightDecay?: number;
}

export class AdamW extends Optimizer<AdamWGroupSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: Parameters<AdamWGroupSettings>, options: AdamWOptions = {}) {
    const { learningRate = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    super('AdamW', params, { learningRate, betas, eps, weightDecay }, checkAdamW, options);
  }

  /** Running means of the gradient and of its square, in f32 for f16 and bf16: squares of small gradients would be lost. */
  protected override slots({ shape, dtype }: Parameter): StateSlots {
    const slot = { shape, dtype: computeDType(dtype) };
    return { moment: slot, secondMoment: slot };
  }

  /** Parameter (unless of f16 or bf16) and moments lie in one storage, which a step replaces by the next. */
  protected override update({ group, state, ...update }: ParameterUpdate<AdamWGroupSettings>): Updated {
    const { parameter, gradient, learningRate, gradientScale, steps: step } = update;
    const {
      betas: [beta1, beta2],
      eps,
      weightDecay,
    } = group;
    const numbers = { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale };
    const next = ops.adamWStep(parameter, state['moment']!, state['secondMoment']!, gradient, numbers);
    return {
      value: next.select(0, 0),
      state: { moment: next.select(0, 1), secondMoment: next.select(0, 2) },
    };
  }
}
