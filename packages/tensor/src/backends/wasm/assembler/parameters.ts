/** Functions whose parameters are all i32, and have names. */
import type { Local } from './code.ts';
import type { FunctionBuilder } from './function.ts';

export const allI32 = (names: readonly string[]): 'i32'[] => names.map(() => 'i32');

/** The parameters under their names, in order. */
export function parameters<const Names extends readonly string[]>(
  fn: FunctionBuilder,
  names: Names,
): Readonly<Record<Names[number], Local<'i32'>>> {
  const entries = names.map((name, i) => [name, fn.param(i, 'i32')] as const);
  return Object.fromEntries(entries) as Record<Names[number], Local<'i32'>>;
}
