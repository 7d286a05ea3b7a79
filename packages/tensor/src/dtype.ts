/** Element types, their storage, and the one promotion rule. */
import { DTypeError } from './errors.ts';
import { decodeHalves, encodeHalves, roundBF16, roundF16, type HalfDType } from './half.ts';

/**
 * From lowest to highest in the promotion order; f16 and bf16 stand side by side. `bool` is stored as one byte, 0 or 1,
 * f16 and bf16 as 16-bit words: they are storage, and computed with in f32.
 */
export const dtypes = ['bool', 'u8', 'i32', 'f16', 'bf16', 'f32', 'f64'] as const;
export type DType = (typeof dtypes)[number];
export type FloatDType = HalfDType | 'f32' | 'f64';
export type { HalfDType } from './half.ts';

/** Elements as they are stored; a Uint16Array holds the words of f16 or bf16. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array;

const storage = {
  bool: Uint8Array,
  u8: Uint8Array,
  i32: Int32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

const rank: Readonly<Record<DType, number>> = {
  bool: 0,
  u8: 1,
  i32: 2,
  f16: 3,
  bf16: 3,
  f32: 4,
  f64: 5,
};

// Asked for in every call: as numbers, for a constructor's property is slow to come by.
const widths: Readonly<Record<DType, number>> = { bool: 1, u8: 1, i32: 4, f16: 2, bf16: 2, f32: 4, f64: 8 };

export function bytesPerElement(dtype: DType): number {
  return widths[dtype];
}

/** Zeros, as a dtype is stored. To put numbers in, see `encodeElements`. */
export function allocateArray(dtype: DType, length: number): TypedArray {
  return new storage[dtype](length);
}

/** Memory from `byteOffset` on as elements of a dtype. */
export function arrayOn(
  dtype: DType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): TypedArray {
  return new storage[dtype](buffer as ArrayBuffer, byteOffset, length);
}

/** Numbers as a dtype stores them: floats rounded to nearest, integers wrapped, for bool 1 where not zero. */
export function encodeElements(dtype: DType, values: ArrayLike<number>): TypedArray {
  if (isHalf(dtype)) return encodeHalves(dtype, values);
  const out = allocateArray(dtype, values.length);
  if (dtype === 'bool') for (let i = 0; i < out.length; i++) out[i] = Number(values[i] !== 0);
  else out.set(values);
  return out;
}

/** Stored elements as numbers: those of f16 and bf16 as f32, all others as they are. */
export function decodeElements(dtype: DType, elements: TypedArray): TypedArray {
  return isHalf(dtype) ? decodeHalves(dtype, elements as Uint16Array) : elements;
}

/** A number as a dtype holds it. */
export function roundTo(dtype: DType, value: number): number {
  if (dtype === 'f64') return value;
  if (dtype === 'f32') return Math.fround(value);
  if (dtype === 'f16') return roundF16(value);
  if (dtype === 'bf16') return roundBF16(value);
  return encodeElements(dtype, [value])[0]!;
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(storage, value);
}

/** True for f16, bf16, f32 and f64. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return rank[dtype] > 2;
}

/** True for f16 and bf16. */
export function isHalf(dtype: DType): dtype is HalfDType {
  return dtype === 'bf16' || dtype === 'f16';
}

/** The dtype that a dtype is computed with in: f32 for f16 and bf16, itself for all others. */
export function computeDType(dtype: DType): Exclude<DType, HalfDType> {
  return isHalf(dtype) ? 'f32' : dtype;
}

/**
 * The dtype in which two operands meet: the higher of the two in the order bool < u8 < i32 < f16, bf16 < f32 < f64; f16
 * and bf16, neither of which holds the other, meet in f32.
 * An i32 tensor and an f32 tensor meet in f32 (as in PyTorch; NumPy would go to f64).
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  const [x, y] = [rank[a], rank[b]];
  return x === y ? 'f32' : x > y ? a : b;
}

/**
 * The dtype that a plain JavaScript scalar takes beside a tensor: the tensor's own where the value fits its
 * kind, otherwise the lowest dtype that holds it (a fraction beside integers: f32; an integer beside bool: i32).
 */
export function scalarDType(value: number | boolean, beside: DType): DType {
  if (typeof value === 'boolean' || isFloat(beside)) return beside;
  if (!Number.isInteger(value)) return 'f32';
  if (beside === 'bool') return 'i32';
  return beside === 'u8' && (value < 0 || value > 255) ? 'i32' : beside;
}

/**
 * The dtype of a typed array's elements; Uint8Array reads as u8.
 * @throws DTypeError for arrays of other kinds, and for a Uint16Array, which may hold words of f16 or bf16
 */
export function dtypeOfArray(array: TypedArray): Exclude<DType, HalfDType | 'bool'> {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Float64Array) return 'f64';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof Uint8Array) return 'u8';
  const words = (array as unknown) instanceof Uint16Array;
  throw new DTypeError(
    'fromData',
    words
      ? 'a Uint16Array holds words of f16 or of bf16'
      : `a ${(array as object).constructor.name} is no kind of tensor`,
    {
      hint: words
        ? "say which: { dtype: 'f16' } or { dtype: 'bf16' }; for integers Int32Array.from() converts"
        : 'Float32Array, Float64Array, Int32Array or Uint8Array; from() of these converts',
    },
  );
}
