/** Prints scalar expressions as gpu.js source. Truth is a condition where it is asked for, and 0 or 1 where it is a number. */
import { isFloat, type DType } from '../../dtype.ts';
import { BackendError } from '../../errors.ts';
import type { Expr, Intrinsic } from '../../ir.ts';
import { floatFunctions, integerFunctions, isNumber, wholePower, type Template } from './functions/index.ts';
import type { Source } from './source.ts';

const relations: Readonly<Partial<Record<Intrinsic, string>>> = {
  eq: '===',
  ne: '!==',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
};
const connectives = new Set<Intrinsic>(['and', 'or', 'xor', 'not']);

const isTruth = (e: Expr): boolean => e.kind === 'call' && (e.fn in relations || connectives.has(e.fn));

function templateOf(fn: Intrinsic, dtype: DType): Template | undefined {
  return (isFloat(dtype) ? undefined : integerFunctions[fn]) ?? floatFunctions[fn];
}

/** Powers up to this are products. */
const mostFactors = 16;

/** Why an expression over numbers of a dtype cannot be printed, or null. */
export function lackOfExpression(
  root: Expr,
  dtype: DType,
  wrong: Readonly<Partial<Record<Intrinsic, string>>>,
): string | null {
  const seen = new Set<Expr>();
  const visit = (e: Expr): string | null => {
    if (seen.has(e) || e.kind === 'input' || e.kind === 'const') return null;
    seen.add(e);
    if (e.kind === 'cast') return e.dtype === 'f64' || e.from === 'f64' ? 'it computes in f64' : visit(e.arg);
    if (!isTruth(e) && e.fn !== 'select' && !templateOf(e.fn, dtype)) return `it has no ${e.fn} in f32`;
    const wrongly = wrong[e.fn];
    if (wrongly !== undefined) return wrongly;
    return e.args.map(visit).find((lack) => lack !== null) ?? null;
  };
  return visit(root);
}

/** Statements that compute an expression, and the name or literal of its value. Common parts are computed once. */
export function printExpression(source: Source, root: Expr, dtype: DType, inputs: readonly string[]): string {
  const known = new Map<Expr, string>();
  const once = (e: Expr, print: () => string): string => {
    let value = known.get(e);
    if (value === undefined) known.set(e, (value = print()));
    return value;
  };
  const number = (e: Expr): string => {
    if (e.kind === 'input') return inputs[e.index]!;
    if (e.kind === 'const') return source.constant(e.value);
    return once(e, () => {
      if (e.kind === 'cast') return printCast(source, number(e.arg), e.from, e.dtype);
      if (isTruth(e)) return source.value(`(${truth(e)} ? 1 : 0)`);
      const { fn, args } = e;
      if (fn === 'select')
        return source.value(`(${truth(args[0]!)} ? ${number(args[1]!)} : ${number(args[2]!)})`);
      const exponent = args[1];
      if (fn === 'pow' && isFloat(dtype) && exponent?.kind === 'const') {
        const x = number(args[0]!);
        if (exponent.value === 0.5) return floatFunctions.sqrt!(source, x);
        if (Number.isInteger(exponent.value) && Math.abs(exponent.value) <= mostFactors)
          return wholePower(source, x, exponent.value);
      }
      if (isFloat(dtype) && (fn === 'max' || fn === 'min')) {
        // NaN is less than nothing and not more: of `x < c ? c : x` some drivers make a maximum that drops it.
        const [a, b] = args as [Expr, Expr];
        const [x, y] = [number(a), number(b)];
        const wins = fn === 'max' ? '>' : '<';
        const beside = (from: string, constant: string): string =>
          source.value(
            `(${from} ${wins} ${constant} ? ${from} : (${constant} ${wins}= ${from} ? ${constant} : ${from} + ${from}))`,
          );
        if (b.kind === 'const') return beside(x, y);
        if (a.kind === 'const') return beside(y, x);
      }
      const template = templateOf(fn, dtype);
      if (!template) throw new BackendError('gpu', `there is no ${fn} in f32 on the gpu backend`);
      return template(source, ...args.map(number));
    });
  };
  const truth = (e: Expr): string => {
    if (e.kind !== 'call' || !isTruth(e)) return `(${number(e)} !== 0)`;
    const [a, b] = e.args as [Expr, Expr];
    if (e.fn === 'not') return `(!${truth(a)})`;
    if (e.fn === 'and') return `(${truth(a)} && ${truth(b)})`;
    if (e.fn === 'or') return `(${truth(a)} || ${truth(b)})`;
    if (e.fn === 'xor') return `(${truth(a)} !== ${truth(b)})`;
    if (a === b && e.fn === 'ne') return `(!${isNumber(number(a))})`;
    if (a === b && e.fn === 'eq') return isNumber(number(a));
    return `(${number(a)} ${relations[e.fn]} ${number(b)})`;
  };
  return number(root);
}

const wrapped = (x: string): string => `${x} - 256 * Math.floor(${x} * ${1 / 256})`;

function printCast(source: Source, x: string, from: DType, to: DType): string {
  if (to === from || (isFloat(to) && from !== 'f64')) return x;
  if (to === 'bool') return source.value(`(${x} !== 0 ? 1 : 0)`);
  const whole = isFloat(from)
    ? source.value(`(${isNumber(x)} ? (${x} < 0 ? Math.ceil(${x}) : Math.floor(${x})) : 0)`)
    : x;
  return to === 'u8' ? source.value(wrapped(whole)) : whole;
}

/** What is stored of a value: u8 wraps, all else is as it is. */
export function stored(source: Source, value: string, dtype: DType): string {
  return dtype === 'u8' ? source.value(wrapped(value)) : value;
}
