/** What an optimizer keeps of each parameter between steps: named tensors, saved and loaded whole. */
import {
  full,
  getBackend,
  pin,
  retire,
  sameShape,
  scalar,
  ValueError,
  type Backend,
  type DType,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import type { Parameter } from '../parameter.ts';

/** A tensor of a parameter's state. */
export interface TensorSlot {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Before the first update: every element this number, or the elements of the parameter. Default 0. */
  readonly initial?: number | 'parameter';
}

/** What is kept of a parameter, by name: tensors, and numbers, which are given by their value before the first update. */
export type StateSlots = Readonly<Record<string, TensorSlot | number>>;
export type StateTensors = Readonly<Record<string, Tensor>>;
export type StateNumbers = Readonly<Record<string, number>>;

/** Everything that an exact resume needs, beside the parameters and the options. */
export interface OptimizerState {
  readonly step: number;
  /**
   * `<i>.step` (i32) and `<i>.<name>` for the i-th parameter, counted through all groups: of AdamW `<i>.moment` and
   * `<i>.secondMoment`; numbers in f64. A parameter that has had no update is not in it.
   */
  readonly tensors: Record<string, Tensor>;
}

export interface ParameterState {
  /** Updates this parameter has had; one without a gradient is passed over. */
  readonly steps: number;
  readonly tensors: StateTensors;
  readonly numbers: StateNumbers;
}

/** Where numbers lie that are saved with tensors: they can be read at once, whatever the parameters' backend. */
const host = (): Backend => getBackend('js');

export class ParameterStates {
  readonly #states = new Map<Parameter, ParameterState>();

  get(parameter: Parameter): ParameterState | null {
    return this.#states.get(parameter) ?? null;
  }

  /** The state of a parameter, or that of one before its first update. */
  of(parameter: Parameter, slots: StateSlots): ParameterState {
    return this.get(parameter) ?? { steps: 0, ...initialState(parameter, slots) };
  }

  /** Keeps a state beyond all scopes, and gives back the one before. */
  set(parameter: Parameter, state: ParameterState | null): void {
    const before = this.#states.get(parameter);
    if (state) {
      for (const x of Object.values(state.tensors)) pin(x);
      this.#states.set(parameter, state);
    } else this.#states.delete(parameter);
    for (const x of Object.values(before?.tensors ?? {})) retire(x.storage);
  }

  save(parameters: readonly Parameter[]): Record<string, Tensor> {
    const tensors: Record<string, Tensor> = {};
    parameters.forEach((parameter, i) => {
      const state = this.get(parameter);
      if (!state) return;
      tensors[`${i}.step`] = scalar(state.steps, 'i32', host());
      for (const [name, x] of Object.entries(state.numbers))
        tensors[`${i}.${name}`] = scalar(x, 'f64', host());
      for (const [name, x] of Object.entries(state.tensors)) tensors[`${i}.${name}`] = x.detach();
    });
    return tensors;
  }
}

const isNumber = (slot: TensorSlot | number): slot is number => typeof slot === 'number';

function initialState(parameter: Parameter, slots: StateSlots): Omit<ParameterState, 'steps'> {
  const tensors: Record<string, Tensor> = {};
  const numbers: Record<string, number> = {};
  for (const [name, slot] of Object.entries(slots))
    if (isNumber(slot)) numbers[name] = slot;
    else tensors[name] = initialTensor(parameter, slot);
  return { tensors, numbers };
}

function initialTensor(parameter: Parameter, { shape, dtype, initial = 0 }: TensorSlot): Tensor {
  return initial === 'parameter'
    ? parameter.dtype === dtype
      ? parameter.detach().clone()
      : parameter.detach().cast(dtype)
    : full(shape, initial, { dtype, backend: parameter.backend });
}

/**
 * The states in saved tensors, by parameter; what is wrong with them goes to `problems`.
 * @param left names in `tensors` that nobody has asked for yet; those of states are taken away
 */
export function readStates(
  parameters: readonly Parameter[],
  slotsOf: (parameter: Parameter) => StateSlots,
  tensors: StateTensors,
  left: Set<string>,
  problems: string[],
): Map<Parameter, ParameterState> {
  const states = new Map<Parameter, ParameterState>();
  parameters.forEach((parameter, i) => {
    const slots = Object.entries(slotsOf(parameter));
    const names = [`${i}.step`, ...slots.map(([name]) => `${i}.${name}`)];
    const found = names.filter((name) => left.delete(name));
    if (found.length === 0) return;
    if (found.length < names.length)
      problems.push(`missing ${names.filter((name) => !found.includes(name)).join(', ')}`);
    const misfits = found.filter((name) => {
      const value = tensors[name]!;
      const slot = slots.find(([own]) => name === `${i}.${own}`)?.[1];
      return slot === undefined || isNumber(slot)
        ? value.size !== 1
        : !sameShape(value.shape, slot.shape) || value.dtype !== slot.dtype;
    });
    for (const name of misfits)
      problems.push(`${name} is ${described(tensors[name]!)}, the parameter ${described(parameter)}`);
    if (misfits.length > 0 || found.length < names.length) return;
    const saved = (name: string): Tensor => tensors[`${i}.${name}`]!.detach();
    const of = (numbers: boolean): string[] =>
      slots.flatMap(([name, slot]) => (isNumber(slot) === numbers ? [name] : []));
    states.set(parameter, {
      steps: saved('step').itemSync(),
      tensors: Object.fromEntries(of(false).map((name) => [name, saved(name)])),
      numbers: Object.fromEntries(of(true).map((name) => [name, saved(name).itemSync()])),
    });
  });
  return states;
}

export function refuseState(op: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new ValueError(op, problems.join('; '), {
      hint: 'is the model the same, and are the groups in the same order?',
    });
}

const described = ({ shape, dtype }: Tensor): string => `[${shape.join(', ')}] ${dtype}`;
