/** Trigonometric functions and their inverses. */
import { abs, factorial, negative, odd, ofNumbers, polynomial, series, type Template } from './basics.ts';
import type { Source } from '../source.ts';

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

export const sin: Template = (s, x) => {
  const { sine, cosine, turn } = reduced(s, x);
  return quarter(s, turn, [sine, cosine, negative(sine), negative(cosine)]);
};

export const cos: Template = (s, x) => {
  const { sine, cosine, turn } = reduced(s, x);
  return quarter(s, turn, [cosine, negative(sine), negative(cosine), sine]);
};

export const tan: Template = (s, x) => {
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

export const atan: Template = (s, x) => odd(s, x, atanOfPositive(s, abs(s, x)));

export const asin: Template = (s, x) => {
  const a = abs(s, x);
  const held = s.value(`(${a} < 1 ? ${a} : 0)`);
  const y = atanOfPositive(s, s.value(`${held} / Math.sqrt((1 - ${held}) * (1 + ${held}))`));
  return odd(s, x, s.value(`(${a} < 1 ? ${y} : (${a} > 1 ? ${s.nan()} : ${Math.PI / 2}))`));
};

export const acos: Template = (s, x) => {
  const held = s.value(`(${x} > -1 && ${x} < 1 ? ${x} : 0)`);
  const y = atanOfPositive(s, s.value(`Math.sqrt((1 - ${held}) / (1 + ${held}))`));
  const ends = `(${x} > 1 || ${x} < -1 ? ${s.nan()} : (${x} > 0 ? 0 : (${x} < 0 ? ${Math.PI} : ${x})))`;
  return s.value(`(${x} > -1 && ${x} < 1 ? 2 * ${y} : ${ends})`);
};

export const atan2: Template = (s, y, x) => {
  const [a, b] = [abs(s, y), abs(s, x)];
  const low = s.value(`(${a} < ${b} ? ${a} : ${b})`);
  const high = s.value(`(${a} < ${b} ? ${b} : ${a})`);
  const t = atanOfPositive(s, s.value(`(${high} > 0 ? ${low} / ${high} : 0)`));
  const eighth = s.value(`(${a} > ${b} ? ${Math.PI / 2} - ${t} : ${t})`);
  const upper = s.value(`(${x} < 0 ? ${Math.PI} - ${eighth} : ${eighth})`);
  return ofNumbers(s, y, x, s.value(`(${y} < 0 ? ${negative(upper)} : ${upper})`));
};
