/** Adafactor: second moments as rows and columns, so that they take next to no memory. */
import { ChainedOptimizer } from './chained.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { fraction, isTruth, notNegative, positive, settingsFrom, type OptionsOf } from './settings.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { clipByRms, scaleByFactoredRms, scaleByParameterRms } from './transforms/matrices.ts';
import { ema } from './transforms/momentum.ts';
import { chain, type Chain, type GradientTransform } from './transforms/transform.ts';
import { times } from './wide.ts';

export interface AdafactorSettings extends GroupSettings {
  /** With `relativeStep` the most that the rate can be. Default 1e-2. */
  readonly learningRate: number;
  /** The second moment is kept at the t-th update by 1 - t^(-decayPower). Default 0.8. */
  readonly decayPower: number;
  /**
   * Squares count at least eps[0]²; a parameter's root mean square counts at least eps[1]. Default [null, 1e-3]: the smallest
   * step of the dtype above 1.
   */
  readonly eps: readonly [number | null, number];
  /** An update's root mean square is brought down to this. Default 1. */
  readonly clipThreshold: number;
  /** A step multiplies a parameter by 1 - learning rate · weightDecay. Default 0. */
  readonly weightDecay: number;
  /** Of the updates; 0 keeps none, which saves its memory. Default 0. */
  readonly momentum: number;
  /** The rate is at most 1 / √t at the t-th update. Default true. */
  readonly relativeStep: boolean;
  /** The rate is multiplied by the parameter's root mean square. Default true. */
  readonly scaleParameter: boolean;
}

const byRelativeStep: GradientTransform = {
  name: 'scaleByRelativeStep',
  apply: (update, { steps, learningRate }) => ({
    update: times(update, Math.min(1, 1 / (learningRate * Math.sqrt(steps)))),
  }),
};

/**
 * Adafactor (Shazeer and Stern, arXiv 1804.04235, Algorithm 4), with PyTorch's defaults. A matrix of n × m keeps n + m numbers.
 * For a fixed rate, as T5 was fine-tuned with: `relativeStep: false, scaleParameter: false`.
 */
export class Adafactor extends ChainedOptimizer<AdafactorSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdafactorSettings>, options: OptionsOf<AdafactorSettings> = {}) {
    const defaults: AdafactorSettings = {
      learningRate: 1e-2,
      decayPower: 0.8,
      eps: [null, 1e-3],
      clipThreshold: 1,
      weightDecay: 0,
      momentum: 0,
      relativeStep: true,
      scaleParameter: true,
    };
    super(
      'Adafactor',
      params,
      settingsFrom('Adafactor', defaults, options),
      (settings, check) => {
        notNegative(check, 'decayPower', settings.decayPower);
        check(Array.isArray(settings.eps) && settings.eps.length === 2, 'eps must be two numbers');
        settings.eps.forEach((eps, i) => eps === null || notNegative(check, `eps[${i}]`, eps));
        positive(check, 'clipThreshold', settings.clipThreshold);
        notNegative(check, 'weightDecay', settings.weightDecay);
        fraction(check, 'momentum', settings.momentum);
        isTruth(check, 'relativeStep', settings.relativeStep);
        isTruth(check, 'scaleParameter', settings.scaleParameter);
      },
      options,
    );
  }

  protected override transforms(group: ResolvedGroup<AdafactorSettings>): Chain {
    const { decayPower, clipThreshold, weightDecay, momentum } = group;
    const [least, leastRms] = group.eps;
    return chain(
      scaleByFactoredRms({ decayPower, ...(least !== null && { eps: least }) }),
      clipByRms(clipThreshold),
      group.relativeStep ? byRelativeStep : [],
      group.scaleParameter ? scaleByParameterRms(leastRms) : [],
      momentum === 0 ? [] : ema(momentum, { debias: false }),
      addDecayedWeights(weightDecay),
      scaleByLearningRate(),
    );
  }
}
