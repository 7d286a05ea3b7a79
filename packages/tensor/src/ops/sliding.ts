/** What windows and convolutions have in common. */
import { ValueError } from '../errors.ts';

/** How many windows of `size` elements, `dilation` apart, lie on `length` elements, `step` apart; ≤ 0 where none does. */
export function windowCount(length: number, size: number, step: number, dilation: number): number {
  return Math.floor((length - dilation * (size - 1) - 1) / step) + 1;
}

/** Throws a ValueError unless all numbers are integers ≥ `least`. */
export function checkIntegers(op: string, what: string, numbers: readonly number[], least: number): void {
  for (const n of numbers)
    if (!Number.isInteger(n) || n < least)
      throw new ValueError(op, `${what} must be integers ≥ ${least}, got [${numbers.join(', ')}]`);
}
