/** Muon: momentum, orthogonalized; for the matrices of hidden layers. */
import { ShapeError } from '@infinigrad/tensor';
import { ChainedOptimizer } from './chained.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { finite, fraction, isTruth, notNegative, settingsFrom, type OptionsOf } from './settings.ts';
import { addDecayedWeights, scaleByLearningRate } from './transforms/basic.ts';
import { orthogonalize, scaleByShape, type MuonAdjustment } from './transforms/matrices.ts';
import { ema } from './transforms/momentum.ts';
import { chain, type Chain, type GradientTransform } from './transforms/transform.ts';

export interface MuonSettings extends GroupSettings {
  /** Default 1e-3. */
  readonly learningRate: number;
  /** A step multiplies a parameter by 1 - learning rate · weightDecay. Default 0.1. */
  readonly weightDecay: number;
  /** Default 0.95. */
  readonly momentum: number;
  /** Default true. */
  readonly nesterov: boolean;
  /** Of the Newton–Schulz iteration. Default [3.4445, -4.775, 2.0315]. */
  readonly coefficients: readonly [number, number, number];
  /** The update's norm counts at least this. Default 1e-7. */
  readonly eps: number;
  /** Steps of the iteration. Default 5. */
  readonly iterations: number;
  /** The rate by the shape of the matrix: `'original'` (the default), `'matchRmsAdamW'` (takes AdamW's rates) or `'none'`. */
  readonly adjustment: MuonAdjustment;
}

/** m ← μ m + (1 - μ) g; with Nesterov (1 - μ) g + μ m comes out. */
function momentumOf(momentum: number, nesterov: boolean): GradientTransform {
  if (!nesterov) return ema(momentum, { debias: false });
  return {
    name: 'nesterovEma',
    slots: (slot) => ({ mean: slot }),
    apply: (g, { state }) => {
      const mean = state['mean']!.mul(momentum).add(g.mul(1 - momentum));
      return { update: g.mul(1 - momentum).add(mean.mul(momentum)), state: { mean } };
    },
  };
}

/**
 * Muon (Jordan et al., kellerjordan.github.io/posts/muon), as PyTorch's, in the dtype of the parameters. For matrices, and filters of
 * convolutions as [out, everything else]; embeddings, the output layer, biases and gains want AdamW beside it.
 */
export class Muon extends ChainedOptimizer<MuonSettings> {
  /**
   * @throws ValueError for no parameters, one named twice, or settings out of range
   * @throws ShapeError for a parameter of rank 0 or 1
   */
  constructor(params: OptimizerParameters<MuonSettings>, options: OptionsOf<MuonSettings> = {}) {
    const defaults: MuonSettings = {
      learningRate: 1e-3,
      weightDecay: 0.1,
      momentum: 0.95,
      nesterov: true,
      coefficients: [3.4445, -4.775, 2.0315],
      eps: 1e-7,
      iterations: 5,
      adjustment: 'original',
    };
    super(
      'Muon',
      params,
      settingsFrom('Muon', defaults, options),
      (settings, check) => {
        const { coefficients, iterations, adjustment } = settings;
        notNegative(check, 'weightDecay', settings.weightDecay);
        fraction(check, 'momentum', settings.momentum);
        isTruth(check, 'nesterov', settings.nesterov);
        check(Array.isArray(coefficients) && coefficients.length === 3, 'coefficients must be three numbers');
        coefficients.forEach((c, i) => finite(check, `coefficients[${i}]`, c));
        notNegative(check, 'eps', settings.eps);
        check(
          Number.isInteger(iterations) && iterations >= 0,
          `iterations must be an integer ≥ 0, got ${iterations}`,
        );
        check(
          ['original', 'matchRmsAdamW', 'none'].includes(adjustment),
          `adjustment must be 'original', 'matchRmsAdamW' or 'none', got '${adjustment}'`,
        );
      },
      options,
    );
    const flat = this.parameters.find(({ rank }) => rank < 2);
    if (flat)
      throw new ShapeError('Muon', 'takes matrices', {
        operands: [flat],
        hint: 'give biases, gains and embeddings to AdamW',
      });
  }

  protected override transforms(group: ResolvedGroup<MuonSettings>): Chain {
    return chain(
      momentumOf(group.momentum, group.nesterov),
      orthogonalize(group),
      scaleByShape(group.adjustment),
      addDecayedWeights(group.weightDecay),
      scaleByLearningRate(),
    );
  }
}
