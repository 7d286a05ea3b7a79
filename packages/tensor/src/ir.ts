/**
 * The scalar language in which elementwise ops and reductions are defined once. An expression is a tree of
 * plain data over one element of each input; every backend prints it in its own tongue.
 */
import type { DType } from './dtype.ts';

/** Functions of one number. */
export type UnaryIntrinsic =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'trunc'
  | 'sqrt'
  | 'cbrt'
  | 'exp'
  | 'expm1'
  | 'log'
  | 'log1p'
  | 'log2'
  | 'log10'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'erf'
  | 'erfc'
  | 'erfcx'
  | 'erfinv'
  | 'ndtr'
  | 'ndtri'
  | 'logNdtr'
  | 'lgamma'
  | 'digamma';
/**
 * Functions of two numbers. `min` and `max` return NaN if either is NaN; `rem` takes the divisor's sign, `fmod` the
 * dividend's. The bitwise ones are of integers. `polygamma`, `sinc`, `besselI` and `besselIe` have an order first.
 */
export type BinaryIntrinsic =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'floorDiv'
  | 'rem'
  | 'fmod'
  | 'pow'
  | 'atan2'
  | 'min'
  | 'max'
  | 'hypot'
  | 'bitAnd'
  | 'bitOr'
  | 'bitXor'
  | 'shiftLeft'
  | 'shiftRight'
  | 'polygamma'
  | 'sinc'
  | 'besselI'
  | 'besselIe'
  | 'gammaincc';
/** Functions of three numbers: of order, parameter and argument. */
export type TernaryIntrinsic = 'gammainc';
/** Relations of two numbers: a truth value. */
export type Relation = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';
/** Functions of truth values. */
export type Connective = 'and' | 'or' | 'xor' | 'not';

export type Intrinsic =
  | UnaryIntrinsic
  | BinaryIntrinsic
  | TernaryIntrinsic
  | Relation
  | Connective
  | 'select';

export type Expr =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'cast'; readonly dtype: DType; readonly from: DType; readonly arg: Expr }
  | { readonly kind: 'call'; readonly fn: Intrinsic; readonly args: readonly Expr[] };

export type Term = Expr | number;

const lift = (term: Term): Expr => (typeof term === 'number' ? { kind: 'const', value: term } : term);
const call = (fn: Intrinsic, ...args: Term[]): Expr => ({ kind: 'call', fn, args: args.map(lift) });

export const input = (index: number): Expr => ({ kind: 'input', index });
export const constant = (value: number): Expr => ({ kind: 'const', value });
/** `arg` (of dtype `from`) as `dtype`: floats truncate toward zero into integers, anything nonzero is true. */
export const cast = (arg: Term, from: DType, dtype: DType): Expr => ({
  kind: 'cast',
  dtype,
  from,
  arg: lift(arg),
});

type Unary = (x: Term) => Expr;
type Binary = (x: Term, y: Term) => Expr;
const unary =
  (fn: Intrinsic): Unary =>
  (x) =>
    call(fn, x);
const binary =
  (fn: Intrinsic): Binary =>
  (x, y) =>
    call(fn, x, y);

export const neg = unary('neg');
export const abs = unary('abs');
export const sign = unary('sign');
export const floor = unary('floor');
export const ceil = unary('ceil');
export const round = unary('round');
export const trunc = unary('trunc');
export const sqrt = unary('sqrt');
export const cbrt = unary('cbrt');
export const exp = unary('exp');
export const expm1 = unary('expm1');
export const log = unary('log');
export const log1p = unary('log1p');
export const log2 = unary('log2');
export const log10 = unary('log10');
export const sin = unary('sin');
export const cos = unary('cos');
export const tan = unary('tan');
export const asin = unary('asin');
export const acos = unary('acos');
export const atan = unary('atan');
export const sinh = unary('sinh');
export const cosh = unary('cosh');
export const tanh = unary('tanh');
export const asinh = unary('asinh');
export const acosh = unary('acosh');
export const atanh = unary('atanh');
export const erf = unary('erf');
export const erfc = unary('erfc');
export const erfcx = unary('erfcx');
export const erfinv = unary('erfinv');
export const ndtr = unary('ndtr');
export const ndtri = unary('ndtri');
export const logNdtr = unary('logNdtr');
export const lgamma = unary('lgamma');
export const digamma = unary('digamma');

export const add = binary('add');
export const sub = binary('sub');
export const mul = binary('mul');
export const div = binary('div');
export const floorDiv = binary('floorDiv');
export const rem = binary('rem');
export const fmod = binary('fmod');
export const pow = binary('pow');
export const atan2 = binary('atan2');
export const min = binary('min');
export const max = binary('max');
export const hypot = binary('hypot');
export const bitAnd = binary('bitAnd');
export const bitOr = binary('bitOr');
export const bitXor = binary('bitXor');
export const shiftLeft = binary('shiftLeft');
export const shiftRight = binary('shiftRight');
export const polygamma = binary('polygamma');
export const sinc = binary('sinc');
export const besselI = binary('besselI');
export const besselIe = binary('besselIe');
export const gammaincc = binary('gammaincc');
export const gammainc = (order: Term, a: Term, x: Term): Expr => call('gammainc', order, a, x);

export const eq = binary('eq');
export const ne = binary('ne');
export const lt = binary('lt');
export const le = binary('le');
export const gt = binary('gt');
export const ge = binary('ge');

export const and = binary('and');
export const or = binary('or');
export const xor = binary('xor');
export const not = unary('not');
/** `x` where the condition holds, else `y`. Both are evaluated. */
export const select = (condition: Expr, x: Term, y: Term): Expr => call('select', condition, x, y);
