/** What all objectives ask of their input. */
import { describeValue, ValueError } from '@infinigrad/tensor';

/** A row of tokens as it came from a tokenizer or a source. */
export type Tokens = ArrayLike<number>;

/** The targets that count for nothing, for `crossEntropy` too. */
export const ignored = -100;

const isToken = (x: unknown): boolean => Number.isInteger(x) && (x as number) >= 0 && (x as number) < 2 ** 31;

/** @throws ValueError for what is no list of ids, or is shorter than it must be */
export function checkTokens(op: string, tokens: Tokens, least = 1): void {
  const length: unknown = (tokens as Partial<Tokens> | null | undefined)?.length;
  if (typeof tokens === 'string' || typeof length !== 'number')
    throw new ValueError(op, `needs a list of token ids, got ${describeValue(tokens)}`);
  for (let i = 0; i < length; i++)
    if (!isToken(tokens[i]))
      throw new ValueError(op, `a token must be an integer from 0, got ${describeValue(tokens[i])} at ${i}`);
  if (length < least)
    throw new ValueError(op, `needs at least ${least} token${least === 1 ? '' : 's'}, got ${length}`);
}

/** @throws ValueError for what is no id */
export function checkId(op: string, name: string, id: number): void {
  if (!isToken(id))
    throw new ValueError(op, `${name} must be a token id, an integer from 0, got ${describeValue(id)}`);
}

/** @throws ValueError for what is no probability */
export function checkRate(op: string, name: string, rate: number): void {
  if (!(rate >= 0 && rate <= 1))
    throw new ValueError(op, `${name} must lie in [0, 1], got ${describeValue(rate)}`);
}

/** @throws ValueError for what is no integer from `least` on */
export function checkCount(op: string, name: string, count: number, least = 1): void {
  if (!Number.isSafeInteger(count) || count < least)
    throw new ValueError(op, `${name} must be an integer ≥ ${least}, got ${describeValue(count)}`);
}

/** To the nearest integer, halves to the even one: as NumPy and TensorFlow round. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
