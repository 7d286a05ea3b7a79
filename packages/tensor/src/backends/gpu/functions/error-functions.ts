/** The error function and its kin, and the normal distribution. */
import { literal, type Source } from '../source.ts';
import { abs, exp, factorial, log, log1p, odd, polynomial, series, type Template } from './basics.ts';

/** log(e^(x²) erfc(x) / t) for t = 1/(1 + x/2), x ≥ 0: fitted at Chebyshev's points, to 1e-7. */
const scaledErfc = [
  -1.2655122251416049, 1.0000236801577331, 0.37409195971924947, 0.09678418948888366, -0.18628806167267442,
  0.27886808449909023, -1.13520400044092, 1.4885158893129806, -0.8221522344604262, 0.17087277768659706,
];

/** t = 1/(1 + |x|/2), and log(e^(x²) erfc|x| / t). */
function scaled(s: Source, a: string): { t: string; exponent: string } {
  const t = s.value(`1 / (1 + 0.5 * ${a})`);
  return { t, exponent: s.value(polynomial(t, scaledErfc)) };
}

/** Of x ≥ 0. */
const erfcOfPositive: Template = (s, a) => {
  const { t, exponent } = scaled(s, a);
  return s.value(`${t} * ${exp(s, s.value(`${exponent} - ${a} * ${a}`))}`);
};

export const erf: Template = (s, x) => {
  const a = abs(s, x);
  const z = s.value(`${a} * ${a}`);
  const coefficients = series(
    7,
    (k) => ((k % 2 === 0 ? 1 : -1) * 2) / Math.sqrt(Math.PI) / factorial(k) / (2 * k + 1),
  );
  const near = s.value(`${a} * ${polynomial(z, coefficients)}`);
  return odd(s, x, s.value(`(${a} < 0.5 ? ${near} : 1 - ${erfcOfPositive(s, a)})`));
};

export const erfc: Template = (s, x) => {
  const y = erfcOfPositive(s, abs(s, x));
  return s.value(`(${x} < 0 ? 2 - ${y} : ${y})`);
};

export const erfcx: Template = (s, x) => {
  const { t, exponent } = scaled(s, abs(s, x));
  const y = s.value(`${t} * ${exp(s, exponent)}`);
  return s.value(`(${x} < 0 ? 2 * ${exp(s, s.value(`${x} * ${x}`))} - ${y} : ${y})`);
};

export const ndtr: Template = (s, x) =>
  s.value(`0.5 * ${erfc(s, s.value(`${x} * ${literal(-Math.SQRT1_2)}`))}`);

export const logNdtr: Template = (s, x) => {
  const a = s.value(`Math.abs(${x}) * ${Math.SQRT1_2}`);
  const { t, exponent } = scaled(s, a);
  const below = s.value(`${log(s, s.value(`0.5 * ${t}`))} + ${exponent} - ${a} * ${a}`);
  const above = log1p(s, s.value(`(-0.5) * ${t} * ${exp(s, s.value(`${exponent} - ${a} * ${a}`))}`));
  return s.value(`(${x} < 0 ? ${below} : ${above})`);
};
