/** Functions of whole numbers, where they differ from those of floats. */
import type { Intrinsic } from '../../../ir.ts';
import type { Source } from '../source.ts';
import { abs, infix, type Template } from './basics.ts';

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
