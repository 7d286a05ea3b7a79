/** log |Γ| and its derivative: Stirling's series for a number that recurrence has made large, reflection for negative ones. */
import type { Source } from '../source.ts';
import { literal } from '../source.ts';
import { largest, log, polynomial, type Template } from './basics.ts';
import { sin, tan } from './trigonometric.ts';

/** How often 1 is added: the series then gives all bits of f32. */
const shifts = 8;
/** Bernoulli's B₂ₖ / (2k (2k - 1)) and B₂ₖ / 2k. */
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680];
const ofDigamma = [1 / 12, -1 / 120, 1 / 252, -1 / 240];

/** x where that is above 0, else 1 - x; both have the same |Γ| but for a sine. */
const reflected = (s: Source, x: string): string => s.value(`(${x} > 0 ? ${x} : 1 - ${x})`);
/** x less the whole number below, times π. */
const turned = (s: Source, x: string): string => s.value(`${Math.PI} * (${x} - Math.floor(${x}))`);
const isPole = (x: string): string => `(${x} <= 0 && Math.floor(${x}) === ${x})`;

export const lgamma: Template = (s, x) => {
  const y = reflected(s, x);
  const factors = Array.from({ length: shifts }, (_, k) => `(${y} + ${k})`);
  // Beyond the shifts it would overflow, and is not needed.
  const product = s.value(`(${y} < 16 ? ${factors.join(' * ')} : 1)`);
  const z = s.value(`(${y} < 16 ? ${y} + ${shifts} : ${y})`);
  const inverse = s.value(`1 / ${z}`);
  const square = s.value(`${inverse} * ${inverse}`);
  const tail = s.value(`${inverse} * ${polynomial(square, stirling)}`);
  const body = s.value(`(${z} - 0.5) * (${log(s, z)} - 1) + ${literal(Math.log(2 * Math.PI) / 2 - 0.5)}`);
  const above = s.value(`${body} + ${tail} - ${log(s, product)}`);
  const below = s.value(
    `${Math.log(Math.PI)} - ${log(s, s.value(`Math.abs(${sin(s, turned(s, x))})`))} - ${above}`,
  );
  const finite = s.value(`(${x} > 0 ? ${above} : ${below})`);
  const endless = `(${isPole(x)} || ${x} > ${largest} || ${x} < (-${largest}))`;
  return s.value(`(${endless} ? ${s.infinity()} : ${finite})`);
};

export const digamma: Template = (s, x) => {
  const y = reflected(s, x);
  const z = s.value(`${y} + ${shifts}`);
  const inverse = s.value(`1 / ${z}`);
  const square = s.value(`${inverse} * ${inverse}`);
  const terms = Array.from({ length: shifts }, (_, k) => `1 / (${y} + ${k})`);
  const sum = s.value(terms.join(' + '));
  const above = s.value(
    `${log(s, z)} - 0.5 * ${inverse} - ${square} * ${polynomial(square, ofDigamma)} - ${sum}`,
  );
  const below = s.value(`${above} - ${Math.PI} / ${tan(s, turned(s, x))}`);
  const finite = s.value(`(${x} > 0 ? ${above} : ${below})`);
  const pole = s.value(`(${isPole(x)} ? (${x} === 0 ? (-${s.infinity()}) : ${s.nan()}) : ${finite})`);
  return s.value(`(${x} > ${largest} ? ${x} : ${pole})`);
};
