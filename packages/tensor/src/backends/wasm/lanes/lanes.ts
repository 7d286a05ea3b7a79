/** Four elements at a time: how values of each kind lie in registers, and how they turn into one another. */
import { f32x4, f64x2, i32x4, shuffle32, v128, type FunctionBuilder, type V128 } from '../assembler/index.ts';

/** `mask` is all ones where true. u8 and bool are computed as i32. */
export type LaneKind = 'f32' | 'f64' | 'i32' | 'mask';
export type Lanes =
  | { readonly kind: 'f32' | 'i32' | 'mask'; readonly v: V128 }
  | { readonly kind: 'f64'; readonly low: V128; readonly high: V128 };

export const upperHalf = (v: V128): V128 => shuffle32(v, v, [2, 3, 2, 3]);
export const joinLow = (a: V128, b: V128): V128 => shuffle32(a, b, [0, 1, 4, 5]);
/** A mask of four lanes of 32 bits from two masks of two of 64. */
export const narrowMask = (low: V128, high: V128): V128 => shuffle32(low, high, [0, 2, 4, 6]);
export const widenMask = (v: V128): [low: V128, high: V128] => [
  shuffle32(v, v, [0, 0, 1, 1]),
  shuffle32(v, v, [2, 2, 3, 3]),
];

/** Keeps lanes in locals, so that they can be used more than once. */
export function keep(fn: FunctionBuilder, x: Lanes): Lanes {
  return x.kind === 'f64'
    ? { kind: 'f64', low: fn.let(x.low), high: fn.let(x.high) }
    : { kind: x.kind, v: fn.let(x.v) };
}

/** Numbers as f64, exactly. */
export function asF64(
  fn: FunctionBuilder,
  x: Lanes,
): { readonly kind: 'f64'; readonly low: V128; readonly high: V128 } {
  if (x.kind === 'f64') return x;
  if (x.kind === 'mask') return asF64(fn, { kind: 'i32', v: i32x4.shrUnsigned(x.v, 31) });
  const v = fn.let(x.v);
  const widen = x.kind === 'f32' ? f64x2.promote : f64x2.fromI32;
  return { kind: 'f64', low: fn.let(widen(v)), high: fn.let(widen(upperHalf(v))) };
}

export function asF32(x: Lanes): V128 {
  switch (x.kind) {
    case 'f32':
      return x.v;
    case 'f64':
      return joinLow(f32x4.demote(x.low), f32x4.demote(x.high));
    case 'i32':
      return f32x4.fromI32(x.v);
    case 'mask':
      return f32x4.fromI32(i32x4.shrUnsigned(x.v, 31));
  }
}

/** Floats truncate toward zero and saturate; NaN gives 0. */
export function asI32(x: Lanes): V128 {
  switch (x.kind) {
    case 'f32':
      return i32x4.truncateF32(x.v);
    case 'f64':
      return joinLow(i32x4.truncateF64(x.low), i32x4.truncateF64(x.high));
    case 'i32':
      return x.v;
    case 'mask':
      return i32x4.shrUnsigned(x.v, 31);
  }
}

/** True where not zero. */
export function asMask(x: Lanes): V128 {
  switch (x.kind) {
    case 'f32':
      return f32x4.ne(x.v, f32x4.const(0));
    case 'f64':
      return narrowMask(f64x2.ne(x.low, f64x2.const(0)), f64x2.ne(x.high, f64x2.const(0)));
    case 'i32':
      return i32x4.ne(x.v, i32x4.const(0));
    case 'mask':
      return x.v;
  }
}

export function asKind(fn: FunctionBuilder, x: Lanes, kind: LaneKind): Lanes {
  if (x.kind === kind) return x;
  if (kind === 'f64') return asF64(fn, x);
  return { kind, v: kind === 'f32' ? asF32(x) : kind === 'i32' ? asI32(x) : asMask(x) };
}

/** Lanes of a where the mask is set, else of b. Both of one kind. */
export function choose(fn: FunctionBuilder, mask: V128, a: Lanes, b: Lanes): Lanes {
  if (a.kind === 'f64' && b.kind === 'f64') {
    const [low, high] = widenMask(fn.let(mask));
    return { kind: 'f64', low: v128.select(low, a.low, b.low), high: v128.select(high, a.high, b.high) };
  }
  return { kind: a.kind as 'f32', v: v128.select(mask, (a as { v: V128 }).v, (b as { v: V128 }).v) };
}

/** The same number in every lane. */
export function everyLane(
  value: number,
  kind: LaneKind,
  constants: { f32x4(x: number): V128; f64x2(x: number): V128 },
): Lanes {
  switch (kind) {
    case 'f32':
      return { kind, v: constants.f32x4(value) };
    case 'f64': {
      const v = constants.f64x2(value);
      return { kind, low: v, high: v };
    }
    case 'i32':
      return { kind, v: i32x4.const(value) };
    case 'mask':
      return { kind, v: i32x4.const(value === 0 ? 0 : -1) };
  }
}
