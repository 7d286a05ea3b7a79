/** Comparing numbers: within tolerances, and in units in the last place. */
import { isHalf, type DType } from '../dtype.ts';
import { encodeHalves, type HalfDType } from '../half.ts';
import type { Tensor } from '../tensor.ts';

export interface Tolerance {
  /** Relative to the expected value. Default 0. */
  readonly rtol?: number;
  /** Absolute. Default 0. */
  readonly atol?: number;
  /** Units in the last place of the actual value's dtype, a floating-point one. Default 0. */
  readonly ulp?: number;
}

const bits = new DataView(new ArrayBuffer(8));

/** The place of a number in the order of all f32 numbers; -0 and 0 share one. */
function f32Rank(x: number): number {
  bits.setFloat32(0, x);
  const word = bits.getInt32(0);
  return word < 0 ? -(word & 0x7fffffff) : word;
}

/** How many f32 numbers apart two values are, once rounded to f32. Two NaNs are 0 apart; NaN and a number Infinity. */
export function ulpDistance(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  return Math.abs(f32Rank(a) - f32Rank(b));
}

/** The place of a number in the order of all f64 numbers; -0 and 0 share one. */
function f64Rank(x: number): bigint {
  bits.setFloat64(0, x);
  const word = bits.getBigInt64(0);
  return word < 0n ? -(word & 0x7fffffffffffffffn) : word;
}

/** How many f64 numbers apart two values are. Two NaNs are 0 apart; NaN and a number Infinity. */
export function ulpDistance64(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  const apart = f64Rank(a) - f64Rank(b);
  return Number(apart < 0n ? -apart : apart);
}

/** How many numbers of 16 bits apart two values are, once rounded to them. */
function ulpDistance16(dtype: HalfDType, a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  const [x, y] = Array.from(encodeHalves(dtype, [a, b]), (word) =>
    word & 0x8000 ? -(word & 0x7fff) : word,
  ) as [number, number];
  return Math.abs(x - y);
}

type Agreement = (actual: number, expected: number) => boolean;

function agreement(dtype: DType, { rtol = 0, atol = 0, ulp = 0 }: Tolerance): Agreement {
  const distance = isHalf(dtype)
    ? (a: number, b: number) => ulpDistance16(dtype, a, b)
    : dtype === 'f64'
      ? ulpDistance64
      : ulpDistance;
  return (actual, expected) => {
    if (Object.is(actual, expected) || actual === expected) return true;
    if (ulp > 0 && distance(actual, expected) <= ulp) return true;
    if (!Number.isFinite(actual) || !Number.isFinite(expected)) return false;
    return Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
  };
}

const tolerances = new Set<string>(['rtol', 'atol', 'ulp'] satisfies (keyof Tolerance)[]);

function indexOf(k: number, shape: readonly number[]): string {
  const index = shape.toReversed().map((size) => {
    const i = k % size;
    k = Math.floor(k / size);
    return i;
  });
  return `[${index.toReversed().join(', ')}]`;
}

/**
 * What keeps `actual` from agreeing with `expected` (|actual - expected| ≤ atol + rtol·|expected|; NaN agrees with NaN,
 * an infinity with itself) or lies within so many `ulp` of it, naming the worst element; null where they agree. With no tolerance: equal.
 */
export function allClose(
  actual: Tensor,
  expected: Tensor | readonly number[],
  tolerance: Tolerance = {},
): string | null {
  const agrees = agreement(actual.dtype, tolerance);
  const data = actual.dataSync();
  const wanted = Array.isArray(expected) ? (expected as readonly number[]) : (expected as Tensor).dataSync();
  if (!Array.isArray(expected)) {
    const { shape } = expected as Tensor;
    if (shape.length !== actual.rank || shape.some((size, axis) => size !== actual.shape[axis]))
      return `the shape is [${actual.shape.join(', ')}], not [${shape.join(', ')}]`;
  }
  if (data.length !== wanted.length) return `there are ${data.length} elements, not ${wanted.length}`;
  let wrong = 0;
  let worst = -1;
  let distance = -1;
  for (let i = 0; i < data.length; i++) {
    if (agrees(data[i]!, wanted[i]!)) continue;
    wrong++;
    const apart = Math.abs(data[i]! - wanted[i]!);
    const size = Number.isNaN(apart) ? Infinity : apart;
    if (size > distance) [worst, distance] = [i, size];
  }
  if (wrong === 0) return null;
  const given = Object.entries(tolerance).filter(([name, by]) => tolerances.has(name) && by);
  const allowed = given.length === 0 ? '' : ` (${given.map((entry) => entry.join(' ')).join(', ')})`;
  return `${wrong} of ${data.length} elements differ${allowed}; the worst at ${indexOf(worst, actual.shape)}: ${data[worst]} instead of ${wanted[worst]}`;
}

/** @throws Error with the message of `allClose` where the two do not agree */
export function expectAllClose(
  actual: Tensor,
  expected: Tensor | readonly number[],
  tolerance: Tolerance = {},
): void {
  const message = allClose(actual, expected, tolerance);
  if (message !== null) throw new Error(message);
}
