/** Stochastic gradient descent with momentum, and Lion, which takes only the sign of it. */
import { ChainedOptimizer } from './chained.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { finite, isTruth, notNegative, pairOfFractions, settingsFrom, type OptionsOf } from './settings.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { scaleByLion, trace } from './transforms/momentum.ts';
import { chain, type Chain } from './transforms/transform.ts';

export interface SGDSettings extends GroupSettings {
  /** Default 1e-3. */
  readonly learningRate: number;
  /** Decay of the gathered gradients. Default 0: none are. */
  readonly momentum: number;
  /** A gradient counts 1 - dampening, but for the first. Default 0. */
  readonly dampening: number;
  /** Nesterov's momentum; needs momentum > 0 and no dampening. Default false. */
  readonly nesterov: boolean;
  /** Times the parameter, added to the gradient. Default 0. */
  readonly weightDecay: number;
}

/** Stochastic gradient descent, with PyTorch's momentum: the learning rate is outside of it. */
export class SGD extends ChainedOptimizer<SGDSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<SGDSettings>, options: OptionsOf<SGDSettings> = {}) {
    const defaults = { learningRate: 1e-3, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 };
    super(
      'SGD',
      params,
      settingsFrom('SGD', defaults, options),
      ({ momentum, dampening, nesterov, weightDecay }, check) => {
        notNegative(check, 'momentum', momentum);
        finite(check, 'dampening', dampening);
        isTruth(check, 'nesterov', nesterov);
        notNegative(check, 'weightDecay', weightDecay);
        check(!nesterov || (momentum > 0 && dampening === 0), 'nesterov needs momentum > 0 and no dampening');
      },
      options,
    );
  }

  protected override transforms({ momentum, weightDecay, ...group }: ResolvedGroup<SGDSettings>): Chain {
    const { dampening, nesterov } = group;
    return chain(
      addDecayedWeights(weightDecay),
      momentum === 0 ? [] : trace({ momentum, dampening, nesterov }),
      scaleByLearningRate(),
    );
  }
}

export interface LionSettings extends GroupSettings {
  /** Default 1e-4. */
  readonly learningRate: number;
  /** Of the direction, and of the running mean. Default [0.9, 0.99]. */
  readonly betas: readonly [number, number];
  /** A step multiplies a parameter by 1 - learning rate · weightDecay. Default 0. */
  readonly weightDecay: number;
}

/** Lion: steps by the sign of an interpolation of gradient and momentum (Chen et al., arXiv 2302.06675, Algorithm 2). */
export class Lion extends ChainedOptimizer<LionSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<LionSettings>, options: OptionsOf<LionSettings> = {}) {
    const defaults: LionSettings = { learningRate: 1e-4, betas: [0.9, 0.99], weightDecay: 0 };
    super(
      'Lion',
      params,
      settingsFrom('Lion', defaults, options),
      ({ betas, weightDecay }, check) => {
        pairOfFractions(check, 'betas', betas);
        notNegative(check, 'weightDecay', weightDecay);
      },
      options,
    );
  }

  protected override transforms({ betas, weightDecay }: ResolvedGroup<LionSettings>): Chain {
    return chain(scaleByLion({ betas }), addDecayedWeights(weightDecay), scaleByLearningRate());
  }
}
