/** What functions are written with: exponentials and logarithms that are right everywhere, polynomials, signs. */
import { literal, type Source } from '../source.ts';

/** Writes statements, and returns the value. Arguments are names or literals, good to be repeated. */
export type Template = (s: Source, ...args: string[]) => string;

/** The largest f32. */
export const largest = '3.4028234e38';
/** True of every number, and not of NaN: `x === x` would be true of that too. */
export const isNumber = (x: string): string => `(${x} < 0 || ${x} >= 0)`;

/** c₀ + x (c₁ + x (c₂ + …)) */
export const polynomial = (x: string, coefficients: readonly number[]): string =>
  coefficients.reduceRight((sum, c) => (sum === '' ? literal(c) : `(${literal(c)} + ${x} * ${sum})`), '');

/** A value of two numbers; NaN where either is: comparisons lose it, some drivers' minima as well. */
export const ofNumbers = (s: Source, x: string, y: string, value: string): string =>
  s.value(`(${isNumber(x)} && ${isNumber(y)} ? ${value} : ${x} + ${y})`);

export const negative = (x: string): string => `(-${x})`;
export const abs: Template = (s, x) => s.value(`Math.abs(${x})`);
/** f of |x| with the sign of x, for odd f; zeros and NaN stay. */
export const odd = (s: Source, x: string, ofAbs: string): string =>
  s.value(`(${x} > 0 ? ${ofAbs} : (${x} < 0 ? ${negative(ofAbs)} : ${x}))`);

export const exp: Template = (s, x) =>
  s.value(
    `(${x} < 88.7228 ? (${x} > -103.9 ? Math.exp(${x}) : 0) : (${x} >= 88.7228 ? ${s.infinity()} : ${x}))`,
  );

export const log: Template = (s, x) =>
  s.value(
    `(${x} > 0 ? (${x} <= ${largest} ? Math.log(${x}) : ${x}) : (${x} < 0 ? ${s.nan()} : (${x} >= 0 ? (-${s.infinity()}) : ${x})))`,
  );

export const series = (count: number, of: (k: number) => number): number[] =>
  Array.from({ length: count }, (_, k) => of(k));
export const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

/** By eˣ - 1 = x + x²/2 + … where that is small. */
export const expm1: Template = (s, x) => {
  const near = s.value(
    `${x} * ${polynomial(
      x,
      series(9, (k) => 1 / factorial(k + 1)),
    )}`,
  );
  const far = exp(s, x);
  return s.value(`(${x} > -0.5 && ${x} < 0.5 ? ${near} : ${far} - 1)`);
};

/** By log((1 + r)/(1 - r)) = 2 (r + r³/3 + …), r = x/(2 + x), near 0. */
export const log1p: Template = (s, x) => {
  const close = `(${x} > -0.5 && ${x} < 0.5)`;
  const r = s.value(`(${close} ? ${x} / (2 + ${x}) : 0)`);
  const z = s.value(`${r} * ${r}`);
  const near = s.value(
    `${r} * ${polynomial(
      z,
      series(8, (k) => 2 / (2 * k + 1)),
    )}`,
  );
  const far = log(s, s.value(`1 + ${x}`));
  return s.value(`(${close} ? ${near} : ${far})`);
};

export const infix =
  (operator: string): Template =>
  (s, x, y) =>
    s.value(`${x} ${operator} ${y}`);
