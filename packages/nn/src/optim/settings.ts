/** Settings of named optimizers: defaults, what a caller has set, and checks. */
import { ValueError } from '@infinigrad/tensor';
import type { Check, GroupSettings } from './groups.ts';
import type { OptimizerOptions } from './update.ts';

/** What a constructor takes: settings of all groups that do not have their own, and options of the whole. */
export type OptionsOf<S extends GroupSettings> = OptimizerOptions & Partial<Omit<S, 'frozen'>>;

const common: readonly (keyof OptimizerOptions)[] = [
  'maxGradNorm',
  'maxGradValue',
  'schedule',
  'lookahead',
  'masterWeights',
  'guard',
];

/** @throws ValueError for an option that there is not */
export function settingsFrom<S extends GroupSettings>(
  op: string,
  defaults: S,
  options: OptionsOf<S>,
  shared: readonly string[] = common,
): S {
  const known = [...Object.keys(defaults), ...shared];
  const unknown = Object.keys(options).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new ValueError(op, `there is no option ${unknown.join(', ')}`, {
      hint: `options: ${known.join(', ')}`,
    });
  const given = Object.entries(options).filter(
    ([name, value]) => Object.hasOwn(defaults, name) && value !== undefined,
  );
  return { ...defaults, ...Object.fromEntries(given) };
}

export const notNegative = (check: Check, name: string, value: number): void =>
  check(value >= 0 && value < Infinity, `${name} must be a number ≥ 0, got ${value}`);
export const fraction = (check: Check, name: string, value: number): void =>
  check(value >= 0 && value < 1, `${name} must lie in [0, 1), got ${value}`);
export const positive = (check: Check, name: string, value: number): void =>
  check(value > 0 && value < Infinity, `${name} must be a number > 0, got ${value}`);
export const finite = (check: Check, name: string, value: number): void =>
  check(Number.isFinite(value), `${name} must be finite, got ${value}`);
export const isTruth = (check: Check, name: string, value: boolean): void =>
  check(typeof value === 'boolean', `${name} must be true or false, got ${String(value)}`);
export const pairOfFractions = (check: Check, name: string, value: readonly number[]): void =>
  check(
    Array.isArray(value) && value.length === 2 && value.every((beta) => beta >= 0 && beta < 1),
    `${name} must lie in [0, 1), got ${String(value).replaceAll(',', ', ')}`,
  );
