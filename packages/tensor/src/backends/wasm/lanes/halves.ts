/** f16 and bf16 words in lanes of 32 bits, to f32 and back, as half.ts has it for one number. */
import type { HalfDType } from '../../../half.ts';
import { f32x4, f64x2, i32x4, v128, type FunctionBuilder, type V128 } from '../assembler/index.ts';
import { asF32, asF64, joinLow, narrowMask, type Lanes } from './lanes.ts';

const quietF32 = 0x400000;
const infinity = 0x7f800000;

/** Words (0 … 65535) as f32, a NaN as it comes. */
export const halfBits = (fn: FunctionBuilder, dtype: HalfDType, words: V128): V128 =>
  dtype === 'bf16' ? i32x4.shl(words, 16) : f16Bits(fn, words);

/** Words (0 … 65535) as f32. */
export function widenHalves(fn: FunctionBuilder, dtype: HalfDType, words: V128): V128 {
  const kept = fn.let(halfBits(fn, dtype, words));
  // A NaN becomes a quiet one.
  const isNaN = i32x4.gt(v128.and(kept, i32x4.const(0x7fffffff)), i32x4.const(infinity));
  return v128.or(kept, v128.and(isNaN, i32x4.const(quietF32)));
}

function f16Bits(fn: FunctionBuilder, words: V128): V128 {
  const w = fn.let(words);
  const size = fn.let(i32x4.shl(v128.and(w, i32x4.const(0x7fff)), 13));
  // The exponent counts from 15, not from 127: exact for subnormal numbers too.
  const finite = f32x4.mul(size, f32x4.const(2 ** 112));
  const special = v128.and(i32x4.ge(size, i32x4.const(0x7c00 << 13)), i32x4.const(infinity));
  return v128.or(v128.or(finite, special), i32x4.shl(v128.and(w, i32x4.const(0x8000)), 16));
}

/** Numbers as the words nearest to them, in one rounding. */
export function narrowHalves(fn: FunctionBuilder, dtype: HalfDType, x: Lanes): V128 {
  // An i32 is exact in f64, not in f32.
  const bits = fn.let(x.kind === 'f64' || x.kind === 'i32' ? oddBits(fn, asF64(fn, x)) : asF32(x));
  const size = fn.let(v128.and(bits, i32x4.const(0x7fffffff)));
  const isNaN = i32x4.gt(size, i32x4.const(infinity));
  const odd = (shift: number): V128 => v128.and(i32x4.shrUnsigned(bits, shift), i32x4.const(1));
  if (dtype === 'bf16') {
    const rounded = i32x4.add(i32x4.add(bits, i32x4.const(0x7fff)), odd(16));
    return i32x4.shrUnsigned(v128.select(isNaN, v128.or(bits, i32x4.const(quietF32)), rounded), 16);
  }
  const normal = i32x4.shrUnsigned(i32x4.add(i32x4.add(size, i32x4.const(0xfff - 0x38000000)), odd(13)), 13);
  // Beside 0.5 an f32 has steps of 2⁻²⁴, those of f16 below 2⁻¹⁴: the sum rounds, and its last bits are the word.
  const small = i32x4.sub(f32x4.add(size, f32x4.const(0.5)), i32x4.const(0x3f000000));
  const finite = v128.select(i32x4.lt(size, i32x4.const(0x38800000)), small, normal);
  const large = v128.select(
    isNaN,
    v128.or(i32x4.const(0x7e00), v128.and(i32x4.shrUnsigned(size, 13), i32x4.const(0x3ff))),
    i32x4.const(0x7c00),
  );
  const word = v128.select(i32x4.lt(size, i32x4.const(0x47800000)), finite, large);
  return v128.or(word, v128.and(i32x4.shrUnsigned(bits, 16), i32x4.const(0x8000)));
}

/** f64 as the bits of f32, cut off toward zero, the last bit set where anything was lost: further rounding is then right. */
function oddBits(fn: FunctionBuilder, { low, high }: { readonly low: V128; readonly high: V128 }): V128 {
  const x = [fn.let(low), fn.let(high)] as const;
  const nearest = fn.let(joinLow(f32x4.demote(x[0]), f32x4.demote(x[1])));
  const back = asF64(fn, { kind: 'f32', v: nearest });
  const parts = [back.low, back.high] as const;
  const both = (test: (back: V128, x: V128) => V128): V128 =>
    narrowMask(test(parts[0], x[0]), test(parts[1], x[1]));
  const beyond = both((b, v) => f64x2.gt(f64x2.abs(b), f64x2.abs(v)));
  // Neither less nor greater: equal, or NaN, which keeps its bits.
  const lost = both((b, v) => v128.or(f64x2.lt(b, v), f64x2.gt(b, v)));
  // A mask is -1.
  return v128.or(i32x4.add(nearest, beyond), v128.and(lost, i32x4.const(1)));
}

/** Numbers rounded to f16 or bf16, as f32. */
export function roundHalves(fn: FunctionBuilder, dtype: HalfDType, x: Lanes): V128 {
  return widenHalves(fn, dtype, narrowHalves(fn, dtype, x));
}
