/** Parameter groups: which parameters an optimizer updates, and with which settings. */
import { ValueError } from '@infinigrad/tensor';
import { Parameter } from '../parameter.ts';

/** Settings that a group can have of its own. */
export interface GroupSettings {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Decay rates of the running means of the gradient and of its square. */
  readonly betas: readonly [number, number];
  readonly eps: number;
}

/** Parameters with settings that differ from the optimizer's; what is left out is as there. */
export interface ParameterGroup extends Partial<GroupSettings> {
  readonly params: Iterable<Parameter>;
  readonly name?: string;
}

/** A group with all its settings. */
export interface ResolvedGroup extends GroupSettings {
  readonly params: readonly Parameter[];
  readonly name: string;
}

/** @throws ValueError for no parameters, one named twice, or settings out of range */
export function resolveGroups(
  op: string,
  params: Iterable<Parameter> | readonly ParameterGroup[],
  defaults: GroupSettings,
): ResolvedGroup[] {
  const list = [...params] as readonly (Parameter | ParameterGroup)[];
  const plain = list.filter((item) => item instanceof Parameter);
  if (plain.length > 0 && plain.length < list.length)
    throw new ValueError(op, 'takes parameters or parameter groups, not both in one list');
  const groups = plain.length > 0 ? [{ params: plain }] : (list as readonly ParameterGroup[]);
  for (const { params: given } of groups)
    if (typeof (given as Iterable<Parameter> | undefined)?.[Symbol.iterator] !== 'function')
      throw new ValueError(op, 'takes parameters, or groups with a list of them as params');
  const seen = new Set<Parameter>();
  const resolved = groups.map((group, i): ResolvedGroup => {
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
    const settings = { ...defaults, ...own };
    checkSettings(op, name, settings);
    return { ...settings, params: members, name };
  });
  if (seen.size === 0) throw new ValueError(op, 'needs at least one parameter');
  return resolved;
}

function checkSettings(
  op: string,
  name: string,
  { learningRate, weightDecay, betas, eps }: GroupSettings,
): void {
  const check = (holds: boolean, problem: string): void => {
    if (!holds) throw new ValueError(op, `${problem} (group ${name})`);
  };
  check(
    learningRate >= 0 && learningRate < Infinity,
    `learningRate must be a number ≥ 0, got ${learningRate}`,
  );
  check(weightDecay >= 0 && weightDecay < Infinity, `weightDecay must be a number ≥ 0, got ${weightDecay}`);
  check(
    betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1),
    `betas must lie in [0, 1), got ${betas.join(', ')}`,
  );
  check(eps >= 0 && eps < Infinity, `eps must be a number ≥ 0, got ${eps}`);
}
