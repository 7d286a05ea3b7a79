/** Checks that the options share. */
import { ValueError } from '@infinigrad/tensor';

const fail = (problem: string): never => {
  throw new ValueError('generate', problem);
};

/** @throws ValueError unless the value is an integer ≥ least */
export function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    fail(`${name} must be an integer ≥ ${least}, got ${value}`);
}

/** @throws ValueError unless the value is a number > 0 */
export function checkPositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) fail(`${name} must be a number > 0, got ${value}`);
}

/** @throws ValueError unless 0 < value ≤ 1 */
export function checkFraction(name: string, value: number): void {
  if (!(value > 0 && value <= 1)) fail(`${name} must lie in (0, 1], got ${value}`);
}

/** @throws ValueError for what are no tokens */
export function checkTokens(name: string, tokens: Iterable<number>): void {
  for (const token of tokens)
    if (!Number.isInteger(token) || token < 0 || token >= 2 ** 31)
      fail(`${name}: tokens are integers ≥ 0, got ${String(token)}`);
}
