/** Adagrad, RMSprop and Adadelta, as PyTorch's. */
import { ChainedOptimizer } from './chained.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { fraction, isTruth, notNegative, settingsFrom, type OptionsOf } from './settings.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { trace } from './transforms/momentum.ts';
import { scaleByAdadelta, scaleByAdagrad, scaleByRms } from './transforms/squares.ts';
import { chain, type Chain } from './transforms/transform.ts';

export interface AdagradSettings extends GroupSettings {
  /** Default 1e-2. */
  readonly learningRate: number;
  /** The rate falls as 1 / (1 + updates · rateDecay). Default 0. */
  readonly rateDecay: number;
  /** Times the parameter, added to the gradient. Default 0. */
  readonly weightDecay: number;
  /** What the sums of squares begin with. Default 0. */
  readonly initial: number;
  /** Default 1e-10. */
  readonly eps: number;
}

/** Divides by the root of all squares so far (Duchi, Hazan, Singer, JMLR 2011). */
export class Adagrad extends ChainedOptimizer<AdagradSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdagradSettings>, options: OptionsOf<AdagradSettings> = {}) {
    const defaults = { learningRate: 1e-2, rateDecay: 0, weightDecay: 0, initial: 0, eps: 1e-10 };
    super(
      'Adagrad',
      params,
      settingsFrom('Adagrad', defaults, options),
      (settings, check) => {
        for (const name of ['rateDecay', 'weightDecay', 'initial', 'eps'] as const)
          notNegative(check, name, settings[name]);
      },
      options,
    );
  }

  protected override transforms({ weightDecay, ...group }: ResolvedGroup<AdagradSettings>): Chain {
    return chain(addDecayedWeights(weightDecay), scaleByAdagrad(group), scaleByLearningRate());
  }
}

export interface RMSpropSettings extends GroupSettings {
  /** Default 1e-2. */
  readonly learningRate: number;
  /** Of the mean of squares. Default 0.99. */
  readonly decay: number;
  /** Default 1e-8. */
  readonly eps: number;
  /** Times the parameter, added to the gradient. Default 0. */
  readonly weightDecay: number;
  /** Default 0. */
  readonly momentum: number;
  /** Divide by the standard deviation. Default false. */
  readonly centered: boolean;
}

/** Divides by the root of a running mean of squares (Hinton, lecture 6e; centred: Graves, arXiv 1308.0850). */
export class RMSprop extends ChainedOptimizer<RMSpropSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<RMSpropSettings>, options: OptionsOf<RMSpropSettings> = {}) {
    const defaults = {
      learningRate: 1e-2,
      decay: 0.99,
      eps: 1e-8,
      weightDecay: 0,
      momentum: 0,
      centered: false,
    };
    super(
      'RMSprop',
      params,
      settingsFrom('RMSprop', defaults, options),
      ({ decay, eps, weightDecay, momentum, centered }, check) => {
        fraction(check, 'decay', decay);
        notNegative(check, 'eps', eps);
        notNegative(check, 'weightDecay', weightDecay);
        notNegative(check, 'momentum', momentum);
        isTruth(check, 'centered', centered);
      },
      options,
    );
  }

  protected override transforms({ weightDecay, momentum, ...group }: ResolvedGroup<RMSpropSettings>): Chain {
    return chain(
      addDecayedWeights(weightDecay),
      scaleByRms(group),
      momentum === 0 ? [] : trace({ momentum }),
      scaleByLearningRate(),
    );
  }
}

export interface AdadeltaSettings extends GroupSettings {
  /** Default 1. */
  readonly learningRate: number;
  /** Of both means of squares. Default 0.9. */
  readonly decay: number;
  /** Default 1e-6. */
  readonly eps: number;
  /** Times the parameter, added to the gradient. Default 0. */
  readonly weightDecay: number;
}

/** Steps as long as the steps before (Zeiler, arXiv 1212.5701, Algorithm 1). */
export class Adadelta extends ChainedOptimizer<AdadeltaSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdadeltaSettings>, options: OptionsOf<AdadeltaSettings> = {}) {
    const defaults = { learningRate: 1, decay: 0.9, eps: 1e-6, weightDecay: 0 };
    super(
      'Adadelta',
      params,
      settingsFrom('Adadelta', defaults, options),
      ({ decay, eps, weightDecay }, check) => {
        fraction(check, 'decay', decay);
        notNegative(check, 'eps', eps);
        notNegative(check, 'weightDecay', weightDecay);
      },
      options,
    );
  }

  protected override transforms({ weightDecay, ...group }: ResolvedGroup<AdadeltaSettings>): Chain {
    return chain(addDecayedWeights(weightDecay), scaleByAdadelta(group), scaleByLearningRate());
  }
}
