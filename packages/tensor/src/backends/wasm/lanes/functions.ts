/** Which instructions or routines stand for each function of numbers, by kind. */
import type { BinaryIntrinsic, Relation, TernaryIntrinsic, UnaryIntrinsic } from '../../../ir.ts';
import { call, f32x4, f64x2, i32, i32x4, select, v128, type V128, type Value } from '../assembler/index.ts';
import type { MathFunction } from '../host-functions.ts';
import type { MathContext } from '../math/context.ts';
import { erf32, exp32, tanh32 } from '../math/single.ts';
import {
  erfc64,
  expm164,
  largestAngle,
  log1064,
  log1p64,
  log264,
  log64,
  ndtr64,
  pow64,
  sine64,
} from '../math/wide.ts';
import { asF32, asF64, asI32, asKind, keep, type Lanes } from './lanes.ts';

type Unary32 = (m: MathContext, x: V128) => V128;
type Pair = { readonly kind: 'f64'; readonly low: V128; readonly high: V128 };

const sign = (lt: typeof f32x4.lt, one: (x: number) => V128, x: V128): V128 =>
  v128.select(lt(x, one(0)), one(-1), v128.select(lt(one(0), x), one(1), x));

const native32: Partial<Record<UnaryIntrinsic, Unary32>> = {
  neg: (_, x) => f32x4.neg(x),
  abs: (_, x) => f32x4.abs(x),
  sign: (m, x) => sign(f32x4.lt, (c) => m.f32x4(c), x),
  floor: (_, x) => f32x4.floor(x),
  ceil: (_, x) => f32x4.ceil(x),
  round: (_, x) => f32x4.nearest(x),
  trunc: (_, x) => f32x4.trunc(x),
  sqrt: (_, x) => f32x4.sqrt(x),
  exp: exp32,
  tanh: tanh32,
  erf: erf32,
};

const native64: Partial<Record<UnaryIntrinsic, Unary32>> = {
  neg: (_, x) => f64x2.neg(x),
  abs: (_, x) => f64x2.abs(x),
  sign: (m, x) => sign(f64x2.lt, (c) => m.f64x2(c), x),
  floor: (_, x) => f64x2.floor(x),
  ceil: (_, x) => f64x2.ceil(x),
  round: (_, x) => f64x2.nearest(x),
  trunc: (_, x) => f64x2.trunc(x),
  sqrt: (_, x) => f64x2.sqrt(x),
};

/** Of f32, computed in f64 and rounded once. */
const wide: Partial<Record<UnaryIntrinsic, Unary32>> = {
  expm1: expm164,
  log: log64,
  log2: log264,
  log10: log1064,
  log1p: log1p64,
  erfc: erfc64,
  ndtr: ndtr64,
};

/** On integers; the others leave an integer as it is. */
const nativeI32: Partial<Record<UnaryIntrinsic, (x: V128) => V128>> = {
  neg: i32x4.neg,
  abs: i32x4.abs,
  sign: (x) => i32x4.sub(i32x4.lt(x, i32x4.const(0)), i32x4.gt(x, i32x4.const(0))),
  floor: (x) => x,
  ceil: (x) => x,
  round: (x) => x,
  trunc: (x) => x,
};

/** Four calls back into JavaScript, in f64. */
export function callHost(m: MathContext, name: MathFunction | 'powI32', args: readonly Lanes[]): Pair {
  const { fn } = m;
  const callee = m.module.hostFunction(
    name,
    args.map(() => 'f64' as const),
    'f64',
  );
  const pairs = args.map((x) => keep(fn, asF64(fn, x)) as Pair);
  const half = (part: 'low' | 'high'): V128 => {
    const lane = (i: number): Value<'f64'> => call(callee, ...pairs.map((p) => f64x2.extract(p[part], i)));
    const v = fn.let(f64x2.splat(lane(0)));
    return fn.let(f64x2.replace(v, 1, lane(1)));
  };
  return { kind: 'f64', low: half('low'), high: half('high') };
}

/** `fast` where all four lanes allow it, else four calls. */
function guarded(
  m: MathContext,
  allowed: V128,
  args: readonly Lanes[],
  name: MathFunction,
  fast: () => V128,
): Lanes {
  const { fn } = m;
  const result = fn.local('v128');
  fn.if(
    v128.anyTrue(v128.not(allowed)),
    () => fn.set(result, asF32(callHost(m, name, args))),
    () => fn.set(result, fast()),
  );
  return { kind: 'f32', v: result };
}

const onPair = (m: MathContext, x: Lanes, f: Unary32): Pair => {
  const { low, high } = keep(m.fn, asF64(m.fn, x)) as Pair;
  return { kind: 'f64', low: m.let(f(m, low)), high: m.let(f(m, high)) };
};

function sine(m: MathContext, x: Lanes & { v: V128 }, quarter: 0 | 1): Lanes {
  const allowed = f32x4.lt(f32x4.abs(x.v), m.f32x4(largestAngle));
  // Constants hoisted inside the branch are set before it.
  return guarded(m, allowed, [x], quarter === 0 ? 'sin' : 'cos', () =>
    asF32(onPair(m, x, (c, v) => sine64(c, v, quarter))),
  );
}

/** A function of one number. `x` must be kept in locals. */
export function unaryLanes(m: MathContext, name: UnaryIntrinsic, x: Lanes): Lanes {
  if (x.kind === 'i32' || x.kind === 'mask') {
    const whole = asKind(m.fn, x, 'i32') as Lanes & { v: V128 };
    const f = nativeI32[name];
    return f ? { kind: 'i32', v: f(whole.v) } : unaryLanes(m, name, asF64(m.fn, x));
  }
  if (x.kind === 'f32') {
    const f = native32[name];
    if (f) return { kind: 'f32', v: f(m, x.v) };
    if (name === 'sin' || name === 'cos') return sine(m, x as Lanes & { v: V128 }, name === 'sin' ? 0 : 1);
    const w = wide[name];
    return { kind: 'f32', v: asF32(w ? onPair(m, x, w) : callHost(m, name as MathFunction, [x])) };
  }
  const f = native64[name];
  return f ? onPair(m, x, f) : callHost(m, name as MathFunction, [x]);
}

const binary32 = {
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  min: f32x4.min,
  max: f32x4.max,
} as const;
const binary64 = {
  add: f64x2.add,
  sub: f64x2.sub,
  mul: f64x2.mul,
  div: f64x2.div,
  min: f64x2.min,
  max: f64x2.max,
} as const;
const binaryI32 = {
  add: i32x4.add,
  sub: i32x4.sub,
  mul: i32x4.mul,
  min: i32x4.min,
  max: i32x4.max,
  bitAnd: v128.and,
  bitOr: v128.or,
  bitXor: v128.xor,
} as const;

/** A function of two numbers of one kind, kept in locals. */
export function binaryLanes(m: MathContext, name: BinaryIntrinsic, x: Lanes, y: Lanes): Lanes {
  if (x.kind === 'i32' && y.kind === 'i32') return integerLanes(m, name, x, y);
  if (x.kind === 'f32' && y.kind === 'f32') {
    const op = binary32[name as keyof typeof binary32];
    if (op) return { kind: 'f32', v: op(x.v, y.v) };
    if (name === 'pow') return pow(m, x as Lanes & { v: V128 }, y as Lanes & { v: V128 });
    // The quotient of two f32 may round up to a whole number; that of f64 does not.
    const exact = binaryLanes(m, name, keep(m.fn, asF64(m.fn, x)), keep(m.fn, asF64(m.fn, y)));
    return { kind: 'f32', v: asF32(exact) };
  }
  const [a, b] = [asF64(m.fn, x), asF64(m.fn, y)];
  const both = (op: (p: V128, q: V128) => V128): Lanes => ({
    kind: 'f64',
    low: op(a.low, b.low),
    high: op(a.high, b.high),
  });
  const op = binary64[name as keyof typeof binary64];
  if (op) return both(op);
  if (name === 'floorDiv') return both((p, q) => f64x2.floor(f64x2.div(p, q)));
  return callHost(m, name as MathFunction, [a, b]);
}

function pow(m: MathContext, x: Lanes & { v: V128 }, y: Lanes & { v: V128 }): Lanes {
  const infinity = m.f32x4(Infinity);
  const allowed = v128.and(
    v128.and(f32x4.gt(x.v, m.f32x4(0)), f32x4.lt(x.v, infinity)),
    f32x4.lt(f32x4.abs(y.v), infinity),
  );
  return guarded(m, allowed, [x, y], 'pow', () => {
    const [a, b] = [keep(m.fn, asF64(m.fn, x)) as Pair, keep(m.fn, asF64(m.fn, y)) as Pair];
    return asF32({ kind: 'f64', low: m.let(pow64(m, a.low, b.low)), high: m.let(pow64(m, a.high, b.high)) });
  });
}

/** A function of three numbers of one kind. */
export function ternaryLanes(m: MathContext, name: TernaryIntrinsic, args: readonly Lanes[]): Lanes {
  const pair = callHost(m, name, args);
  return args[0]!.kind === 'f64' ? pair : { kind: 'f32', v: asF32(pair) };
}

/** Each lane by its own count; a count outside 0 … 31 leaves nothing but the sign that a right shift fills with. */
function shiftLanes(m: MathContext, name: 'shiftLeft' | 'shiftRight', x: V128, counts: V128): V128 {
  const { fn } = m;
  const left = name === 'shiftLeft';
  // What is negative is shifted as its complement.
  const signs = fn.let(left ? i32x4.const(0) : i32x4.shr(x, 31));
  const bits = fn.let(v128.xor(x, signs));
  const result = fn.local('v128');
  for (let lane = 0; lane < 4; lane++) {
    const count = fn.let(i32x4.extract(counts, lane));
    const shifted = (left ? i32.shl : i32.shrUnsigned)(i32x4.extract(bits, lane), count);
    const fits = i32.ltUnsigned(count, i32.const(32));
    fn.set(result, i32x4.replace(result, lane, select(fits, shifted, i32.const(0))));
  }
  return v128.xor(result, signs);
}

/** Integers wrap; a quotient or remainder by zero is 0. */
function integerLanes(
  m: MathContext,
  name: BinaryIntrinsic,
  x: Lanes & { v?: V128 },
  y: Lanes & { v?: V128 },
): Lanes {
  const [a, b] = [x.v!, y.v!];
  const op = binaryI32[name as keyof typeof binaryI32];
  if (op) return { kind: 'i32', v: op(a, b) };
  const { fn } = m;
  if (name === 'pow')
    return { kind: 'i32', v: wrapToI32(m, callHost(m, 'powI32', [x as Lanes, y as Lanes])) };
  if (name === 'shiftLeft' || name === 'shiftRight') return { kind: 'i32', v: shiftLanes(m, name, a, b) };
  if (name !== 'floorDiv' && name !== 'rem' && name !== 'fmod')
    return binaryLanes(m, name, asF64(fn, x as Lanes), asF64(fn, y as Lanes));
  const result = fn.local('v128');
  for (let lane = 0; lane < 4; lane++) {
    const p = fn.let(i32x4.extract(a, lane));
    const q = fn.let(i32x4.extract(b, lane));
    const none = i32.eqz(q);
    // By -1 the quotient is -p, which wraps where division would trap.
    const opposite = i32.eq(q, i32.const(-1));
    const safe = fn.let(select(i32.or(none, opposite), i32.const(1), q));
    const r = fn.let(i32.rem(p, safe));
    const below = i32.and(
      i32.ne(r, i32.const(0)),
      i32.lt(
        i32.mul(
          select(i32.lt(r, i32.const(0)), i32.const(-1), i32.const(1)),
          select(i32.lt(safe, i32.const(0)), i32.const(-1), i32.const(1)),
        ),
        i32.const(0),
      ),
    );
    const value =
      name === 'rem'
        ? select(i32.or(none, opposite), i32.const(0), i32.add(r, select(below, safe, i32.const(0))))
        : name === 'fmod'
          ? select(i32.or(none, opposite), i32.const(0), r)
          : select(
              none,
              i32.const(0),
              select(opposite, i32.sub(i32.const(0), p), i32.sub(i32.div(p, safe), below)),
            );
    fn.set(result, i32x4.replace(result, lane, value));
  }
  return { kind: 'i32', v: result };
}

/** Whole f64 modulo 2³². */
export function wrapToI32(m: MathContext, x: Pair): V128 {
  const half = (v: V128): V128 => {
    const t = m.let(f64x2.trunc(v));
    const turns = f64x2.nearest(f64x2.mul(t, m.f64x2(2 ** -32)));
    return m.let(f64x2.sub(t, f64x2.mul(turns, m.f64x2(2 ** 32))));
  };
  return asI32({ kind: 'f64', low: half(x.low), high: half(x.high) });
}

export const relations32: Readonly<Record<Relation, (a: V128, b: V128) => V128>> = {
  eq: f32x4.eq,
  ne: f32x4.ne,
  lt: f32x4.lt,
  le: f32x4.le,
  gt: f32x4.gt,
  ge: f32x4.ge,
};
export const relations64: typeof relations32 = {
  eq: f64x2.eq,
  ne: f64x2.ne,
  lt: f64x2.lt,
  le: f64x2.le,
  gt: f64x2.gt,
  ge: f64x2.ge,
};
export const relationsI32: typeof relations32 = {
  eq: i32x4.eq,
  ne: i32x4.ne,
  lt: i32x4.lt,
  le: i32x4.le,
  gt: i32x4.gt,
  ge: i32x4.ge,
};
