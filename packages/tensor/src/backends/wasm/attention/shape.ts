/**
 * How attention is cut up. Operands are copied into two forms, zero beyond their edges:
 * - lines: panels of eight columns, [column / 8][line][column % 8]. One operand of a product whose inner axis runs over the
 *   lines; also the other one of a product whose inner axis runs over the columns.
 * - columns: panels of eight lines, [line / 8][column][line % 8], where the inner axis runs over the columns.
 */
import {
  f32x4,
  i32,
  select,
  type FunctionBuilder,
  type I32,
  type Local,
  type V128,
} from '../assembler/index.ts';

/** Queries that are worked on at a time: 4 × 8 sums fit in the registers, with or without fused multiply-add. */
export const queriesAtOnce = 4;
/** Columns of a panel. */
export const panelColumns = 8;
/** Bytes of a line of a panel. */
export const panelBytes = 4 * panelColumns;

/** c + a·b. */
export type Accumulate = (c: V128, a: V128, b: V128) => V128;
export const accumulate =
  (fused: boolean): Accumulate =>
  (c, a, b) =>
    fused ? f32x4.relaxedMadd(a, b, c) : f32x4.add(c, f32x4.mul(a, b));

/** The least multiple of `step` that is not below n. */
export const padded = (n: number, step: number): number => Math.ceil(n / step) * step;

/** The parameters of a function, all i32. */
export function parameters<const Names extends readonly string[]>(
  fn: FunctionBuilder,
  names: Names,
): Readonly<Record<Names[number], Local<'i32'>>> {
  const entries = names.map((name, i) => [name, fn.param(i, 'i32')] as const);
  return Object.fromEntries(entries) as Record<Names[number], Local<'i32'>>;
}

export const least = (a: I32, b: I32): I32 => select(i32.lt(a, b), a, b);
export const plus = (a: I32, b: I32 | number): I32 => i32.add(a, typeof b === 'number' ? i32.const(b) : b);
export const times = (a: I32, b: I32 | number): I32 => i32.mul(a, typeof b === 'number' ? i32.const(b) : b);
/** The least multiple of a power of two that is not below n. */
export const roundedUp = (n: I32, step: number): I32 => i32.and(plus(n, step - 1), i32.const(-step));
