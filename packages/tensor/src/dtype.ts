/** Element types, their storage, and the one promotion rule. */
import { DTypeError } from './errors.ts';

/** From lowest to highest in the promotion order. `bool` is stored as one byte, 0 or 1. */
export const dtypes = ['bool', 'u8', 'i32', 'f32', 'f64'] as const;
export type DType = (typeof dtypes)[number];
export type FloatDType = 'f32' | 'f64';

export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const storage = {
  bool: Uint8Array,
  u8: Uint8Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

const rank: Readonly<Record<DType, number>> = { bool: 0, u8: 1, i32: 2, f32: 3, f64: 4 };

export function bytesPerElement(dtype: DType): number {
  return storage[dtype].BYTES_PER_ELEMENT;
}

export function allocateArray(dtype: DType, length: number): TypedArray {
  return new storage[dtype](length);
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(storage, value);
}

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'f32' || dtype === 'f64';
}

/**
 * The dtype in which two operands meet: the higher of the two in the order bool < u8 < i32 < f32 < f64.
 * An i32 tensor and an f32 tensor meet in f32 (as in PyTorch; NumPy would go to f64).
 */
export function promote(a: DType, b: DType): DType {
  return rank[a] >= rank[b] ? a : b;
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
 * @throws DTypeError for arrays of other kinds
 */
export function dtypeOfArray(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Float64Array) return 'f64';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof Uint8Array) return 'u8';
  throw new DTypeError('fromData', `a ${(array as object).constructor.name} is no kind of tensor`, {
    hint: 'Float32Array, Float64Array, Int32Array or Uint8Array; from() of these converts',
  });
}
