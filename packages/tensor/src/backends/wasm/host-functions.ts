/** Functions of f64 for which kernels call back into JavaScript: right to the last bits of f64, and slow. */
import type { Intrinsic } from '../../ir.ts';
import { specialFunctions } from '../../math/index.ts';
import { helpers } from '../js/print.ts';

export const mathFunctions = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  log10: Math.log10,
  cbrt: Math.cbrt,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  ...specialFunctions,
  atan2: Math.atan2,
  pow: (x: number, y: number): number => x ** y,
  rem: helpers.remainder,
  fmod: (x: number, y: number): number => x % y,
  hypot: (x: number, y: number): number => Math.hypot(x, y),
} as const satisfies Partial<Record<Intrinsic, (...args: number[]) => number>>;

export type MathFunction = keyof typeof mathFunctions;

/** Everything that a kernel may import, by name. */
export const hostFunctions: Readonly<Record<string, (...args: number[]) => number>> = {
  ...mathFunctions,
  powI32: helpers.powI32 as (...args: number[]) => number,
};
