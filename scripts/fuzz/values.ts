/** Elements read naively, one at a time, for the validators. */
import { wrong } from './json.ts';

/** What a file holds: what a reader must give. */
export interface Array_ {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: readonly number[];
}

export type Kind =
  | 'bool'
  | 'u8'
  | 'i8'
  | 'u16'
  | 'i16'
  | 'u32'
  | 'i32'
  | 'u64'
  | 'i64'
  | 'f16'
  | 'bf16'
  | 'f32'
  | 'f64';

export const widths: Readonly<Record<Kind, number>> = {
  bool: 1,
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  f16: 2,
  bf16: 2,
  f32: 4,
  f64: 8,
};

export const nativeKinds = new Set<Kind>(['bool', 'u8', 'i32', 'f16', 'bf16', 'f32', 'f64']);
const largest = 2n ** 53n - 1n;

/** The product, where it and every size are exact in a double; zeros do not hide the others. */
export function product(sizes: readonly bigint[]): bigint {
  let out = 1n;
  for (const n of sizes) {
    if (n < 0n || n > largest) wrong('a size out of range');
    if (n > 0n) out *= n;
    if (out > largest) wrong('a product out of range');
  }
  return sizes.includes(0n) ? 0n : out;
}

/** The unsigned integer in some bytes. */
function unsigned(bytes: Uint8Array, little: boolean): bigint {
  let out = 0n;
  for (const byte of little ? [...bytes].reverse() : bytes) out = out * 256n + BigInt(byte);
  return out;
}

/** IEEE 754, by its definition. */
function float(word: bigint, exponentBits: number, fractionBits: number): number {
  const sign = word >> BigInt(exponentBits + fractionBits) ? -1 : 1;
  const exponent = Number((word >> BigInt(fractionBits)) & ((1n << BigInt(exponentBits)) - 1n));
  const fraction = Number(word & ((1n << BigInt(fractionBits)) - 1n)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  // In two steps: the lowest powers of two of f64 are beyond 2 ** n
  return (
    sign *
    (1 + fraction) *
    2 ** Math.trunc((exponent - bias) / 2) *
    2 ** (exponent - bias - Math.trunc((exponent - bias) / 2))
  );
}

/** One element; wrong where no tensor can hold it. */
export function element(kind: Kind, bytes: Uint8Array, little: boolean): number {
  const word = unsigned(bytes, little);
  if (kind === 'f16') return float(word, 5, 10);
  if (kind === 'bf16') return float(word, 8, 7);
  if (kind === 'f32') return float(word, 8, 23);
  if (kind === 'f64') return float(word, 11, 52);
  if (kind === 'bool' && word > 1n) wrong('a bool of other than 0 and 1');
  const value = kind[0] === 'i' ? BigInt.asIntN(8 * bytes.length, word) : word;
  if (value < -(2n ** 31n) || value >= 2n ** 31n) wrong('an integer beyond i32');
  return Number(value);
}

export function elements(kind: Kind, bytes: Uint8Array, little = true): number[] {
  const width = widths[kind];
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at += width)
    out.push(element(kind, bytes.subarray(at, at + width), little));
  return out;
}

/** The dtype of a tensor that holds such elements. */
export function dtypeOf(kind: Kind, widen: boolean): string {
  if (!nativeKinds.has(kind)) return 'i32';
  return widen && (kind === 'f16' || kind === 'bf16') ? 'f32' : kind;
}
