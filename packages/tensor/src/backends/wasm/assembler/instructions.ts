/** The instructions, as typed functions from values to values. Offsets are in bytes; alignment hints are left out. */
import {
  bytesOf,
  signed,
  unsigned,
  type Action,
  type Callee,
  type Code,
  type Value,
  type ValueType,
} from './code.ts';

export type I32 = Value<'i32'>;
export type F32 = Value<'f32'>;
export type F64 = Value<'f64'>;
/** 128 bits: four f32 or i32, two f64 or i64, sixteen bytes. */
export type V128 = Value<'v128'>;

type Op = readonly number[];

const value = <T extends ValueType>(type: T, ...parts: Code[]): Value<T> => ({ type, code: parts });
const unary =
  <A extends ValueType, R extends ValueType>(_: A, result: R, op: Op) =>
  (a: Value<A>): Value<R> =>
    value(result, a.code, op);
const binary =
  <A extends ValueType, R extends ValueType>(_: A, result: R, op: Op) =>
  (a: Value<A>, b: Value<A>): Value<R> =>
    value(result, a.code, b.code, op);
const load =
  <R extends ValueType>(result: R, op: Op) =>
  (address: I32, offset = 0): Value<R> =>
    value(result, address.code, op, [0, ...unsigned(offset)]);
const store =
  <A extends ValueType>(_: A, op: Op) =>
  (address: I32, stored: Value<A>, offset = 0): Action => ({
    code: [address.code, stored.code, op, 0, unsigned(offset)],
  });
const simd = (op: number): Op => [0xfd, ...unsigned(op)];

const i32Binary = (op: number): ((a: I32, b: I32) => I32) => binary('i32', 'i32', [op]);
export const i32 = {
  const: (n: number): I32 => value('i32', [0x41, ...signed(n)]),
  load: load('i32', [0x28]),
  load8: load('i32', [0x2d]),
  load16: load('i32', [0x2f]),
  store: store('i32', [0x36]),
  store8: store('i32', [0x3a]),
  store16: store('i32', [0x3b]),
  eqz: unary('i32', 'i32', [0x45]),
  eq: i32Binary(0x46),
  ne: i32Binary(0x47),
  lt: i32Binary(0x48),
  ltUnsigned: i32Binary(0x49),
  gt: i32Binary(0x4a),
  le: i32Binary(0x4c),
  ge: i32Binary(0x4e),
  geUnsigned: i32Binary(0x4f),
  add: i32Binary(0x6a),
  sub: i32Binary(0x6b),
  mul: i32Binary(0x6c),
  /** Traps where b is 0, and for -2³¹ / -1. */
  div: i32Binary(0x6d),
  /** Traps where b is 0. */
  rem: i32Binary(0x6f),
  and: i32Binary(0x71),
  or: i32Binary(0x72),
  shl: i32Binary(0x74),
  shrUnsigned: i32Binary(0x76),
};

export const f32 = {
  const: (x: number): F32 => value('f32', [0x43, ...bytesOf(Float32Array.of(x))]),
  load: load('f32', [0x2a]),
  store: store('f32', [0x38]),
  demote: unary('f64', 'f32', [0xb6]),
};

export const f64 = {
  const: (x: number): F64 => value('f64', [0x44, ...bytesOf(Float64Array.of(x))]),
  load: load('f64', [0x2b]),
  store: store('f64', [0x39]),
  promote: unary('f32', 'f64', [0xbb]),
  fromI32: unary('i32', 'f64', [0xb7]),
};

const v1 = (op: number): ((a: V128) => V128) => unary('v128', 'v128', simd(op));
const v2 = (op: number): ((a: V128, b: V128) => V128) => binary('v128', 'v128', simd(op));
const shift =
  (op: number) =>
  (a: V128, bits: number): V128 =>
    value('v128', a.code, i32.const(bits).code, simd(op));
const extract =
  <T extends ValueType>(type: T, op: number) =>
  (a: V128, lane: number): Value<T> =>
    value(type, a.code, simd(op), [lane]);
const replace =
  <T extends ValueType>(_: T, op: number) =>
  (a: V128, lane: number, b: Value<T>): V128 =>
    value('v128', a.code, b.code, simd(op), [lane]);
const loadLane =
  (op: number) =>
  (address: I32, lane: number, into: V128): V128 =>
    value('v128', address.code, into.code, simd(op), [0, 0, lane]);
const storeLane =
  (op: number) =>
  (address: I32, stored: V128, lane: number, offset = 0): Action => ({
    code: [address.code, stored.code, simd(op), 0, unsigned(offset), lane],
  });
const multiplyAdd =
  (op: number) =>
  (a: V128, b: V128, c: V128): V128 =>
    value('v128', a.code, b.code, c.code, simd(op));

export const v128 = {
  load: load('v128', simd(0x00)),
  store: store('v128', simd(0x0b)),
  /** Four unsigned words of 16 bits into lanes of 32. */
  load16x4: load('v128', simd(0x04)),
  load32Splat: load('v128', simd(0x09)),
  load64Splat: load('v128', simd(0x0a)),
  load32Zero: load('v128', simd(0x5c)),
  load64Zero: load('v128', simd(0x5d)),
  load8Lane: loadLane(0x54),
  load32Lane: loadLane(0x56),
  load64Lane: loadLane(0x57),
  store8Lane: storeLane(0x58),
  store16Lane: storeLane(0x59),
  store32Lane: storeLane(0x5a),
  store64Lane: storeLane(0x5b),
  not: v1(0x4d),
  and: v2(0x4e),
  /** a and not b. */
  andNot: v2(0x4f),
  or: v2(0x50),
  xor: v2(0x51),
  /** The bits of a where the mask is set, else those of b. */
  select: (mask: V128, a: V128, b: V128): V128 => value('v128', a.code, b.code, mask.code, simd(0x52)),
  anyTrue: unary('v128', 'i32', simd(0x53)),
};

/** Four lanes of 32 bits picked from a (0 … 3) and b (4 … 7). */
export function shuffle32(a: V128, b: V128, lanes: readonly [number, number, number, number]): V128 {
  return value(
    'v128',
    a.code,
    b.code,
    simd(0x0d),
    lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
  );
}

/** Two lanes of 64 bits picked from a (0, 1) and b (2, 3). */
export function shuffle64(a: V128, b: V128, [x, y]: readonly [number, number]): V128 {
  return shuffle32(a, b, [2 * x, 2 * x + 1, 2 * y, 2 * y + 1]);
}

export const i32x4 = {
  const: (n: number): V128 => value('v128', simd(0x0c), bytesOf(Int32Array.of(n, n, n, n))),
  constants: (...n: [number, number, number, number]): V128 =>
    value('v128', simd(0x0c), bytesOf(Int32Array.from(n))),
  splat: unary('i32', 'v128', simd(0x11)),
  extract: extract('i32', 0x1b),
  replace: replace('i32', 0x1c),
  eq: v2(0x37),
  ne: v2(0x38),
  lt: v2(0x39),
  gt: v2(0x3b),
  le: v2(0x3d),
  ge: v2(0x3f),
  abs: v1(0xa0),
  neg: v1(0xa1),
  shl: shift(0xab),
  shr: shift(0xac),
  shrUnsigned: shift(0xad),
  add: v2(0xae),
  sub: v2(0xb1),
  mul: v2(0xb5),
  min: v2(0xb6),
  max: v2(0xb8),
  /** Saturates; NaN gives 0. */
  truncateF32: v1(0xf8),
  /** Likewise, of two f64, into the two low lanes. */
  truncateF64: v1(0xfc),
  /** Four unsigned bytes from the low end. */
  fromBytes: (a: V128): V128 => v1(0xa9)(v1(0x89)(a)),
  /** The low 16 bits (lanes of 0 … 65535), four to the low end. */
  toWords: (a: V128): V128 => v2(0x86)(a, i32x4.const(0)),
  /** The low bytes (lanes of 0 … 255), four to the low end. */
  toBytes: (a: V128): V128 => {
    const words = v2(0x86)(a, i32x4.const(0));
    return v2(0x66)(words, i32x4.const(0));
  },
};

export const i64x2 = {
  const: (n: bigint): V128 => value('v128', simd(0x0c), bytesOf(BigInt64Array.of(n, n))),
  shl: shift(0xcb),
  shrUnsigned: shift(0xcd),
  add: v2(0xce),
  sub: v2(0xd1),
  eq: v2(0xd6),
};

export const f32x4 = {
  const: (x: number): V128 => value('v128', simd(0x0c), bytesOf(Float32Array.of(x, x, x, x))),
  splat: unary('f32', 'v128', simd(0x13)),
  extract: extract('f32', 0x1f),
  replace: replace('f32', 0x20),
  eq: v2(0x41),
  ne: v2(0x42),
  lt: v2(0x43),
  gt: v2(0x44),
  le: v2(0x45),
  ge: v2(0x46),
  ceil: v1(0x67),
  floor: v1(0x68),
  trunc: v1(0x69),
  nearest: v1(0x6a),
  abs: v1(0xe0),
  neg: v1(0xe1),
  sqrt: v1(0xe3),
  add: v2(0xe4),
  sub: v2(0xe5),
  mul: v2(0xe6),
  div: v2(0xe7),
  /** NaN where either is; several machine instructions. */
  min: v2(0xe8),
  max: v2(0xe9),
  /** b < a ? b : a. */
  pmin: v2(0xea),
  /** a < b ? b : a. */
  pmax: v2(0xeb),
  fromI32: v1(0xfa),
  /** Two f64, into the two low lanes. */
  demote: v1(0x5e),
  /** a · b + c, rounded once or twice as the host likes. */
  relaxedMadd: multiplyAdd(0x105),
};

export const f64x2 = {
  const: (x: number): V128 => value('v128', simd(0x0c), bytesOf(Float64Array.of(x, x))),
  splat: unary('f64', 'v128', simd(0x14)),
  extract: extract('f64', 0x21),
  replace: replace('f64', 0x22),
  eq: v2(0x47),
  ne: v2(0x48),
  lt: v2(0x49),
  gt: v2(0x4a),
  le: v2(0x4b),
  ge: v2(0x4c),
  ceil: v1(0x74),
  floor: v1(0x75),
  trunc: v1(0x7a),
  nearest: v1(0x94),
  abs: v1(0xec),
  neg: v1(0xed),
  sqrt: v1(0xef),
  add: v2(0xf0),
  sub: v2(0xf1),
  mul: v2(0xf2),
  div: v2(0xf3),
  min: v2(0xf4),
  max: v2(0xf5),
  pmin: v2(0xf6),
  pmax: v2(0xf7),
  /** The two low lanes of four i32. */
  fromI32: v1(0xfe),
  /** The two low lanes of four f32. */
  promote: v1(0x5f),
  relaxedMadd: multiplyAdd(0x107),
};

/** a where the condition is not 0, else b; both are computed. */
export function select<T extends ValueType>(condition: I32, a: Value<T>, b: Value<T>): Value<T> {
  return value(a.type, a.code, b.code, condition.code, a.type === 'v128' ? [0x1c, 1, 0x7b] : [0x1b]);
}

/** The result of a function. */
export function call<T extends ValueType>(
  callee: Callee & { readonly result: T },
  ...args: Value[]
): Value<T> {
  return value(callee.result, ...args.map((a) => a.code), [0x10, callee]);
}

/** A function called for what it does. */
export function perform(callee: Callee, ...args: Value[]): Action {
  return {
    code: [...args.map((a) => a.code), 0x10, callee, callee.result === null ? [] : [0x1a]],
  };
}
