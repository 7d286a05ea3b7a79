/** eˣ for weights, where what falls below the normal range is 0, and log x for sums of them. `x` must be a local. */
import { f32x4, i32x4, v128, type V128 } from '../assembler/index.ts';
import type { MathContext } from '../math/context.ts';
import type { Accumulate } from './shape.ts';

/** Adding it to a small whole number n leaves n + 127, the exponent of 2ⁿ, in the low bits. */
const biased = 12582912 + 127;
/** (2ʳ - 1) / r for |r| ≤ ½, to 2.6e-9 relative to 2ʳ. */
const [c1, c2, c3, c4, c5, c6] = [
  0.693147242, 0.240226522, 0.0555031039, 0.00961769279, 0.00134066434, 0.000155946778,
] as const;

/**
 * 2ⁿ·2ʳ with n + r = x·log₂ e. The bits of 2ⁿ are 0 for n = -127 and those of Infinity for n = 128, so that results end in
 * these two. NaN stays NaN.
 * @param bounded true where x is known to be at most 88
 */
export function weightOf(m: MathContext, x: V128, bounded: boolean, accumulate: Accumulate): V128 {
  const above = f32x4.pmax(f32x4.mul(x, m.f32x4(Math.LOG2E)), m.f32x4(-127));
  const t = m.let(bounded ? above : f32x4.pmin(above, m.f32x4(128)));
  const n = m.let(f32x4.nearest(t));
  const r = m.let(f32x4.sub(t, n));
  const power = m.let(i32x4.shl(f32x4.add(n, m.f32x4(biased)), 23));
  // In pairs, as a chain of twelve would leave the machine waiting.
  const square = m.let(f32x4.mul(r, r));
  const pair = (a: number, b: number): V128 => accumulate(m.f32x4(a), m.f32x4(b), r);
  const high = m.let(accumulate(pair(c3, c4), pair(c5, c6), square));
  const all = m.let(accumulate(pair(c1, c2), high, square));
  return f32x4.mul(accumulate(m.f32x4(1), all, r), power);
}

const rootHalf = 0x3f3504f3;

/** log x for a normal x > 0; NaN for NaN. x = 2ᵉ·(1 + f) with √½ ≤ 1 + f < √2, and the polynomial of Cephes logf. */
export function logOfSum(m: MathContext, x: V128): V128 {
  const shifted = m.let(i32x4.sub(x, i32x4.const(rootHalf)));
  const e = m.let(f32x4.fromI32(i32x4.shr(shifted, 23)));
  const rest = i32x4.add(v128.and(shifted, i32x4.const(0x7fffff)), i32x4.const(rootHalf));
  const f = m.let(f32x4.sub(rest, m.f32x4(1)));
  const square = m.let(f32x4.mul(f, f));
  const p = m.polynomial32(
    f,
    [
      3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1,
      1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
    ],
  );
  const tail = f32x4.add(f32x4.mul(f32x4.mul(f, square), p), f32x4.mul(e, m.f32x4(-2.1219444e-4)));
  const fraction = f32x4.add(f, f32x4.sub(tail, f32x4.mul(square, m.f32x4(0.5))));
  // x - x: 0, but NaN for NaN.
  return f32x4.add(f32x4.add(fraction, f32x4.mul(e, m.f32x4(0.693359375))), f32x4.sub(x, x));
}
