/**
 * Functions of two f64 that are right to about 1e-12: what f32 results are rounded from where f32 alone would lose bits.
 * `x` must be a local and stand for an f32.
 */
import { f64x2, i64x2, v128, type V128 } from '../assembler/index.ts';
import type { MathContext } from './context.ts';

/** Adding it to a whole number below 2⁵¹ leaves the number in the low bits. */
const intoLowBits = 1.5 * 2 ** 52;

/** n, eʳ - 1 and 2ⁿ with x = n·log 2 + r. Beyond ±200 the f32 result is 0 or Infinity anyway. */
function reduceExp(m: MathContext, x: V128): { tail: V128; scale: V128 } {
  const clamped = m.let(f64x2.pmin(f64x2.pmax(x, m.f64x2(-200)), m.f64x2(200)));
  const n = m.let(f64x2.nearest(f64x2.mul(clamped, m.f64x2(Math.LOG2E))));
  const r = m.let(f64x2.sub(clamped, f64x2.mul(n, m.f64x2(Math.LN2))));
  const factorials = [1, 2, 6, 24, 120, 720, 5040, 40320, 362880].map((f) => 1 / f);
  const tail = m.let(f64x2.mul(r, m.polynomial64(r, factorials)));
  const scale = m.let(i64x2.shl(f64x2.add(n, m.f64x2(intoLowBits + 1023)), 52));
  return { tail, scale };
}

export function exp64(m: MathContext, x: V128): V128 {
  const { tail, scale } = reduceExp(m, x);
  return f64x2.add(f64x2.mul(tail, scale), scale);
}

export function expm164(m: MathContext, x: V128): V128 {
  const { tail, scale } = reduceExp(m, x);
  const y = f64x2.add(f64x2.mul(tail, scale), f64x2.sub(scale, m.f64x2(1)));
  return v128.select(f64x2.eq(x, m.f64x2(0)), x, y);
}

/** x = 2ᵉ·f with √½ ≤ f < √2; for x > 0, finite. */
function reduceLog(m: MathContext, x: V128): { e: V128; logF: V128 } {
  const rootHalf = 0x3fe6a09e667f3bcdn;
  const shifted = m.let(i64x2.add(x, i64x2.const(0x3ff0000000000000n - rootHalf)));
  // The exponent's bits under those of 2⁵² are the f64 2⁵² + exponent.
  const biased = v128.or(i64x2.shrUnsigned(shifted, 52), i64x2.const(0x4330000000000000n));
  const e = m.let(f64x2.sub(biased, m.f64x2(2 ** 52 + 1023)));
  const f = m.let(i64x2.add(v128.and(shifted, i64x2.const(0xfffffffffffffn)), i64x2.const(rootHalf)));
  // log f = 2 artanh s, s = (f - 1) / (f + 1)
  const s = m.let(f64x2.div(f64x2.sub(f, m.f64x2(1)), f64x2.add(f, m.f64x2(1))));
  const z = m.let(f64x2.mul(s, s));
  const series = m.polynomial64(z, [2, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11, 2 / 13]);
  return { e, logF: m.let(f64x2.mul(s, series)) };
}

/** The logarithm of 0 is -Infinity, of what is negative NaN; Infinity and NaN stay. */
function guardLog(m: MathContext, x: V128, y: V128): V128 {
  const zero = m.f64x2(0);
  const inRange = v128.and(f64x2.gt(x, zero), f64x2.lt(x, m.f64x2(Infinity)));
  const odd = v128.select(
    f64x2.lt(x, zero),
    m.f64x2(NaN),
    v128.select(f64x2.eq(x, zero), m.f64x2(-Infinity), x),
  );
  return v128.select(inRange, y, odd);
}

export function log64(m: MathContext, x: V128): V128 {
  const { e, logF } = reduceLog(m, x);
  return guardLog(m, x, f64x2.add(f64x2.mul(e, m.f64x2(Math.LN2)), logF));
}

export function log264(m: MathContext, x: V128): V128 {
  const { e, logF } = reduceLog(m, x);
  return guardLog(m, x, f64x2.add(e, f64x2.mul(logF, m.f64x2(Math.LOG2E))));
}

export function log1064(m: MathContext, x: V128): V128 {
  const { e, logF } = reduceLog(m, x);
  const log = f64x2.add(f64x2.mul(e, m.f64x2(Math.LN2)), logF);
  return guardLog(m, x, f64x2.mul(log, m.f64x2(Math.LOG10E)));
}

export function log1p64(m: MathContext, x: V128): V128 {
  const y = m.let(log64(m, m.let(f64x2.add(x, m.f64x2(1)))));
  // 1 + x forgets an x this small.
  return v128.select(f64x2.lt(f64x2.abs(x), m.f64x2(2 ** -26)), x, y);
}

/** Beyond this, the reduction below loses bits. */
export const largestAngle = 2 ** 20;

/** sin(x + quarter·π/2) for |x| < 2²⁰: |r| ≤ π/4 and the series of sine or cosine, as the quadrant says. */
export function sine64(m: MathContext, x: V128, quarter: 0 | 1): V128 {
  const shifted = m.let(f64x2.add(f64x2.mul(x, m.f64x2(2 / Math.PI)), m.f64x2(intoLowBits)));
  const n = m.let(f64x2.sub(shifted, m.f64x2(intoLowBits)));
  // π/2 in two parts; products of n < 2²⁰ with the first (32 bits) are exact.
  const first = 1.57079632673412561417;
  const second = 6.07710050650619224932e-11;
  const r = m.let(f64x2.sub(f64x2.sub(x, f64x2.mul(n, m.f64x2(first))), f64x2.mul(n, m.f64x2(second))));
  const z = m.let(f64x2.mul(r, r));
  const sinSeries = [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800];
  const cosSeries = [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600, -1 / 87178291200];
  const sin = m.let(f64x2.mul(r, m.polynomial64(z, sinSeries)));
  const cos = m.let(m.polynomial64(z, cosSeries));
  const quadrant = m.let(quarter === 0 ? shifted : i64x2.add(shifted, i64x2.const(1n)));
  const odd = i64x2.eq(v128.and(quadrant, i64x2.const(1n)), i64x2.const(1n));
  const sign = i64x2.shl(v128.and(quadrant, i64x2.const(2n)), 62);
  return v128.xor(v128.select(odd, cos, sin), sign);
}

/** xʸ for 0 < x < Infinity and finite y. */
export function pow64(m: MathContext, x: V128, y: V128): V128 {
  const { e, logF } = reduceLog(m, x);
  const log = f64x2.add(f64x2.mul(e, m.f64x2(Math.LN2)), logF);
  return exp64(m, m.let(f64x2.mul(y, log)));
}

/** e^(a²)·erfc(a) / t for a from 0 to 10.2, in t = 1 / (1 + a/2), to 1e-10. Fitted at Chebyshev's points. */
const scaledTail = [
  0.282097417677, 0.28201043033, 0.248030196358, 0.166404944516, 0.136752582952, -0.196493923844,
  0.420390110317, -0.849827035649, 0.825315536122, -0.371570692262, 0.03373673985, 0.0322192762486,
  -0.0090655827533,
];

/** erfc(a) for a ≥ 0; beyond 10.2 f32 holds 0. */
function tail64(m: MathContext, a: V128): V128 {
  const held = m.let(f64x2.pmin(a, m.f64x2(10.2)));
  const t = m.let(f64x2.div(m.f64x2(1), f64x2.add(f64x2.mul(held, m.f64x2(0.5)), m.f64x2(1))));
  const power = exp64(m, m.let(f64x2.neg(f64x2.mul(held, held))));
  return f64x2.mul(f64x2.mul(m.polynomial64(t, scaledTail), t), power);
}

/** erfc x: the tail above 0, 2 less the tail below. */
export function erfc64(m: MathContext, x: V128): V128 {
  const tail = m.let(tail64(m, f64x2.abs(x)));
  return v128.select(f64x2.lt(x, m.f64x2(0)), f64x2.sub(m.f64x2(2), tail), tail);
}

/** The normal distribution function: erfc(-x/√2)/2. */
export const ndtr64 = (m: MathContext, x: V128): V128 =>
  f64x2.mul(erfc64(m, m.let(f64x2.mul(x, m.f64x2(-Math.SQRT1_2)))), m.f64x2(0.5));
