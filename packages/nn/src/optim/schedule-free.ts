/** Schedule-free AdamW: averages its iterates, so that no learning-rate schedule has to know when training ends. */
import { computeDType, ValueError, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import type { GroupSettings, OptimizerParameters } from './groups.ts';
import { Optimizer } from './optimizer.ts';
import { notNegative, settingsFrom, pairOfFractions, type OptionsOf } from './settings.ts';
import type { OptimizerState, StateSlots } from './states.ts';
import type { ParameterUpdate, Updated } from './update.ts';
import { passing, times, widened } from './wide.ts';

export interface ScheduleFreeSettings extends GroupSettings {
  /** Default 2.5e-3. */
  readonly learningRate: number;
  /** How far gradients are taken towards the average, and the decay of the mean of squares. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Default 1e-8. */
  readonly eps: number;
  /** Decoupled, at the point where gradients are taken. Default 0. */
  readonly weightDecay: number;
  /** Updates over which the rate rises linearly. Default 0. */
  readonly warmupSteps: number;
  /** The t-th iterate weighs t^averagePower in the average. Default 0. */
  readonly averagePower: number;
  /** It also weighs (highest rate so far)^ratePower. Default 2. */
  readonly ratePower: number;
}

/**
 * Schedule-free AdamW (Defazio et al., arXiv 2405.15682, eq. 3–5 over Adam's steps). Gradients are taken at y, between the iterates z
 * and their average x. In training the parameters are y; the trained model is x: `eval()` before validation, generation and
 * saving, `train()` before going on. States can be taken in either mode.
 */
export class ScheduleFreeAdamW extends Optimizer<ScheduleFreeSettings> {
  #training = true;

  /** @throws ValueError for no parameters, one named twice, or settings out of range */
  constructor(
    params: OptimizerParameters<ScheduleFreeSettings>,
    options: OptionsOf<ScheduleFreeSettings> = {},
  ) {
    const defaults: ScheduleFreeSettings = {
      learningRate: 2.5e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      warmupSteps: 0,
      averagePower: 0,
      ratePower: 2,
    };
    super(
      'ScheduleFreeAdamW',
      params,
      settingsFrom('ScheduleFreeAdamW', defaults, options),
      ({ betas, ...settings }, check) => {
        pairOfFractions(check, 'betas', betas);
        for (const name of ['eps', 'weightDecay', 'warmupSteps', 'averagePower', 'ratePower'] as const)
          notNegative(check, name, settings[name]);
      },
      options,
    );
    if (options.lookahead) throw new ValueError('ScheduleFreeAdamW', 'has an average already: no lookahead');
  }

  /** Whether the parameters are where gradients are taken, not the average. */
  get training(): boolean {
    return this.#training;
  }

  /** Gives the parameters the values at which gradients are taken. */
  train(): void {
    this.#training = true;
    this.#show();
  }

  /** Gives the parameters the values of the average. */
  eval(): void {
    this.#training = false;
    this.#show();
  }

  /** Runs `body` (synchronous) with the average in the parameters. */
  averaged<T>(body: () => T): T {
    const { training } = this;
    this.eval();
    try {
      return body();
    } finally {
      if (training) this.train();
    }
  }

  /** As of every optimizer; the parameters get the values of the mode at hand. */
  override loadStateDict(state: OptimizerState): void {
    super.loadStateDict(state);
    this.#show();
  }

  #show(): void {
    for (const group of this.groups)
      for (const parameter of group.params) {
        const { iterate, average } = this.stateOf(parameter) ?? {};
        if (iterate && average) this.assign(parameter, this.#shown(iterate, average, group.betas[0]));
      }
  }

  #shown(iterate: Tensor, average: Tensor, beta1: number): Tensor {
    return this.#training ? iterate.mul(1 - beta1).add(average.mul(beta1)) : average;
  }

  protected override slots({ shape, dtype }: Parameter): StateSlots {
    const slot = { shape, dtype: computeDType(dtype) };
    const started = { ...slot, initial: 'parameter' } as const;
    return { iterate: started, average: started, secondMoment: slot, weightSum: 0, highestRate: 0 };
  }

  protected override prepare(): void {
    if (!this.#training)
      throw new ValueError(this.op, 'the parameters are the average', { hint: 'call train() before a step' });
  }

  protected override update({
    value,
    gradient,
    gradientScale,
    group,
    learningRate,
    steps,
    state,
    numbers,
  }: ParameterUpdate<ScheduleFreeSettings>): Updated {
    const { betas, eps, weightDecay, warmupSteps, averagePower, ratePower } = group;
    const [beta1, beta2] = betas;
    const rate = learningRate * (steps <= warmupSteps ? steps / warmupSteps : 1);
    const highestRate = Math.max(rate, numbers['highestRate']!);
    const weight = steps ** averagePower * highestRate ** ratePower;
    const weightSum = numbers['weightSum']! + weight;
    const share = weightSum > 0 ? weight / weightSum : 0;

    const g = times(widened(gradient), gradientScale);
    const secondMoment = state['secondMoment']!.mul(beta2).add(g.square().mul(1 - beta2));
    const root = Math.sqrt(1 - beta2 ** steps);
    const scaled = times(g, root).div(secondMoment.sqrt().add(passing(eps * root, g)));
    const direction = weightDecay === 0 ? scaled : scaled.add(value.mul(weightDecay));
    const iterate = state['iterate']!.sub(times(direction, rate));
    const average = state['average']!.add(times(iterate.sub(state['average']!), share));
    return {
      value: this.#shown(iterate, average, beta1),
      state: { iterate, average, secondMoment },
      numbers: { weightSum, highestRate },
    };
  }
}
