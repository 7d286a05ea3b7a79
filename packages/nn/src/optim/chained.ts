/** Optimizers that are chains of gradient transforms. */
import { computeDType, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import type { GroupSettings, OptimizerParameters, ResolvedGroup } from './groups.ts';
import { Optimizer } from './optimizer.ts';
import type { OptimizerOptions, ParameterUpdate, Updated } from './update.ts';
import type { StateNumbers, StateSlots, StateTensors } from './states.ts';
import { times, widened } from './wide.ts';
import { slotNames, type Chain, type GradientTransform } from './transforms/transform.ts';

/** How far one parameter has come in its chain. */
interface Progress {
  readonly at: number;
  readonly update: Tensor;
  readonly state: StateTensors;
  readonly numbers: StateNumbers;
}

/** A chain with the names of all that it keeps. */
interface Resolved {
  readonly chain: Chain;
  readonly names: ReturnType<typeof slotNames>;
}

/** Base class of optimizers whose update is a chain of transforms, made of a group's settings. */
export abstract class ChainedOptimizer<S extends GroupSettings> extends Optimizer<S> {
  readonly #chains = new WeakMap<ResolvedGroup<S>, Chain>();
  #begun = new Map<Parameter, Progress>();
  #factors = new Map<GradientTransform, Tensor>();

  /** The chain of a group. */
  protected abstract transforms(group: ResolvedGroup<S>): Chain;

  #chainOf(group: ResolvedGroup<S>): Chain {
    const known = this.#chains.get(group);
    if (known) return known;
    const made = this.transforms(group);
    this.#chains.set(group, made);
    return made;
  }

  #resolve({ shape, dtype }: Parameter, group: ResolvedGroup<S>): Resolved {
    const transforms = this.#chainOf(group);
    const like = { shape, dtype: computeDType(dtype) };
    return { chain: transforms, names: slotNames(transforms, (one) => one.slots?.(like) ?? {}) };
  }

  protected override slots(parameter: Parameter, group: ResolvedGroup<S>): StateSlots {
    const like = { shape: parameter.shape, dtype: computeDType(parameter.dtype) };
    const { chain, names } = this.#resolve(parameter, group);
    return Object.fromEntries(names.map(({ own, name, at }) => [name, chain[at]!.slots!(like)[own]!]));
  }

  /** Where a transform looks at all updates, all go as far as it before any goes on. */
  protected override prepare(updates: readonly (() => ParameterUpdate<S>)[]): void {
    this.#begun = new Map();
    this.#factors = new Map();
    const chains = this.groups.map((group) => this.#chainOf(group));
    if (!chains.some((transforms) => transforms.some(({ whole }) => whole))) return;
    const all = updates.map((make) => make());
    for (;;) {
      const waiting = new Map<GradientTransform, Tensor[]>();
      for (const update of all) {
        const progress = this.#run(update, true);
        this.#begun.set(update.parameter, progress);
        const next = this.#chainOf(update.group)[progress.at];
        if (next) waiting.set(next, [...(waiting.get(next) ?? []), progress.update]);
      }
      if (waiting.size === 0) return;
      for (const [transform, found] of waiting) this.#factors.set(transform, transform.whole!(found));
    }
  }

  protected override update(update: ParameterUpdate<S>): Updated {
    const { update: change, state, numbers } = this.#run(update, false);
    return { value: update.value.add(change), state, numbers };
  }

  /** Goes on from where a parameter is. @param halting stop before a transform that has yet to look at all updates */
  #run(update: ParameterUpdate<S>, halting: boolean): Progress {
    const { parameter, group, gradient, gradientScale, steps, learningRate } = update;
    const { chain, names } = this.#resolve(parameter, group);
    const begun = this.#begun.get(parameter);
    let at = begun?.at ?? 0;
    let change = begun?.update ?? times(widened(gradient), gradientScale);
    const state = { ...(begun?.state ?? update.state) };
    const numbers = { ...(begun?.numbers ?? update.numbers) };
    for (; at < chain.length; at++) {
      const transform = chain[at]!;
      const factor = this.#factors.get(transform) ?? null;
      if (halting && transform.whole && !factor) break;
      const own = names.filter((one) => one.at === at);
      const pick = <T>(from: Readonly<Record<string, T>>): Record<string, T> =>
        Object.fromEntries(own.flatMap(({ own, name }) => (name in from ? [[own, from[name]!]] : [])));
      const made = transform.apply(change, {
        parameter: update.value,
        steps,
        learningRate,
        state: pick(state),
        numbers: pick(numbers),
        factor,
      });
      change = made.update;
      for (const { own: key, name } of own) {
        if (made.state && key in made.state) state[name] = made.state[key]!;
        if (made.numbers && key in made.numbers) numbers[name] = made.numbers[key]!;
      }
    }
    return { at, update: change, state, numbers };
  }
}

export interface ChainOptions extends OptimizerOptions {
  /** Default 1e-3; what `scaleByLearningRate` takes. */
  readonly learningRate?: number;
  /** What errors call it. Default 'ChainOptimizer'. */
  readonly name?: string;
}

/** An optimizer of one's own: what the chain makes of a gradient is added to the parameter. */
export class ChainOptimizer extends ChainedOptimizer<GroupSettings> {
  readonly #transforms: Chain;

  /**
   * @param transforms as `chain(...)` gives; most end with `scaleByLearningRate()`
   * @throws ValueError for no parameters, one named twice, or settings out of range
   */
  constructor(params: OptimizerParameters<GroupSettings>, transforms: Chain, options: ChainOptions = {}) {
    const { learningRate = 1e-3, name = 'ChainOptimizer' } = options;
    super(name, params, { learningRate }, () => {}, options);
    this.#transforms = transforms;
  }

  protected override transforms(): Chain {
    return this.#transforms;
  }
}
