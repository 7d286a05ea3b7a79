/** Prints scalar expressions as JavaScript. Arithmetic is in f64 (or i32 for integers) and rounds when stored. */
import { isFloat, isHalf, type DType } from '../../dtype.ts';
import { internalError } from '../../errors.ts';
import { fromBF16, fromF16, roundBF16, roundF16, toBF16, toF16 } from '../../half.ts';
import type { Expr, Intrinsic } from '../../ir.ts';
import { specialFunctions } from '../../math/index.ts';
import { sizeOf, type Layout } from '../../shape.ts';

type Template = (...args: string[]) => string;

const math =
  (name: string): Template =>
  (...args) =>
    `Math.${name}(${args.join(', ')})`;
const infix =
  (operator: string): Template =>
  (x, y) =>
    `(${x} ${operator} ${y})`;
const helper =
  (name: string): Template =>
  (...args) =>
    `h.${name}(${args.join(', ')})`;

const inFloat: Readonly<Record<Intrinsic, Template>> = {
  neg: (x) => `(-${x})`,
  abs: math('abs'),
  sign: math('sign'),
  floor: math('floor'),
  ceil: math('ceil'),
  round: helper('roundHalfEven'),
  trunc: math('trunc'),
  sqrt: math('sqrt'),
  cbrt: math('cbrt'),
  exp: math('exp'),
  expm1: math('expm1'),
  log: math('log'),
  log1p: math('log1p'),
  log2: math('log2'),
  log10: math('log10'),
  sin: math('sin'),
  cos: math('cos'),
  tan: math('tan'),
  asin: math('asin'),
  acos: math('acos'),
  atan: math('atan'),
  sinh: math('sinh'),
  cosh: math('cosh'),
  tanh: math('tanh'),
  asinh: math('asinh'),
  acosh: math('acosh'),
  atanh: math('atanh'),
  erf: helper('erf'),
  erfc: helper('erfc'),
  erfcx: helper('erfcx'),
  erfinv: helper('erfinv'),
  ndtr: helper('ndtr'),
  ndtri: helper('ndtri'),
  logNdtr: helper('logNdtr'),
  lgamma: helper('lgamma'),
  digamma: helper('digamma'),
  add: infix('+'),
  sub: infix('-'),
  mul: infix('*'),
  div: infix('/'),
  floorDiv: (x, y) => `Math.floor(${x} / ${y})`,
  rem: helper('remainder'),
  fmod: infix('%'),
  pow: (x, y) => `(${x} ** ${y})`,
  atan2: math('atan2'),
  min: math('min'),
  max: math('max'),
  hypot: math('hypot'),
  bitAnd: infix('&'),
  bitOr: infix('|'),
  bitXor: infix('^'),
  shiftLeft: (x, y) => `(${y} >>> 0 < 32 ? ${x} << ${y} : 0)`,
  shiftRight: (x, y) => `(${x} >> (${y} >>> 0 < 32 ? ${y} : 31))`,
  polygamma: helper('polygamma'),
  sinc: helper('sinc'),
  besselI: helper('besselI'),
  besselIe: helper('besselIe'),
  gammainc: helper('gammainc'),
  gammaincc: helper('gammaincc'),
  eq: infix('==='),
  ne: infix('!=='),
  lt: infix('<'),
  le: infix('<='),
  gt: infix('>'),
  ge: infix('>='),
  and: infix('&'),
  or: infix('|'),
  xor: infix('^'),
  not: (x) => `!${x}`,
  select: (c, x, y) => `(${c} ? ${x} : ${y})`,
};

/** Integers wrap; division by zero gives zero. */
const inInteger: Partial<Record<Intrinsic, Template>> = {
  neg: (x) => `(-${x} | 0)`,
  add: (x, y) => `((${x} + ${y}) | 0)`,
  sub: (x, y) => `((${x} - ${y}) | 0)`,
  mul: math('imul'),
  floorDiv: (x, y) => `(${y} === 0 ? 0 : Math.floor(${x} / ${y}))`,
  rem: (x, y) => `(${y} === 0 ? 0 : h.remainder(${x}, ${y}))`,
  fmod: (x, y) => `(${y} === 0 ? 0 : ${x} % ${y})`,
  pow: helper('powI32'),
};

/**
 * Statements that compute an expression, and the name or literal that holds its value. Sub-expressions that occur
 * more than once (as one object) are computed once.
 */
export function printExpression(
  root: Expr,
  dtype: DType,
  inputs: readonly string[],
): { statements: string; value: string } {
  const lines: string[] = [];
  const known = new Map<Expr, string>();
  const templates = isFloat(dtype) ? inFloat : { ...inFloat, ...inInteger };
  const print = (e: Expr): string => {
    if (e.kind === 'input') return inputs[e.index]!;
    if (e.kind === 'const')
      return Object.is(e.value, -0) ? '(-0)' : e.value < 0 ? `(${e.value})` : String(e.value);
    const before = known.get(e);
    if (before) return before;
    const text =
      e.kind === 'cast' ? printCast(print(e.arg), e.from, e.dtype) : templates[e.fn](...e.args.map(print));
    const name = `t${lines.length}`;
    lines.push(`const ${name} = ${text};`);
    known.set(e, name);
    return name;
  };
  const value = print(root);
  return { statements: lines.join(' '), value };
}

function printCast(x: string, from: DType, to: DType): string {
  if (to === 'bool') return `(${x} !== 0)`;
  if (isHalf(to)) return `h.round${to.toUpperCase()}(+${x})`;
  if (isFloat(to)) return `+${x}`;
  if (isFloat(from)) return to === 'i32' ? `h.saturateI32(${x})` : `(${x} & 255)`;
  return to === 'u8' ? `(${x} & 255)` : `(${x} | 0)`;
}

/** Functions that JavaScript lacks, for printed code to call as `h.name`. */
export const helpers = {
  toF16,
  toBF16,
  fromF16,
  fromBF16,
  roundF16,
  roundBF16,
  roundHalfEven(x: number): number {
    const r = Math.round(x);
    return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r === 0 && x < 0 ? -0 : r;
  },
  remainder(x: number, y: number): number {
    const r = x % y;
    return r !== 0 && r < 0 !== y < 0 ? r + y : r;
  },
  /** By repeated squaring, modulo 2^32; a negative exponent truncates toward zero. */
  powI32(x: number, y: number): number {
    if (y < 0) return (x ** y) | 0;
    let power = 1;
    for (let base = x; y > 0; y = Math.floor(y / 2), base = Math.imul(base, base))
      if (y % 2 === 1) power = Math.imul(power, base);
    return power;
  },
  saturateI32(x: number): number {
    if (!(x === x)) return 0;
    return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : Math.trunc(x);
  },
  ...specialFunctions,
};

/** Nested loops over `rank` axes; pointers `p0 …` step by `s0_axis …`. `body` runs in the innermost loop. */
export function printLoops(prefix: string, rank: number, pointers: readonly string[], body: string): string {
  let code = body;
  for (let axis = rank - 1; axis >= 0; axis--) {
    const i = `${prefix}${axis}`;
    const steps = pointers.map((p) => `${p} += ${p}_${i};`).join(' ');
    const rewinds = pointers.map((p) => `${p} -= ${p}_${i} * n_${i};`).join(' ');
    code = `for (let ${i} = 0; ${i} < n_${i}; ${i}++) { ${code} ${steps} }\n${rewinds}`;
  }
  return code;
}

/** Declarations of the sizes and strides that `printLoops` uses, read from arrays `sizes` and `steps[pointer]`. */
export function printBounds(
  prefix: string,
  rank: number,
  pointers: readonly string[],
  sizes: string,
  steps: string,
): string {
  const lines: string[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const i = `${prefix}${axis}`;
    lines.push(`const n_${i} = ${sizes}[${axis}];`);
    pointers.forEach((p, k) => lines.push(`const ${p}_${i} = ${steps}[${k}][${axis}];`));
  }
  return lines.join(' ');
}

/** The same elements in the same order over as few axes as can be: size-1 axes dropped, axes that run on merged. */
export function collapse(layouts: readonly Layout[]): { sizes: number[]; strides: number[][] } {
  const sizes: number[] = [];
  const strides: number[][] = layouts.map(() => []);
  const { shape } = layouts[0]!;
  for (let axis = 0; axis < shape.length; axis++) {
    const n = shape[axis]!;
    if (n === 1) continue;
    const last = sizes.length - 1;
    let runsOn = last >= 0;
    for (let k = 0; runsOn && k < layouts.length; k++)
      runsOn = strides[k]![last] === n * layouts[k]!.strides[axis]!;
    const to = runsOn ? last : last + 1;
    sizes[to] = runsOn ? sizes[last]! * n : n;
    for (let k = 0; k < layouts.length; k++) strides[k]![to] = layouts[k]!.strides[axis]!;
  }
  return { sizes, strides };
}

/** A compiled loop nest. */
export type Loop = (
  out: object,
  inputs: readonly object[],
  offsets: readonly number[],
  ...bounds: unknown[]
) => void;

const compiled = new Map<string, Loop>();

/** The function with this source, compiled once. */
export function compileLoop(key: string, source: () => string): Loop {
  let loop = compiled.get(key);
  if (!loop) {
    const body = source();
    try {
      loop = new Function('h', `'use strict'; return ${body}`)(helpers) as Loop;
    } catch (error) {
      throw internalError(`printed code does not compile: ${String(error)}\n${body}`);
    }
    compiled.set(key, loop);
  }
  return loop;
}

export function isEmpty(layout: Layout): boolean {
  return sizeOf(layout.shape) === 0;
}
