/** Squares of vectors, from rows to columns. */
import { shuffle32, shuffle64, type FunctionBuilder, type V128 } from './assembler/index.ts';

/** Turns a square of vectors: lane j of vector i becomes lane i of vector j. */
export function turn(fn: FunctionBuilder, v: readonly V128[]): V128[] {
  if (v.length === 2) return [shuffle64(v[0]!, v[1]!, [0, 2]), shuffle64(v[0]!, v[1]!, [1, 3])];
  const pair = (i: number, lanes: readonly [number, number, number, number]): V128 =>
    fn.let(shuffle32(v[i]!, v[i + 1]!, lanes));
  const [a, b] = [pair(0, [0, 4, 1, 5]), pair(2, [0, 4, 1, 5])];
  const [c, d] = [pair(0, [2, 6, 3, 7]), pair(2, [2, 6, 3, 7])];
  return [shuffle64(a, b, [0, 2]), shuffle64(a, b, [1, 3]), shuffle64(c, d, [0, 2]), shuffle64(c, d, [1, 3])];
}
