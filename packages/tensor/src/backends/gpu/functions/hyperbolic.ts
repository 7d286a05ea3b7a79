/** Hyperbolic functions and their inverses. */
import { abs, exp, expm1, factorial, log, log1p, odd, polynomial, series, type Template } from './basics.ts';

export const tanh: Template = (s, x) => {
  const a = s.value(`(Math.abs(${x}) < 15 ? Math.abs(${x}) : 15)`);
  const e = expm1(s, s.value(`2 * ${a}`));
  return odd(s, x, s.value(`${e} / (${e} + 2)`));
};

/** e^|x| / 2, which overflows no sooner than what it is for. */
const halfExp: Template = (s, x) => exp(s, s.value(`Math.abs(${x}) - ${Math.LN2}`));

export const sinh: Template = (s, x) => {
  const a = abs(s, x);
  const z = s.value(`${a} * ${a}`);
  const near = s.value(
    `${a} * ${polynomial(
      z,
      series(6, (k) => 1 / factorial(2 * k + 1)),
    )}`,
  );
  const half = halfExp(s, x);
  return odd(s, x, s.value(`(${a} < 1 ? ${near} : ${half} - 0.25 / ${half})`));
};

export const cosh: Template = (s, x) => {
  const half = halfExp(s, x);
  return s.value(`${half} + 0.25 / ${half}`);
};

export const asinh: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1e18 ? ${a} : 0)`);
  const near = log1p(s, s.value(`${held} + ${held} * ${held} / (1 + Math.sqrt(1 + ${held} * ${held}))`));
  const far = log(s, a);
  return odd(s, x, s.value(`(${a} < 1e18 ? ${near} : ${far} + ${Math.LN2})`));
};

export const acosh: Template = (s, x) => {
  const held = s.value(`(${x} >= 1 && ${x} < 1e18 ? ${x} - 1 : 0)`);
  const near = log1p(s, s.value(`${held} + Math.sqrt(${held} * (${held} + 2))`));
  const far = log(s, x);
  return s.value(
    `(${x} >= 1 ? (${x} < 1e18 ? ${near} : ${far} + ${Math.LN2}) : (${x} < 1 ? ${s.nan()} : ${x}))`,
  );
};

export const atanh: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1 ? ${a} : 0)`);
  const y = log1p(s, s.value(`2 * ${held} / (1 - ${held})`));
  return odd(s, x, s.value(`(${a} < 1 ? 0.5 * ${y} : (${a} > 1 ? ${s.nan()} : ${s.infinity()}))`));
};
