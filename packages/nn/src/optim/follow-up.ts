/** What every optimizer can do beside its update: weights in f32 behind those of 16 bits, lookahead, a guard where nothing is read. */
import { computeDType, ValueError, type Storage, type Tensor } from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';
import type { StateSlots, StateTensors } from './states.ts';
import type { Updated } from './update.ts';
import { widened } from './wide.ts';

export interface Lookahead {
  /** Updates between two looks back. Default 6. */
  readonly every?: number;
  /** How far the slow weights go towards the fast ones. Default 0.5. */
  readonly weight?: number;
}

export interface FollowUpOptions {
  /**
   * Slow weights behind the fast: after every so many updates they go part of the way to the fast ones, which go on from there
   * (Zhang et al., arXiv 1907.08610, Algorithm 1). Default: none.
   */
  readonly lookahead?: Lookahead;
  /**
   * Keep an f32 copy of every parameter of f16 or bf16, which updates change and the parameter is rounded from: updates smaller
   * than half a unit in its last place then add up. Default false. Load parameters before the optimizer's state.
   */
  readonly masterWeights?: boolean;
  /**
   * On a backend whose elements come later (a GPU) the norm of the gradients is not read: let every element choose between its next
   * value and its last by whether that norm is finite. Default false. Elsewhere a step throws and changes nothing anyway.
   */
  readonly guard?: boolean;
}

export class FollowUp {
  readonly guards: boolean;
  readonly #lookahead: Required<Lookahead> | null;
  readonly #masters: boolean;
  /** What a parameter was last rounded into: a parameter that lies elsewhere has been given another value. */
  readonly #rounded = new WeakMap<Parameter, Storage>();

  constructor(op: string, { lookahead, masterWeights = false, guard = false }: FollowUpOptions) {
    const { every = 6, weight = 0.5 } = lookahead ?? {};
    if (!Number.isInteger(every) || every < 1)
      throw new ValueError(op, `lookahead.every must be an integer ≥ 1, got ${every}`);
    if (!(weight > 0 && weight <= 1))
      throw new ValueError(op, `lookahead.weight must lie in (0, 1], got ${weight}`);
    this.#lookahead = lookahead ? { every, weight } : null;
    this.#masters = masterWeights;
    this.guards = guard;
  }

  slots({ shape, dtype }: Parameter): StateSlots {
    const slot = { shape, dtype: computeDType(dtype), initial: 'parameter' } as const;
    return { ...(this.#lookahead && { slow: slot }), ...(this.#hasMaster(dtype) && { master: slot }) };
  }

  #hasMaster(dtype: Parameter['dtype']): boolean {
    return this.#masters && computeDType(dtype) !== dtype;
  }

  /** What an update starts from. */
  valueOf(parameter: Parameter, { master }: StateTensors): Tensor {
    return master && this.#rounded.get(parameter) === parameter.storage
      ? master
      : widened(parameter.detach());
  }

  /** Gives a parameter its next value. @param finite whether all gradients were, where that is not known yet */
  finish(
    parameter: Parameter,
    before: { readonly value: Tensor; readonly state: StateTensors; readonly steps: number },
    updated: Updated,
    finite: Tensor | null,
  ): StateTensors {
    const state: Record<string, Tensor> = { ...updated.state };
    // The value is then made of the new state in one short pass, not of all that the state is made of.
    for (const x of Object.values(state)) x.storage.settle();
    let { value } = updated;
    if (this.#lookahead) {
      const { every, weight } = this.#lookahead;
      const slow = before.state['slow']!;
      const looks = before.steps % every === 0;
      state['slow'] = looks ? slow.add(value.sub(slow).mul(weight)) : slow;
      if (looks) value = state['slow'];
    }
    if (finite) {
      value = finite.where(value, before.value);
      for (const [name, x] of Object.entries(state)) state[name] = finite.where(x, before.state[name]!);
    }
    if (this.#hasMaster(parameter.dtype)) state['master'] = value;
    this.assign(parameter, value);
    return state;
  }

  /** Gives a parameter a row-major value, rounded to its dtype. */
  assign(parameter: Parameter, value: Tensor): void {
    parameter.adopt(value.dtype === parameter.dtype ? value : value.cast(parameter.dtype));
    this.#rounded.set(parameter, parameter.storage);
  }

  /** A state has been loaded: the parameter is what it was rounded into. */
  loaded(parameter: Parameter): void {
    this.#rounded.set(parameter, parameter.storage);
  }
}
