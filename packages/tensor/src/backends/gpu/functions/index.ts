/**
 * Functions of the scalar language in gpu.js source. Those that GPUs compute with few bits, or with none for some
 * arguments, are written out: what is left to the GPU is + - · / √, exp, log and pow.
 */
import type { Intrinsic } from '../../../ir.ts';
import type { Source } from '../source.ts';
import {
  abs,
  exp,
  expm1,
  infix,
  isNumber,
  largest,
  log,
  log1p,
  negative,
  odd,
  ofNumbers,
  type Template,
} from './basics.ts';
import { erf, erfc, erfcx, logNdtr, ndtr } from './error-functions.ts';
import { digamma, lgamma } from './gamma.ts';
import { acosh, asinh, atanh, cosh, sinh, tanh } from './hyperbolic.ts';
import { erfinv, ndtri } from './inverse-error.ts';
import { acos, asin, atan, atan2, cos, sin, tan } from './trigonometric.ts';

export { integerFunctions } from './integers.ts';
export { isNumber, type Template };

/** One step of Newton's method after a power. */
const cbrt: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} > 0 ? ${a} : 1)`);
  const y = s.value(`Math.pow(${held}, ${1 / 3})`);
  return odd(s, x, s.value(`${y} - (${y} - ${held} / (${y} * ${y})) * ${1 / 3}`));
};

/** By whole powers of |x|, and the sign where the exponent is odd: pow() knows no negative bases. */
const pow: Template = (s, x, y) => {
  const power = s.value(`Math.pow((${x} === 0 ? 1 : Math.abs(${x})), ${y})`);
  const whole = `(Math.floor(${y}) === ${y})`;
  const signed = s.value(`(Math.floor(${y} * 0.5) * 2 === ${y} ? ${power} : ${negative(power)})`);
  const ofZero = s.value(`(${y} > 0 ? 0 : (${y} < 0 ? ${s.infinity()} : 1))`);
  const ofNegative = s.value(`(${x} < 0 ? (${whole} ? ${signed} : ${s.nan()}) : ${x})`);
  const value = s.value(`(${x} > 0 ? ${power} : (${x} === 0 ? ${ofZero} : ${ofNegative}))`);
  return s.value(`(${y} === 0 ? 1 : (${isNumber(y)} ? ${value} : ${y}))`);
};

/** xⁿ by squaring, for a whole n. */
export function wholePower(s: Source, x: string, n: number): string {
  let result = '';
  let base = x;
  for (let left = Math.abs(n); left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = result === '' ? base : s.value(`${result} * ${base}`);
    if (left > 1) base = s.value(`${base} * ${base}`);
  }
  if (result === '') return '1';
  return n < 0 ? s.value(`1 / ${result}`) : result;
}

const round: Template = (s, x) => {
  const r = s.value(`Math.floor(${x} + 0.5)`);
  const tie = `(${r} - ${x} === 0.5 && Math.floor(${r} * 0.5) * 2 !== ${r})`;
  return s.value(`(Math.abs(${x}) < 8388608 ? (${tie} ? ${r} - 1 : ${r}) : ${x})`);
};

const trunc: Template = (s, x) => s.value(`(${x} < 0 ? Math.ceil(${x}) : Math.floor(${x}))`);

const hypot: Template = (s, x, y) => {
  const [a, b] = [abs(s, x), abs(s, y)];
  const low = s.value(`(${a} < ${b} ? ${a} : ${b})`);
  const high = s.value(`(${a} < ${b} ? ${b} : ${a})`);
  const ratio = s.value(`(${high} > 0 && ${high} <= ${largest} ? ${low} / ${high} : 0)`);
  return ofNumbers(s, x, y, s.value(`${high} * Math.sqrt(1 + ${ratio} * ${ratio})`));
};

/** NaN where either is. */
const extreme =
  (better: '<' | '>'): Template =>
  (s, x, y) =>
    s.value(`(${x} ${better} ${y} ? ${x} : (${y} ${better}= ${x} ? ${y} : ${x} + ${y}))`);

const call =
  (name: string): Template =>
  (s, x) =>
    s.value(`Math.${name}(${x})`);

export const floatFunctions: Readonly<Partial<Record<Intrinsic, Template>>> = {
  neg: (s, x) => s.value(negative(x)),
  abs,
  sign: (s, x) => s.value(`(${x} > 0 ? 1 : (${x} < 0 ? (-1) : ${x}))`),
  floor: call('floor'),
  ceil: call('ceil'),
  round,
  trunc,
  sqrt: (s, x) => s.value(`(${x} < 0 ? ${s.nan()} : Math.sqrt(${x}))`),
  cbrt,
  exp,
  expm1,
  log,
  log1p,
  log2: (s, x) => s.value(`${log(s, x)} * ${Math.LOG2E}`),
  log10: (s, x) => s.value(`${log(s, x)} * ${Math.LOG10E}`),
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  tanh,
  asinh,
  acosh,
  atanh,
  erf,
  erfc,
  erfcx,
  erfinv,
  ndtr,
  ndtri,
  logNdtr,
  lgamma,
  digamma,
  add: infix('+'),
  sub: infix('-'),
  mul: infix('*'),
  div: infix('/'),
  floorDiv: (s, x, y) => s.value(`Math.floor(${x} / ${y})`),
  rem: (s, x, y) => s.value(`${x} - ${y} * Math.floor(${x} / ${y})`),
  fmod: (s, x, y) => s.value(`${x} - ${y} * ${trunc(s, s.value(`${x} / ${y}`))}`),
  pow,
  atan2,
  min: extreme('<'),
  max: extreme('>'),
  hypot,
};
