/** Comparing numbers: within tolerances, and in units in the last place. */
import type { Tensor } from '../tensor.ts';

export interface Tolerance {
  /** Relative to the expected value. Default 0. */
  readonly rtol?: number;
  /** Absolute. Default 0. */
  readonly atol?: number;
}

const bits = new DataView(new ArrayBuffer(4));

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

function agrees(actual: number, expected: number, rtol: number, atol: number): boolean {
  if (Object.is(actual, expected) || actual === expected) return true;
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return false;
  return Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
}

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
 * an infinity with itself), naming the worst element; null where they agree. With neither tolerance: equal.
 */
export function allClose(
  actual: Tensor,
  expected: Tensor | readonly number[],
  { rtol = 0, atol = 0 }: Tolerance = {},
): string | null {
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
    if (agrees(data[i]!, wanted[i]!, rtol, atol)) continue;
    wrong++;
    const apart = Math.abs(data[i]! - wanted[i]!);
    const size = Number.isNaN(apart) ? Infinity : apart;
    if (size > distance) [worst, distance] = [i, size];
  }
  if (wrong === 0) return null;
  const allowed = rtol === 0 && atol === 0 ? '' : ` (rtol ${rtol}, atol ${atol})`;
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
