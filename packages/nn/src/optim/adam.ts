/** Adam and AdamW, step for step as PyTorch's. */
import { ops } from '@infinigrad/tensor';
import { ChainedOptimizer } from './chained.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup, SettingsCheck } from './groups.ts';
import type { ParameterUpdate, Updated } from './update.ts';
import { isTruth, notNegative, pairOfFractions, settingsFrom, type OptionsOf } from './settings.ts';
import { scaleByAdam } from './transforms/adam.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { chain, type Chain } from './transforms/transform.ts';
import { times, widened } from './wide.ts';

export interface AdamSettings extends GroupSettings {
  /** Default 1e-3. */
  readonly learningRate: number;
  /** Decay rates of the running means of the gradient and of its square. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps: number;
  /**
   * AdamW: a step multiplies a parameter by 1 - learning rate · weightDecay; default 0.01. Adam: weightDecay times the parameter
   * is added to its gradient; default 0.
   */
  readonly weightDecay: number;
  /** Divide by the largest that the second moment has been (arXiv 1904.09237). Default false. */
  readonly amsgrad: boolean;
}

export type AdamOptions = OptionsOf<AdamSettings>;
export type AdamWOptions = AdamOptions;

const check: SettingsCheck<AdamSettings> = ({ weightDecay, betas, eps, amsgrad }, check) => {
  notNegative(check, 'weightDecay', weightDecay);
  pairOfFractions(check, 'betas', betas);
  notNegative(check, 'eps', eps);
  isTruth(check, 'amsgrad', amsgrad);
};

const defaults = { learningRate: 1e-3, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false } as const;

/** In one pass; parameter (unless of f16 or bf16) and moments then lie in one storage, which a step replaces by the next. */
function fused(
  { value, group, state, steps: step, learningRate, ...update }: ParameterUpdate<AdamSettings>,
  weightDecay: number,
): Updated {
  const { betas, eps } = group;
  const [beta1, beta2] = betas;
  const { gradient, gradientScale } = update;
  const numbers = { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale };
  const next = ops.adamWStep(value, state['moment']!, state['secondMoment']!, gradient, numbers);
  return {
    value: next.select(0, 0),
    state: { moment: next.select(0, 1), secondMoment: next.select(0, 2) },
  };
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101). */
export class AdamW extends ChainedOptimizer<AdamSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdamSettings>, options: AdamWOptions = {}) {
    super(
      'AdamW',
      params,
      settingsFrom<AdamSettings>('AdamW', { ...defaults, weightDecay: 0.01 }, options),
      check,
      options,
    );
  }

  protected override transforms({ weightDecay, ...settings }: ResolvedGroup<AdamSettings>): Chain {
    return chain(scaleByAdam(settings), addDecayedWeights(weightDecay), scaleByLearningRate());
  }

  protected override update(update: ParameterUpdate<AdamSettings>): Updated {
    const { amsgrad, weightDecay } = update.group;
    return amsgrad ? super.update(update) : fused(update, weightDecay);
  }
}

/** Adam (Kingma and Ba, arXiv 1412.6980, Algorithm 1); weight decay is an L2 penalty, as in PyTorch. */
export class Adam extends ChainedOptimizer<AdamSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdamSettings>, options: AdamOptions = {}) {
    super(
      'Adam',
      params,
      settingsFrom<AdamSettings>('Adam', { ...defaults, weightDecay: 0 }, options),
      check,
      options,
    );
  }

  protected override transforms({ weightDecay, ...settings }: ResolvedGroup<AdamSettings>): Chain {
    return chain(addDecayedWeights(weightDecay), scaleByAdam(settings), scaleByLearningRate());
  }

  protected override update(update: ParameterUpdate<AdamSettings>): Updated {
    const { amsgrad, weightDecay } = update.group;
    if (amsgrad) return super.update(update);
    if (weightDecay === 0) return fused(update, 0);
    const { value, gradient, gradientScale } = update;
    const g = times(widened(gradient), gradientScale).add(value.mul(weightDecay));
    return fused({ ...update, gradient: g, gradientScale: 1 }, 0);
  }
}
