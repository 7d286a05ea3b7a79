/** Named domains for the op records. */
import type { Domain } from './record.ts';

export const real: Domain = { min: -3, max: 3 };
/** Away from 0 by a quarter, so that finite differences of 1/x hold. */
export const nonzero: Domain = { min: -3, max: 3, avoid: [-0.2, -0.1, 0, 0.1, 0.2] };
export const positive: Domain = { min: 0.25, max: 3 };
export const unit: Domain = { min: -0.9, max: 0.9 };
/** Small, for results in which large terms cancel. */
export const small: Domain = { min: -0.5, max: 0.5 };
export const aboveOne: Domain = { min: 1.2, max: 4 };
/** Of a size that long products neither blow up nor drown finite differences in rounding. */
export const factors: Domain = { min: -1.5, max: 1.5 };
/** Away from the jumps of floor, ceil, trunc and round. */
export const betweenSteps: Domain = {
  min: -3,
  max: 3,
  avoid: [-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3],
};
export const distinct: Domain = { min: -3, max: 3, distinct: true };
export const truth: Domain = { min: 0, max: 1, integer: true };
export const indexBelow = (size: number): Domain => ({ min: 0, max: Math.max(0, size - 1), integer: true });
