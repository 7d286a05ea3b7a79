/** Cursors as they are read back, from files too. */
import { describeValue, ValueError, type Key } from '@infinigrad/tensor';
import type { Json } from './source.ts';

/** The fields of a cursor. @throws ValueError where it is none */
export function fieldsOf(op: string, state: Json): Readonly<Record<string, Json>> {
  if (typeof state !== 'object' || state === null || Array.isArray(state))
    throw new ValueError(op, `a cursor must be an object, got ${describeValue(state)}`);
  return state as Readonly<Record<string, Json>>;
}

/** An integer from 0 to `most`. @throws ValueError where it is none */
export function countOf(op: string, name: string, value: Json | undefined, most = Infinity): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > most)
    throw new ValueError(
      op,
      `the cursor's ${name} must be an integer from 0${most === Infinity ? '' : ` to ${most}`}, got ${JSON.stringify(value)}`,
    );
  return value as number;
}

/** @throws ValueError where the cursor is that of something else */
export function checkSame(op: string, name: string, given: Json | undefined, own: Json): void {
  if (JSON.stringify(given) !== JSON.stringify(own))
    throw new ValueError(
      op,
      `the cursor belongs to other data: its ${name} is ${JSON.stringify(given)}, here it is ${JSON.stringify(own)}`,
    );
}

export function checkCount(op: string, name: string, value: number, low = 1): void {
  if (!Number.isInteger(value) || value < low)
    throw new ValueError(op, `${name} must be an integer ≥ ${low}, got ${value}`);
}

/** 0 … n - 1 in random order (Fisher and Yates). */
export function permutation(key: Key, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const words = key.bits(n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((words[i]! / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
