/** Values for the inputs of a sample: inside their domain, as their dtype holds them. */
import fc from 'fast-check';
import { isFloat, isHalf, roundTo, type DType } from '../dtype.ts';
import type { Domain } from '../ops/record.ts';
import { arbitrariesOf, type Generator } from './draw.ts';

/** No value comes nearer than this to a point to avoid, or to another value where all must be distinct. */
export const clearance = 0.05;
const perUnit = 1000;

const indicesBelow = arbitrariesOf((count, length) =>
  fc.array(fc.nat({ max: count - 1 }), { minLength: length, maxLength: length }),
);
const distinctBelow = arbitrariesOf((count, length) =>
  fc.shuffledSubarray(
    Array.from({ length: count }, (_, i) => i),
    { minLength: length, maxLength: length },
  ),
);

/** The values that a domain offers in a dtype, those nearest zero first (so that failures shrink toward zero). */
const offers = new WeakMap<Domain, Map<DType, readonly number[]>>();

export function valuesIn(domain: Domain, dtype: DType): readonly number[] {
  let known = offers.get(domain);
  if (!known) offers.set(domain, (known = new Map()));
  let values = known.get(dtype);
  if (!values) known.set(dtype, (values = list(domain, dtype)));
  return values;
}

function list(domain: Domain, dtype: DType): readonly number[] {
  const { min, max, avoid = [], integer = false } = domain;
  const unit = integer || !isFloat(dtype) ? 1 : perUnit;
  const low = Math.ceil(min * unit - 1e-9);
  const high = Math.floor(max * unit + 1e-9);
  const numbers = Array.from({ length: Math.max(0, high - low + 1) }, (_, i) => (low + i) / unit);
  // 16 bits are so few that rounding may leave the domain.
  const all = isHalf(dtype)
    ? numbers.map((v) => roundTo(dtype, v)).filter((v) => v >= min && v <= max)
    : numbers;
  const fits = (v: number): boolean => (dtype !== 'u8' || v >= 0) && (dtype !== 'bool' || v === 0 || v === 1);
  const clear = all.filter((v) => fits(v) && avoid.every((point) => Math.abs(v - point) >= clearance));
  // Where a domain holds no whole number (clear of what it avoids), the nearest stand in.
  const fitting = clear.length > 0 ? clear : all.filter(fits);
  const offered = fitting.length > 0 ? fitting : [dtype === 'bool' ? 1 : Math.abs(Math.round(min))];
  return offered
    .toSorted((a, b) => Math.abs(a) - Math.abs(b))
    .map((v) => (isFloat(dtype) ? roundTo(dtype, v) : v));
}

/** `count` values of a domain. */
export function drawValues(g: Generator, domain: Domain, dtype: DType, count: number): number[] {
  const offered = valuesIn(domain, dtype);
  return g(indicesBelow(offered.length, count)).map((i) => offered[i]!);
}

/** `count` values of a domain of which no two lie nearer than `clearance`. Integer dtypes repeat where they must. */
export function drawDistinct(g: Generator, domain: Domain, dtype: DType, count: number): number[] {
  if (!isFloat(dtype)) return drawValues(g, domain, dtype, count);
  const step = domain.integer ? 1 : clearance;
  const slots = Math.floor((domain.max - domain.min) / step + 1e-9) + 1;
  if (count > slots)
    throw new RangeError(`no ${count} distinct values between ${domain.min} and ${domain.max}`);
  // Spread over the whole range, so that rounding to f32 does not bring two of them nearer than the clearance.
  const spacing = count < 2 ? 0 : (domain.max - domain.min) / (slots - 1);
  return g(distinctBelow(slots, count)).map((slot) => {
    const value = domain.min + slot * spacing;
    return roundTo(dtype, value);
  });
}
