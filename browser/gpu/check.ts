/** Checks of the page, which has no test runner. Each throws. */
import type { Tensor } from '@infinigrad/tensor';

const agree = (a: number, b: number, tolerance: number): boolean =>
  Object.is(a, b) || (a === 0 && b === 0) || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

/** Numbers are those that are expected. */
export function same(actual: Iterable<number>, expected: readonly number[], tolerance = 0): void {
  const got = Array.from(actual);
  if (got.length === expected.length && got.every((x, i) => agree(x, expected[i]!, tolerance))) return;
  const at = got.findIndex((x, i) => !agree(x, expected[i] ?? NaN, tolerance));
  throw new Error(
    `[${at}] is ${got[at]} instead of ${expected[at]}, of ${got.length} and ${expected.length}`,
  );
}

/** The elements of a tensor are those that are expected. */
export async function reads(x: Tensor, expected: readonly number[], tolerance = 0): Promise<void> {
  same(await x.data(), expected, tolerance);
}

export function ok(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

type Kind = abstract new (...args: never[]) => Error;

/** `body` fails, with an error of a kind and a message. */
export async function fails(body: () => unknown, kind: Kind, message: RegExp): Promise<void> {
  let error: unknown = null;
  try {
    await body();
  } catch (thrown) {
    error = thrown;
  }
  if (error === null) throw new Error(`did not fail: ${body}`);
  if (!(error instanceof kind) || !message.test(error.message))
    throw new Error(`failed as ${error} instead of ${kind.name} ${message}`);
}
