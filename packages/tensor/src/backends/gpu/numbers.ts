/** Elements as the GPU holds them: every dtype as f32, in which whole numbers are exact up to 2²⁴. */
import { allocateArray, isFloat, type DType, type TypedArray } from '../../dtype.ts';
import { BackendError } from '../../errors.ts';

const absent: Readonly<Partial<Record<DType, string>>> = {
  f64: 'GPUs of the web have no 64-bit floats',
  f16: 'gpu.js has no 16-bit floats',
  bf16: 'gpu.js has no 16-bit floats',
};

/** Why no tensor of a dtype can be here, or null. */
export function lackOfDType(dtype: DType): string | null {
  return absent[dtype] ?? null;
}

/** @throws BackendError where no tensor of the dtype can be here */
export function checkDType(op: string, dtype: DType): void {
  const lack = lackOfDType(dtype);
  if (lack)
    throw new BackendError(op, `the gpu backend has no ${dtype}: ${lack}`, {
      hint: 'cast to f32 first, or compute on another backend',
    });
}

const most = 2 ** 24;

function checkRange(op: string, data: ArrayLike<number>, dtype: DType): void {
  for (let i = 0; i < data.length; i++)
    if (Math.abs(data[i]!) > most)
      throw new BackendError(op, `${dtype} ${data[i]} is beyond ±2^24, which the gpu backend keeps exactly`, {
        hint: 'compute with larger integers on another backend',
      });
}

/** @throws BackendError for integers that f32 does not hold */
export function encode(data: TypedArray, dtype: DType): Float32Array {
  if (dtype === 'i32') checkRange('fromData', data, dtype);
  return data instanceof Float32Array ? data.slice() : Float32Array.from(data);
}

/** @throws BackendError for integers that have left what f32 holds */
export function decode(data: Float32Array, dtype: DType): TypedArray {
  if (isFloat(dtype)) return data;
  if (dtype === 'i32') checkRange('data', data, dtype);
  const out = allocateArray(dtype, data.length);
  out.set(data);
  return out;
}
