/** Kin of Adam: NAdam, RAdam, Adamax, and LAMB for large batches. */
import { ChainedOptimizer } from './chained.ts';
import type { Check, GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { isTruth, notNegative, pairOfFractions, settingsFrom, type OptionsOf } from './settings.ts';
import { scaleByAdam, scaleByAdamax, scaleByNAdam, scaleByRAdam } from './transforms/adam.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { scaleByTrustRatio } from './transforms/matrices.ts';
import { chain, type Chain, type GradientTransform } from './transforms/transform.ts';

/** Settings of Adamax; the others have more. */
export interface AdamaxSettings extends GroupSettings {
  /** Default 2e-3; of RAdam and LAMB 1e-3. */
  readonly learningRate: number;
  /** Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Default 1e-8; of LAMB 1e-6. */
  readonly eps: number;
  /** Default 0. Times the parameter, added to the gradient; decoupled where `decoupledWeightDecay` says so, and in LAMB. */
  readonly weightDecay: number;
}

export interface RAdamSettings extends AdamaxSettings {
  /** Weight decay as in AdamW. Default false. */
  readonly decoupledWeightDecay: boolean;
}

export interface NAdamSettings extends RAdamSettings {
  /** How soon momentum reaches β₁. Default 0.004. */
  readonly momentumDecay: number;
}

export interface LAMBSettings extends AdamaxSettings {
  /** Norms of parameters above this count as it. Default Infinity; 10 in the paper's experiments. */
  readonly mostNorm: number;
}

const common = { learningRate: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;

function checkCommon({ betas, eps, weightDecay }: AdamaxSettings, check: Check): void {
  pairOfFractions(check, 'betas', betas);
  notNegative(check, 'eps', eps);
  notNegative(check, 'weightDecay', weightDecay);
}

/** Weight decay before the moments, or behind them. */
function withDecay(
  scaling: GradientTransform,
  { weightDecay, decoupledWeightDecay }: { weightDecay: number; decoupledWeightDecay: boolean },
): Chain {
  const decay = addDecayedWeights(weightDecay);
  const parts = decoupledWeightDecay ? [scaling, decay] : [decay, scaling];
  return chain(...parts, scaleByLearningRate());
}

/** Adam with Nesterov's momentum (Dozat, ICLR workshop 2016), as PyTorch's. */
export class NAdam extends ChainedOptimizer<NAdamSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<NAdamSettings>, options: OptionsOf<NAdamSettings> = {}) {
    const defaults = { ...common, decoupledWeightDecay: false, momentumDecay: 0.004 };
    super(
      'NAdam',
      params,
      settingsFrom('NAdam', defaults, options),
      (settings, check) => {
        checkCommon(settings, check);
        isTruth(check, 'decoupledWeightDecay', settings.decoupledWeightDecay);
        notNegative(check, 'momentumDecay', settings.momentumDecay);
      },
      options,
    );
  }

  protected override transforms(group: ResolvedGroup<NAdamSettings>): Chain {
    return withDecay(scaleByNAdam(group), group);
  }
}

/** Rectified Adam (Liu et al., arXiv 1908.03265, Algorithm 2), as PyTorch's: needs no warm-up. */
export class RAdam extends ChainedOptimizer<RAdamSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<RAdamSettings>, options: OptionsOf<RAdamSettings> = {}) {
    const defaults = { ...common, learningRate: 1e-3, decoupledWeightDecay: false };
    super(
      'RAdam',
      params,
      settingsFrom('RAdam', defaults, options),
      (settings, check) => {
        checkCommon(settings, check);
        isTruth(check, 'decoupledWeightDecay', settings.decoupledWeightDecay);
      },
      options,
    );
  }

  protected override transforms(group: ResolvedGroup<RAdamSettings>): Chain {
    return withDecay(scaleByRAdam(group), group);
  }
}

/** Adam by the infinity norm (Kingma and Ba, arXiv 1412.6980, Algorithm 2), as PyTorch's. */
export class Adamax extends ChainedOptimizer<AdamaxSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<AdamaxSettings>, options: OptionsOf<AdamaxSettings> = {}) {
    super('Adamax', params, settingsFrom<AdamaxSettings>('Adamax', common, options), checkCommon, options);
  }

  protected override transforms(group: ResolvedGroup<AdamaxSettings>): Chain {
    return withDecay(scaleByAdamax(group), { ...group, decoupledWeightDecay: false });
  }
}

/** Adam whose step is as long as the parameter, layer by layer (You et al., arXiv 1904.00962, Algorithm 2). */
export class LAMB extends ChainedOptimizer<LAMBSettings> {
  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(params: OptimizerParameters<LAMBSettings>, options: OptionsOf<LAMBSettings> = {}) {
    const defaults = { ...common, learningRate: 1e-3, eps: 1e-6, mostNorm: Infinity };
    super(
      'LAMB',
      params,
      settingsFrom('LAMB', defaults, options),
      (settings, check) => {
        checkCommon(settings, check);
        check(settings.mostNorm > 0, `mostNorm must be > 0, got ${settings.mostNorm}`);
      },
      options,
    );
  }

  protected override transforms({ mostNorm, weightDecay, ...group }: ResolvedGroup<LAMBSettings>): Chain {
    return chain(
      scaleByAdam(group),
      addDecayedWeights(weightDecay),
      scaleByTrustRatio({ mostNorm }),
      scaleByLearningRate(),
    );
  }
}
