/** Parameter groups: which parameters an optimizer updates, and with which settings. */
import { IndexError, ValueError } from '@infinigrad/tensor';
import { Parameter } from '../parameter.ts';
import type { AdamSettings } from './adam.ts';

/** Settings that every group has. */
export interface GroupSettings {
  readonly learningRate: number;
  /** Passed over by every step: neither updated nor counted in the norm of the gradients. Default false. */
  readonly frozen?: boolean;
}

/** Parameters with settings that differ from the optimizer's; what is left out is as there. */
export type ParameterGroup<S extends GroupSettings = AdamSettings> = Partial<S> & {
  readonly params: Iterable<Parameter>;
  readonly name?: string;
};

/** A group with all its settings. */
export type ResolvedGroup<S extends GroupSettings = AdamSettings> = S & {
  readonly params: readonly Parameter[];
  readonly name: string;
};

/** What optimizers are made over: parameters, or groups of them. */
export type OptimizerParameters<S extends GroupSettings> = Iterable<Parameter> | readonly ParameterGroup<S>[];

/** Throws a ValueError that names the group where the condition does not hold. */
export type Check = (holds: boolean, problem: string) => void;

/** Looks at the settings of one group. A method's type, so that every optimizer is an `Optimizer`. */
export type SettingsCheck<S extends GroupSettings> = { look(settings: S, check: Check): void }['look'];

/** @throws ValueError for no parameters, one named twice, or settings out of range */
export function resolveGroups<S extends GroupSettings>(
  op: string,
  params: OptimizerParameters<S>,
  defaults: S,
  checkOwn: SettingsCheck<S>,
): ResolvedGroup<S>[] {
  const list = [...params] as readonly (Parameter | ParameterGroup<S>)[];
  const plain = list.filter((item) => item instanceof Parameter);
  if (plain.length > 0 && plain.length < list.length)
    throw new ValueError(op, 'takes parameters or parameter groups, not both in one list');
  const groups = plain.length > 0 ? [{ params: plain }] : (list as readonly ParameterGroup<S>[]);
  for (const { params: given } of groups)
    if (typeof (given as Iterable<Parameter> | undefined)?.[Symbol.iterator] !== 'function')
      throw new ValueError(op, 'takes parameters, or groups with a list of them as params');
  const seen = new Set<Parameter>();
  const resolved = groups.map((group, i) => {
    const { params: given, name = String(i), ...own } = group as ParameterGroup;
    const members = [...given];
    for (const parameter of members) {
      if (!(parameter instanceof Parameter))
        throw new ValueError(op, `group ${name} holds something that is not a Parameter`);
      if (seen.has(parameter))
        throw new ValueError(op, `group ${name} holds a parameter that has been named before`, {
          operands: [parameter],
        });
      seen.add(parameter);
    }
    const settings = withOwn(op, name, defaults, own as Partial<S>, checkOwn);
    return { ...settings, params: members, name };
  });
  if (seen.size === 0) throw new ValueError(op, 'needs at least one parameter');
  return resolved;
}

/** Settings with some of them changed. @throws ValueError where one is unknown or out of range */
export function withOwn<S extends GroupSettings>(
  op: string,
  name: string,
  settings: S,
  own: Partial<S>,
  checkOwn: SettingsCheck<S>,
): S {
  const check: Check = (holds, problem) => {
    if (!holds) throw new ValueError(op, `${problem} (group ${name})`);
  };
  const unknown = Object.keys(own).filter((key) => key !== 'frozen' && !Object.hasOwn(settings, key));
  check(unknown.length === 0, `there is no setting ${unknown.join(', ')}`);
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  const all = { ...settings, ...Object.fromEntries(given) };
  check(
    all.learningRate >= 0 && all.learningRate < Infinity,
    `learningRate must be a number ≥ 0, got ${all.learningRate}`,
  );
  checkOwn(all, check);
  return all;
}

/** The place of a group. @param group its place or its name */
export function placeOf(
  op: string,
  groups: readonly { readonly name: string }[],
  group: number | string,
): number {
  const at = typeof group === 'number' ? group : groups.findIndex(({ name }) => name === group);
  if (!groups[at])
    throw new IndexError(op, `there is no group ${group}`, {
      hint: `groups: ${groups.map(({ name }) => name).join(', ')}`,
    });
  return at;
}
