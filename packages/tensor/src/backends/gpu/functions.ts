/**
 * Functions of the scalar language in gpu.js source. Those that GPUs compute with few bits, or with none for some
 * arguments, are written out: what is left to the GPU is + - · / √, exp, log and pow.
 */
import type { Intrinsic } from '../../ir.ts';
import { literal, type Source } from './source.ts';

/** Writes statements, and returns the value. Arguments are names or literals, good to be repeated. */
export type Template = (s: Source, ...args: string[]) => string;

/** The largest f32. */
const largest = '3.4028234e38';
/** True of every number, and not of NaN: `x === x` would be true of that too. */
export const isNumber = (x: string): string => `(${x} < 0 || ${x} >= 0)`;

/** c₀ + x (c₁ + x (c₂ + …)) */
const polynomial = (x: string, coefficients: readonly number[]): string =>
  coefficients.reduceRight((sum, c) => (sum === '' ? literal(c) : `(${literal(c)} + ${x} * ${sum})`), '');

const negative = (x: string): string => `(-${x})`;
const abs: Template = (s, x) => s.value(`Math.abs(${x})`);
/** f of |x| with the sign of x, for odd f; zeros and NaN stay. */
const odd = (s: Source, x: string, ofAbs: string): string =>
  s.value(`(${x} > 0 ? ${ofAbs} : (${x} < 0 ? ${negative(ofAbs)} : ${x}))`);

const exp: Template = (s, x) =>
  s.value(
    `(${x} < 88.7228 ? (${x} > -103.9 ? Math.exp(${x}) : 0) : (${x} >= 88.7228 ? ${s.infinity()} : ${x}))`,
  );

const log: Template = (s, x) =>
  s.value(
    `(${x} > 0 ? (${x} <= ${largest} ? Math.log(${x}) : ${x}) : (${x} < 0 ? ${s.nan()} : (${x} >= 0 ? (-${s.infinity()}) : ${x})))`,
  );

const series = (count: number, of: (k: number) => number): number[] =>
  Array.from({ length: count }, (_, k) => of(k));
const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

/** By eˣ - 1 = x + x²/2 + … where that is small. */
const expm1: Template = (s, x) => {
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
const log1p: Template = (s, x) => {
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

const tanh: Template = (s, x) => {
  const a = s.value(`(Math.abs(${x}) < 15 ? Math.abs(${x}) : 15)`);
  const e = expm1(s, s.value(`2 * ${a}`));
  return odd(s, x, s.value(`${e} / (${e} + 2)`));
};

/** e^|x| / 2, which overflows no sooner than what it is for. */
const halfExp: Template = (s, x) => exp(s, s.value(`Math.abs(${x}) - ${Math.LN2}`));

const sinh: Template = (s, x) => {
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

const cosh: Template = (s, x) => {
  const half = halfExp(s, x);
  return s.value(`${half} + 0.25 / ${half}`);
};

const asinh: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1e18 ? ${a} : 0)`);
  const near = log1p(s, s.value(`${held} + ${held} * ${held} / (1 + Math.sqrt(1 + ${held} * ${held}))`));
  const far = log(s, a);
  return odd(s, x, s.value(`(${a} < 1e18 ? ${near} : ${far} + ${Math.LN2})`));
};

const acosh: Template = (s, x) => {
  const held = s.value(`(${x} >= 1 && ${x} < 1e18 ? ${x} - 1 : 0)`);
  const near = log1p(s, s.value(`${held} + Math.sqrt(${held} * (${held} + 2))`));
  const far = log(s, x);
  return s.value(
    `(${x} >= 1 ? (${x} < 1e18 ? ${near} : ${far} + ${Math.LN2}) : (${x} < 1 ? ${s.nan()} : ${x}))`,
  );
};

const atanh: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1 ? ${a} : 0)`);
  const y = log1p(s, s.value(`2 * ${held} / (1 - ${held})`));
  return odd(s, x, s.value(`(${a} < 1 ? 0.5 * ${y} : (${a} > 1 ? ${s.nan()} : ${s.infinity()}))`));
};

/** x - k π/2 with |·| ≤ π/4 by Cody and Waite's parts of π/2, the sine and cosine of it, and k modulo 4. */
function reduced(s: Source, x: string): { sine: string; cosine: string; turn: string } {
  const k = s.value(`Math.floor(${x} * ${2 / Math.PI} + 0.5)`);
  const r = s.value(
    `((${x} - ${k} * 1.5703125) - ${k} * 0.0004837512969970703) - ${k} * 7.549789948768648e-8`,
  );
  const z = s.value(`${r} * ${r}`);
  const signed = (k: number): number => (k % 2 === 0 ? 1 : -1);
  return {
    sine: s.value(
      `${r} * ${polynomial(
        z,
        series(6, (k) => signed(k) / factorial(2 * k + 1)),
      )}`,
    ),
    cosine: s.value(
      polynomial(
        z,
        series(6, (k) => signed(k) / factorial(2 * k)),
      ),
    ),
    turn: s.value(`${k} - 4 * Math.floor(${k} * 0.25)`),
  };
}

const quarter = (s: Source, turn: string, values: readonly [string, string, string, string]): string => {
  const [a, b, c, d] = values;
  return s.value(`(${turn} < 0.5 ? ${a} : (${turn} < 1.5 ? ${b} : (${turn} < 2.5 ? ${c} : ${d})))`);
};

const sin: Template = (s, x) => {
  const { sine, cosine, turn } = reduced(s, x);
  return quarter(s, turn, [sine, cosine, negative(sine), negative(cosine)]);
};

const cos: Template = (s, x) => {
  const { sine, cosine, turn } = reduced(s, x);
  return quarter(s, turn, [cosine, negative(sine), negative(cosine), sine]);
};

const tan: Template = (s, x) => {
  const { sine, cosine, turn } = reduced(s, x);
  const odd = `(${turn} > 0.5 && ${turn} < 1.5 || ${turn} > 2.5)`;
  return s.value(`(${odd} ? ${negative(cosine)} : ${sine}) / (${odd} ? ${sine} : ${cosine})`);
};

/** Of x ≥ 0, turned to where |x| < tan(π/8). */
const atanOfPositive: Template = (s, a) => {
  const w = s.value(
    `(${a} > 2.414213562373095 ? (-1) / ${a} : (${a} > 0.41421356 ? (${a} - 1) / (${a} + 1) : ${a}))`,
  );
  const base = s.value(
    `(${a} > 2.414213562373095 ? ${Math.PI / 2} : (${a} > 0.41421356 ? ${Math.PI / 4} : 0))`,
  );
  const z = s.value(`${w} * ${w}`);
  const terms = polynomial(
    z,
    series(9, (k) => (k % 2 === 0 ? 1 : -1) / (2 * k + 1)),
  );
  return s.value(`${base} + ${w} * ${terms}`);
};

const atan: Template = (s, x) => odd(s, x, atanOfPositive(s, abs(s, x)));

const asin: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1 ? ${a} : 0)`);
  const y = atanOfPositive(s, s.value(`${held} / Math.sqrt((1 - ${held}) * (1 + ${held}))`));
  return odd(s, x, s.value(`(${a} < 1 ? ${y} : (${a} > 1 ? ${s.nan()} : ${Math.PI / 2}))`));
};

const acos: Template = (s, x) => {
  const held = s.value(`(${x} > -1 && ${x} < 1 ? ${x} : 0)`);
  const y = atanOfPositive(s, s.value(`Math.sqrt((1 - ${held}) / (1 + ${held}))`));
  const ends = `(${x} > 1 || ${x} < -1 ? ${s.nan()} : (${x} > 0 ? 0 : (${x} < 0 ? ${Math.PI} : ${x})))`;
  return s.value(`(${x} > -1 && ${x} < 1 ? 2 * ${y} : ${ends})`);
};

const atan2: Template = (s, y, x) => {
  const [a, b] = [abs(s, y), abs(s, x)];
  const low = s.value(`(${a} < ${b} ? ${a} : ${b})`);
  const high = s.value(`(${a} < ${b} ? ${b} : ${a})`);
  const t = atanOfPositive(s, s.value(`(${high} > 0 ? ${low} / ${high} : 0)`));
  const eighth = s.value(`(${a} > ${b} ? ${Math.PI / 2} - ${t} : ${t})`);
  const upper = s.value(`(${x} < 0 ? ${Math.PI} - ${eighth} : ${eighth})`);
  return s.value(`(${y} < 0 ? ${negative(upper)} : ${upper})`);
};

/** One step of Newton's method after a power. */
const cbrt: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} > 0 ? ${a} : 1)`);
  const y = s.value(`Math.pow(${held}, ${1 / 3})`);
  return odd(s, x, s.value(`${y} - (${y} - ${held} / (${y} * ${y})) * ${1 / 3}`));
};

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

const erf: Template = (s, x) => {
  const a = abs(s, x);
  const z = s.value(`${a} * ${a}`);
  const coefficients = series(
    7,
    (k) => ((k % 2 === 0 ? 1 : -1) * 2) / Math.sqrt(Math.PI) / factorial(k) / (2 * k + 1),
  );
  const near = s.value(`${a} * ${polynomial(z, coefficients)}`);
  return odd(s, x, s.value(`(${a} < 0.5 ? ${near} : 1 - ${erfcOfPositive(s, a)})`));
};

const erfc: Template = (s, x) => {
  const y = erfcOfPositive(s, abs(s, x));
  return s.value(`(${x} < 0 ? 2 - ${y} : ${y})`);
};

const erfcx: Template = (s, x) => {
  const { t, exponent } = scaled(s, abs(s, x));
  const y = s.value(`${t} * ${exp(s, exponent)}`);
  return s.value(`(${x} < 0 ? 2 * ${exp(s, s.value(`${x} * ${x}`))} - ${y} : ${y})`);
};

const ndtr: Template = (s, x) => s.value(`0.5 * ${erfc(s, s.value(`${x} * ${literal(-Math.SQRT1_2)}`))}`);

const logNdtr: Template = (s, x) => {
  const a = s.value(`Math.abs(${x}) * ${Math.SQRT1_2}`);
  const { t, exponent } = scaled(s, a);
  const below = s.value(`${log(s, s.value(`0.5 * ${t}`))} + ${exponent} - ${a} * ${a}`);
  const above = log1p(s, s.value(`(-0.5) * ${t} * ${exp(s, s.value(`${exponent} - ${a} * ${a}`))}`));
  return s.value(`(${x} < 0 ? ${below} : ${above})`);
};

/** By whole powers of |x|, and the sign where the exponent is odd: pow() knows no negative bases. */
const pow: Template = (s, x, y) => {
  const power = s.value(`Math.pow((${x} === 0 ? 1 : Math.abs(${x})), ${y})`);
  const whole = `(Math.floor(${y}) === ${y})`;
  const signed = s.value(`(Math.floor(${y} * 0.5) * 2 === ${y} ? ${power} : ${negative(power)})`);
  const ofZero = s.value(`(${y} > 0 ? 0 : (${y} < 0 ? ${s.infinity()} : 1))`);
  const ofNegative = s.value(`(${x} < 0 ? (${whole} ? ${signed} : ${s.nan()}) : ${x})`);
  const value = s.value(`(${x} > 0 ? ${power} : (${x} === 0 ? ${ofZero} : ${ofNegative}))`);
  return s.value(`(${y} === 0 ? 1 : ${value})`);
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
  return s.value(`${high} * Math.sqrt(1 + ${ratio} * ${ratio})`);
};

/** NaN where either is. */
const extreme =
  (better: '<' | '>'): Template =>
  (s, x, y) =>
    s.value(`(${x} ${better} ${y} ? ${x} : (${y} ${better}= ${x} ? ${y} : ${x} + ${y}))`);

const infix =
  (operator: string): Template =>
  (s, x, y) =>
    s.value(`${x} ${operator} ${y}`);

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
  ndtr,
  logNdtr,
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

/** ⌊x / y⌋ of whole numbers, put right where division has rounded the wrong way, and what is left. */
function wholeQuotient(s: Source, x: string, y: string): { q: string; r: string } {
  const [a, b] = [abs(s, x), s.value(`(${y} === 0 ? 1 : Math.abs(${y}))`)];
  const q = s.variable(`Math.floor(${a} / ${b})`);
  const r = s.variable(`${a} - ${q} * ${b}`);
  s.line(`if (${r} < 0) { ${q} = ${q} - 1; ${r} = ${r} + ${b}; }`);
  s.line(`if (${r} >= ${b}) { ${q} = ${q} + 1; ${r} = ${r} - ${b}; }`);
  return { q, r };
}

const wholeFloorDiv: Template = (s, x, y) => {
  const { q, r } = wholeQuotient(s, x, y);
  const opposite = `(${x} < 0 && ${y} > 0 || ${x} > 0 && ${y} < 0)`;
  return s.value(`(${y} === 0 ? 0 : (${opposite} ? (${r} > 0 ? (-${q}) - 1 : (-${q})) : ${q}))`);
};

const wholeFmod: Template = (s, x, y) => {
  const { r } = wholeQuotient(s, x, y);
  return s.value(`(${y} === 0 ? 0 : (${x} < 0 ? (-${r}) : ${r}))`);
};

const wholeRem: Template = (s, x, y) => {
  const r = wholeFmod(s, x, y);
  return s.value(`(${r} > 0 && ${y} < 0 || ${r} < 0 && ${y} > 0 ? ${r} + ${y} : ${r})`);
};

/** By squaring; what exceeds 24 bits is lost whatever is done. A negative exponent truncates toward zero. */
const wholePow: Template = (s, x, y) => {
  const result = s.variable(`${x} * 0 + 1`);
  const base = s.variable(`${x} * 1`);
  const left = s.variable(`Math.abs(${y})`);
  s.loop(24, () => {
    const half = s.value(`Math.floor(${left} * 0.5)`);
    s.line(`if (${left} > ${half} * 2) { ${result} = ${result} * ${base}; }`);
    s.line(`if (${half} > 0) { ${base} = ${base} * ${base}; }`);
    s.line(`${left} = ${half};`);
  });
  return s.value(`(${y} >= 0 || ${x} === 1 || ${x} === (-1) ? ${result} : 0)`);
};

const shiftRight: Template = (s, x, y) => s.value(`(${x} >> (${y} >= 0 && ${y} < 32 ? ${y} : 31))`);

/** Where they differ from those of floats. */
export const integerFunctions: Readonly<Partial<Record<Intrinsic, Template>>> = {
  floorDiv: wholeFloorDiv,
  rem: wholeRem,
  fmod: wholeFmod,
  pow: wholePow,
  bitAnd: infix('&'),
  bitOr: infix('|'),
  bitXor: infix('^'),
  shiftRight,
  min: (s, x, y) => s.value(`(${x} < ${y} ? ${x} : ${y})`),
  max: (s, x, y) => s.value(`(${x} > ${y} ? ${x} : ${y})`),
};
