/**
 * The two 16-bit floats as words. f16 is IEEE 754's binary16 (5 bits of exponent, 10 of fraction), bf16 the upper half of
 * an f32 (8 and 7). Numbers become words by one rounding, to nearest, ties to even, whatever their size: directly from f64.
 */

/** f16 or bf16. */
export type HalfDType = 'f16' | 'bf16';

const single = new Float32Array(1);
const word = new Uint32Array(single.buffer);

const quietF32 = 0x400000;
const isNaNWord = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;

/**
 * The bits of x as an f32 rounded to odd: cut off toward zero, and the last bit set where anything was lost. With two
 * bits or more to spare this rounds further to what x itself would round to.
 */
function oddBits(x: number): number {
  single[0] = x;
  const bits = word[0]!;
  const back = single[0];
  if (back === x || x !== x) return bits;
  return (Math.abs(back) > Math.abs(x) ? bits - 1 : bits) | 1;
}

function bf16OfBits(bits: number): number {
  if (isNaNWord(bits)) return ((bits | quietF32) >>> 16) & 0xffff;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function f16OfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00 | ((size >>> 13) & 0x3ff);
  // 2^16
  if (size >= 0x47800000) return sign | 0x7c00;
  // 2^-14, the smallest normal number: its exponent counts from 127 in f32, from 15 in f16
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  // A multiple of 2^-24: the fraction is that of f32 shifted by so many bits
  const shift = 126 - (size >>> 23);
  if (shift > 24) return sign;
  const fraction = (size & 0x7fffff) | 0x800000;
  const whole = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (whole + Number(rest > middle || (rest === middle && (whole & 1) === 1)));
}

function bitsOfBf16(half: number): number {
  const bits = half << 16;
  return isNaNWord(bits) ? bits | quietF32 : bits;
}

function bitsOfF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = half & 0x7c00;
  const fraction = half & 0x3ff;
  if (exponent === 0x7c00) return sign | 0x7f800000 | (fraction << 13) | (fraction === 0 ? 0 : quietF32);
  if (exponent !== 0) return sign | (((half & 0x7fff) << 13) + 0x38000000);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | ((fraction << (shift + 13)) & 0x7fffff);
}

/** The word of the bf16 nearest to a number. A NaN keeps the upper bits of its payload, as a quiet one. */
export const toBF16 = (x: number): number => bf16OfBits(oddBits(x));
/** The word of the f16 nearest to a number. A NaN keeps the upper bits of its payload, as a quiet one. */
export const toF16 = (x: number): number => f16OfBits(oddBits(x));

/** The number that a bf16 word stands for. */
export function fromBF16(half: number): number {
  word[0] = bitsOfBf16(half);
  return single[0]!;
}

/** The number that an f16 word stands for. */
export function fromF16(half: number): number {
  word[0] = bitsOfF16(half);
  return single[0]!;
}

/** A number rounded to bf16. */
export const roundBF16 = (x: number): number => fromBF16(toBF16(x));
/** A number rounded to f16. */
export const roundF16 = (x: number): number => fromF16(toF16(x));

/** Numbers as words. */
export function encodeHalves(dtype: HalfDType, values: ArrayLike<number>): Uint16Array {
  const out = new Uint16Array(values.length);
  if (values instanceof Float32Array) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const of = dtype === 'f16' ? f16OfBits : bf16OfBits;
    for (let i = 0; i < out.length; i++) out[i] = of(bits[i]!);
  } else {
    const of = dtype === 'f16' ? toF16 : toBF16;
    for (let i = 0; i < out.length; i++) out[i] = of(values[i]!);
  }
  return out;
}

/** Words as numbers. */
export function decodeHalves(dtype: HalfDType, words: Uint16Array): Float32Array {
  const bits = new Uint32Array(words.length);
  const of = dtype === 'f16' ? bitsOfF16 : bitsOfBf16;
  for (let i = 0; i < bits.length; i++) bits[i] = of(words[i]!);
  return new Float32Array(bits.buffer);
}
