/** Inverses of the error functions: a first guess, then steps of Newton's method with functions that keep their bits. */
import { literal, type Source } from '../source.ts';
import { abs, exp, log, log1p, odd, type Template } from './basics.ts';
import { erf, erfc } from './error-functions.ts';

const steps = 2;
/** Winitzki's constant: the guess is within 0.2 percent. */
const bend = 0.147;

/** x with erfc(x) = c, for 0 < c ≤ 1: from log(1 - y²), y = 1 - c. */
function guess(s: Source, logOfRest: string): string {
  const half = s.value(`${2 / (Math.PI * bend)} + 0.5 * ${logOfRest}`);
  return s.value(`Math.sqrt(Math.sqrt(${half} * ${half} - ${logOfRest} * ${1 / bend}) - ${half})`);
}

/** √π/2 e^(x²): one over the slope of erf. */
const inverseSlope = (s: Source, x: string): string =>
  s.value(`${Math.sqrt(Math.PI) / 2} * ${exp(s, s.value(`${x} * ${x}`))}`);

/** Of 0 < c ≤ 1. */
function erfcInverse(s: Source, c: string): string {
  const rest = log(s, s.value(`${c} * (2 - ${c})`));
  let x = guess(s, s.value(`(${rest} < 0 ? ${rest} : 0)`));
  for (let i = 0; i < steps; i++) x = s.value(`${x} + (${erfc(s, x)} - ${c}) * ${inverseSlope(s, x)}`);
  return x;
}

/** Of 0 ≤ y ≤ 1/2. */
function erfInverse(s: Source, y: string): string {
  let x = guess(s, log1p(s, s.value(`(-${y}) * ${y}`)));
  for (let i = 0; i < steps; i++) x = s.value(`${x} - (${erf(s, x)} - ${y}) * ${inverseSlope(s, x)}`);
  return x;
}

export const erfinv: Template = (s, y) => {
  const a = abs(s, y);
  const near = erfInverse(s, s.value(`(${a} < 0.5 ? ${a} : 0.5)`));
  const far = erfcInverse(s, s.value(`(${a} > 0.5 && ${a} < 1 ? 1 - ${a} : 0.5)`));
  const ends = `(${a} > 1 ? ${s.nan()} : ${s.infinity()})`;
  return odd(s, y, s.value(`(${a} < 0.5 ? ${near} : (${a} < 1 ? ${far} : ${ends}))`));
};

export const ndtri: Template = (s, p) => {
  const inside = `(${p} > 0 && ${p} < 1)`;
  const c = s.value(`(${inside} ? (${p} < 0.5 ? 2 * ${p} : 2 * (1 - ${p})) : 1)`);
  const x = s.value(`${literal(Math.SQRT2)} * ${erfcInverse(s, c)}`);
  const ends = s.value(
    `(${p} === 0 ? (-${s.infinity()}) : (${p} === 1 ? ${s.infinity()} : (${p} < 0 || ${p} > 1 ? ${s.nan()} : ${p})))`,
  );
  return s.value(`(${inside} ? (${p} < 0.5 ? (-${x}) : ${x}) : ${ends})`);
};
