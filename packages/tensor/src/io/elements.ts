/** Elements as files hold them, in either byte order, and how they become those of a tensor. */
import { allocateArray, bytesPerElement, isHalf, type DType, type TypedArray } from '../dtype.ts';
import { decodeHalves } from '../half.ts';
import type { Tensor } from '../tensor.ts';

/** What an element of a file can be: a dtype, or an integer that no tensor here holds. */
export type StoredKind = DType | 'i8' | 'i16' | 'u16' | 'u32' | 'i64' | 'u64';

const foreignWidths: Readonly<Record<Exclude<StoredKind, DType>, number>> = {
  i8: 1,
  i16: 2,
  u16: 2,
  u32: 4,
  i64: 8,
  u64: 8,
};

/** True for the integers that become i32 where they fit. */
export function isForeign(kind: StoredKind): kind is Exclude<StoredKind, DType> {
  return Object.hasOwn(foreignWidths, kind);
}

export function widthOf(kind: StoredKind): number {
  return isForeign(kind) ? foreignWidths[kind] : bytesPerElement(kind);
}

const hostIsLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export interface ConvertOptions {
  /** f16 and bf16 become f32. */
  readonly widen?: boolean;
  /** Byte order of the file. Default true. */
  readonly littleEndian?: boolean;
}

/** Puts the elements in `bytes` into `target`, from element `at` on; `bytes` end with an element. */
export type Convert = (target: TypedArray, at: number, bytes: Uint8Array) => void;

export interface Conversion {
  readonly dtype: DType;
  readonly convert: Convert;
}

/**
 * How elements of a kind are read. What is converted may come in pieces.
 * @param fail what to do with an element that has no place in the dtype
 */
export function conversionOf(
  kind: StoredKind,
  { widen = false, littleEndian = true }: ConvertOptions,
  fail: (problem: string, hint?: string) => never,
): Conversion {
  if (isForeign(kind)) return { dtype: 'i32', convert: narrowing(kind, littleEndian, fail) };
  const copy = copying(bytesPerElement(kind), littleEndian === hostIsLittle);
  if (kind === 'bool')
    return {
      dtype: kind,
      convert: (target, at, bytes) => {
        for (const byte of bytes) if (byte > 1) fail(`a bool is ${byte}, which is neither 0 nor 1`);
        copy(target, at, bytes);
      },
    };
  if (widen && isHalf(kind))
    return {
      dtype: 'f32',
      convert: (target, at, bytes) => {
        const words = new Uint16Array(bytes.length / 2);
        copy(words, 0, bytes);
        target.set(decodeHalves(kind, words), at);
      },
    };
  return { dtype: kind, convert: copy };
}

function copying(width: number, sameOrder: boolean): Convert {
  return (target, at, bytes) => {
    const out = new Uint8Array(target.buffer, target.byteOffset + at * width, bytes.length);
    out.set(bytes);
    if (!sameOrder) swapBytes(out, width);
  };
}

function swapBytes(bytes: Uint8Array, width: number): void {
  if (width > 1)
    for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
}

function narrowing(
  kind: Exclude<StoredKind, DType>,
  littleEndian: boolean,
  fail: (problem: string, hint?: string) => never,
): Convert {
  const width = foreignWidths[kind];
  const lowAt = littleEndian ? 0 : 4;
  return (target, at, bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const count = bytes.length / width;
    for (let i = 0; i < count; i++) {
      const p = i * width;
      let value: number;
      if (kind === 'i8') value = view.getInt8(p);
      else if (kind === 'i16') value = view.getInt16(p, littleEndian);
      else if (kind === 'u16') value = view.getUint16(p, littleEndian);
      else {
        const low = view.getInt32(p + (width === 8 ? lowAt : 0), littleEndian);
        const high = width === 8 ? view.getInt32(p + 4 - lowAt, littleEndian) : 0;
        // What fits is its lower half with the sign carried on; of the unsigned, what has no sign.
        if (high !== (kind === 'i64' && low < 0 ? -1 : 0) || (kind !== 'i64' && low < 0))
          fail(
            `${kind === 'u32' ? view.getUint32(p, littleEndian) : view[kind === 'i64' ? 'getBigInt64' : 'getBigUint64'](p, littleEndian)} does not fit into i32`,
            'convert the file to f64 or i32 where it was made',
          );
        value = low;
      }
      target[at + i] = value;
    }
  };
}

/** Elements that lie in memory as a typed array of their dtype. */
export function decodeStored(
  bytes: Uint8Array,
  count: number,
  { dtype, convert }: Conversion,
): { readonly dtype: DType; readonly data: TypedArray } {
  const data = allocateArray(dtype, count);
  convert(data, 0, bytes);
  return { dtype, data };
}

/** The elements of a tensor, row-major and little-endian. */
export function littleEndianBytesSync(x: Tensor): Uint8Array<ArrayBuffer> {
  return inLittleEndian(x.dtype, isHalf(x.dtype) ? x.wordsSync() : x.dataSync());
}

/** As `littleEndianBytesSync`, from wherever the tensor is. */
export async function littleEndianBytes(x: Tensor): Promise<Uint8Array<ArrayBuffer>> {
  return inLittleEndian(x.dtype, await (isHalf(x.dtype) ? x.words() : x.data()));
}

/** `data` is a copy that nobody else has. */
function inLittleEndian(dtype: DType, data: TypedArray): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  if (!hostIsLittle) swapBytes(bytes, bytesPerElement(dtype));
  return bytes;
}

/** The number of elements; null where the sizes are none, or their product (zeros left out) is no safe integer. */
export function checkedSize(sizes: unknown): number | null {
  if (!Array.isArray(sizes)) return null;
  let product = 1;
  let empty = false;
  for (const n of sizes as unknown[]) {
    if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < 0) return null;
    if (n === 0) empty = true;
    else product *= n;
    if (product > Number.MAX_SAFE_INTEGER) return null;
  }
  return empty ? 0 : product;
}
