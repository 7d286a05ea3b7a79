/** Functions of four f32, computed in f32, within 2 ulp. `x` must be a local. */
import { f32x4, i32x4, v128, type V128 } from '../assembler/index.ts';
import type { MathContext } from './context.ts';

const signBit = (): V128 => i32x4.const(-0x80000000);
/** Adding it to a small whole number leaves the number in the low bits. */
const intoLowBits = 12582912;

/** x·2ⁿ with 2ⁿ made of its exponent; `n` whole, -126 … 127. */
const powerOfTwo = (m: MathContext, n: V128): V128 => i32x4.shl(f32x4.add(n, m.f32x4(intoLowBits + 127)), 23);

/** x - n·log 2, with log 2 in two parts. */
const reduced = (m: MathContext, x: V128, n: V128): V128 =>
  f32x4.sub(f32x4.sub(x, f32x4.mul(n, m.f32x4(0.693359375))), f32x4.mul(n, m.f32x4(-2.1219444e-4)));

/** eʳ for |r| ≤ ½ log 2. */
function expOfReduced(m: MathContext, r: V128): V128 {
  const tail = m.polynomial32(
    r,
    [5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.98756915e-4],
  );
  return f32x4.add(f32x4.add(f32x4.mul(tail, f32x4.mul(r, r)), r), m.f32x4(1));
}

/**
 * eˣ = 2ⁿ·eʳ with |r| ≤ ½ log 2 and a polynomial of degree 7 for eʳ (coefficients of Cephes expf). The power of two is
 * applied in two halves, so that results below the normal range round once and those above become Infinity.
 */
export function exp32(m: MathContext, x: V128): V128 {
  const clamped = m.let(f32x4.pmin(f32x4.pmax(x, m.f32x4(-104)), m.f32x4(89)));
  const n = m.let(f32x4.nearest(f32x4.mul(clamped, m.f32x4(Math.LOG2E))));
  const p = expOfReduced(m, m.let(reduced(m, clamped, n)));
  const half = m.let(f32x4.nearest(f32x4.mul(n, m.f32x4(0.5))));
  return f32x4.mul(f32x4.mul(p, powerOfTwo(m, half)), powerOfTwo(m, f32x4.sub(n, half)));
}

/** The factor that `scaledExp32` gives its results. */
export const expScale = 2 ** 64;

/**
 * eˣ·2⁶⁴ for x ≤ 0, within an ulp. So scaled, results down to the least number of f32 are far from its ends: the power of
 * two is applied in one step, and dividing by a sum of such results brings back what is below the normal range. Where
 * eˣ is 0 in f32, this is what rounds to 0 in the end.
 */
export function scaledExp32(m: MathContext, x: V128): V128 {
  const clamped = m.let(f32x4.pmax(x, m.f32x4(-104)));
  // The exponent's bits of 2ⁿ·2⁶⁴ at the low end.
  const origin = intoLowBits + 127 + 64;
  const shifted = m.let(f32x4.add(f32x4.mul(clamped, m.f32x4(Math.LOG2E)), m.f32x4(origin)));
  const n = m.let(f32x4.sub(shifted, m.f32x4(origin)));
  const r = m.let(reduced(m, clamped, n));
  return f32x4.mul(expOfReduced(m, r), i32x4.shl(shifted, 23));
}

/** eˣ for x ≤ 0, of which the smallest numbers are rounded once. */
const expOfNegative32 = (m: MathContext, x: V128): V128 =>
  f32x4.mul(scaledExp32(m, x), m.f32x4(1 / expScale));

/** 1 / (1 + e⁻ˣ), as t / (1 + t) or 1 / (1 + t) from t = e^-|x| so that nothing overflows and small results keep their bits. */
export function sigmoid32(m: MathContext, x: V128): V128 {
  const t = m.let(expOfNegative32(m, m.let(v128.or(x, signBit()))));
  return f32x4.div(v128.select(f32x4.lt(x, m.f32x4(0)), t, m.f32x4(1)), f32x4.add(m.f32x4(1), t));
}

/** tanh x: a polynomial below 0.625 (Cephes tanhf), (1 - t) / (1 + t) with t = e^-2|x| above. */
export function tanh32(m: MathContext, x: V128): V128 {
  const a = m.let(f32x4.abs(x));
  const z = m.let(f32x4.mul(x, x));
  const p = m.polynomial32(
    z,
    [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3],
  );
  const small = m.let(f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x));
  const t = m.let(expOfNegative32(m, m.let(f32x4.mul(a, m.f32x4(-2)))));
  const large = f32x4.div(f32x4.sub(m.f32x4(1), t), f32x4.add(m.f32x4(1), t));
  return v128.or(v128.select(f32x4.lt(a, m.f32x4(0.625)), small, large), v128.and(x, signBit()));
}

/** erf x: x + x·P(x²) below 0.93; above, 1 - e^Q(|x|), where Q approximates log erfc. */
export function erf32(m: MathContext, x: V128): V128 {
  const a = m.let(f32x4.pmin(f32x4.abs(x), m.f32x4(4)));
  const z = m.let(f32x4.mul(x, x));
  const p = m.polynomial32(
    z,
    [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4],
  );
  const small = m.let(f32x4.add(f32x4.mul(p, x), x));
  const q = m.polynomial32(
    a,
    [
      -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4,
      -1.7285347e-5,
    ],
  );
  const t = expOfNegative32(m, m.let(f32x4.sub(f32x4.mul(q, a), a)));
  const large = v128.or(f32x4.sub(m.f32x4(1), t), v128.and(x, signBit()));
  return v128.select(f32x4.lt(a, m.f32x4(0.927734375)), small, large);
}
