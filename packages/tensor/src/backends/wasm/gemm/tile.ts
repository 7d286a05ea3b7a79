/** The micro-kernel: a tile of C as a sum of outer products of columns of A and rows of B. */
import {
  i32,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import { allI32, parameters, type TileShape } from './shape.ts';

/**
 * How the rows of A lie: each along memory, a step apart; or side by side, their elements a step apart (packed, or the
 * transpose of a row-major matrix).
 */
export type Left = 'along' | 'side';
/** How the rows of B lie: panel by panel without gaps, or a step apart. */
export type Right = 'packed' | 'direct';
/** How much of a tile of two vectors is there: all, more than one vector, or up to one. */
export type Edge = 'full' | 'wide' | 'half';

export const tileParameters = ['a', 'b', 'c', 'inner', 'stepA', 'stepB', 'stepC', 'add', 'columns'] as const;

/**
 * tile(a, b, c, inner, step of A, step of B, step of C, add to C, columns): `rows` rows of C. Steps in bytes: from row to
 * row (C, and A along), or from one element of the inner axis to the next (B, and A side by side). inner ≥ 1. Whole
 * vectors are read, also where fewer columns are there.
 */
export function buildTile(
  module: ModuleBuilder,
  shape: TileShape,
  { rows, left, right, edge }: { rows: number; left: Left; right: Right; edge: Edge },
): FunctionBuilder {
  const fn = module.function(`tile ${edge} ${rows}`, allI32(tileParameters.length));
  const { a, b, c, inner, stepA, stepB, stepC, add, columns } = parameters(fn, tileParameters);
  const { bytes, unroll } = shape;
  const vectors = edge === 'half' ? 1 : 2;
  const row = 16 * vectors;
  const sums = Array.from({ length: rows }, () => Array.from({ length: vectors }, () => fn.local('v128')));
  const linesC = sums.map((_, i) => (i === 0 ? c : fn.let(i32.add(c, i32.mul(stepC, i32.const(i))))));
  const linesA =
    left === 'along'
      ? sums.map((_, i) => (i === 0 ? a : fn.let(i32.add(a, i32.mul(stepA, i32.const(i))))))
      : [a];
  fn.if(add, () =>
    sums.forEach((line, i) => line.forEach((sum, j) => fn.set(sum, v128.load(linesC[i]!, 16 * j)))),
  );
  const inB = Array.from({ length: vectors }, () => fn.local('v128'));
  const x = fn.local('v128');
  const step = (k: number, pause: () => void): void => {
    inB.forEach((v, j) => fn.set(v, v128.load(b, (right === 'packed' ? k * row : 0) + 16 * j)));
    sums.forEach((line, i) => {
      if (i % 2 === 1) pause();
      fn.set(x, left === 'along' ? shape.splat(linesA[i]!, k * bytes) : shape.splat(a, i * bytes));
      line.forEach((sum, j) => fn.set(sum, shape.accumulate(sum, x, inB[j]!)));
    });
    if (left === 'side') fn.advance(a, stepA);
    if (right === 'direct') fn.advance(b, stepB);
  };
  /** As many steps as there are in `count`, `times` at a time. */
  const steps = (times: number): void =>
    fn.block((out) => {
      // Some engines move all loads of a basic block to its start, and run out of registers. A branch that is never taken
      // ends the block; that its target uses the sums keeps them from being computed later, and that each asks for
      // something else keeps it from being dropped. (No address of a
      // number is odd.)
      let asked = -1;
      const pause = (): void => {
        if (shape.breaks) fn.branchIf(out, i32.eq(b, i32.const((asked -= 2))));
      };
      fn.steps(inner, times, () => {
        for (let k = 0; k < times; k++) {
          if (k > 0) pause();
          step(k, pause);
        }
        if (left === 'along') for (const line of linesA) fn.advance(line, times * bytes);
        if (right === 'packed') fn.advance(b, times * row);
      });
    });
  if (unroll > 1) steps(unroll);
  steps(1);
  sums.forEach((line, i) => {
    if (edge !== 'half') fn.do(v128.store(linesC[i]!, line[0]!));
    if (edge === 'full') fn.do(v128.store(linesC[i]!, line[1]!, 16));
  });
  if (edge !== 'full')
    storeSome(
      fn,
      shape,
      sums.map((line, i) => [linesC[i]!, line.at(-1)!]),
      edge === 'wide' ? i32.sub(columns, i32.const(shape.lanes)) : columns,
      16 * (vectors - 1),
    );
  return fn;
}

/** Stores the first `count` (1 … lanes) lanes of each vector. */
export function storeSome(
  fn: FunctionBuilder,
  { lanes }: TileShape,
  places: readonly (readonly [address: I32, vector: V128])[],
  count: I32,
  offset = 0,
): void {
  const each = (store: (address: I32, vector: V128) => ReturnType<typeof v128.store>): void =>
    places.forEach(([address, vector]) => fn.do(store(address, vector)));
  const left: Local<'i32'> = fn.let(count);
  fn.if(
    i32.eq(left, i32.const(lanes)),
    () => each((address, vector) => v128.store(address, vector, offset)),
    () => {
      if (lanes === 2) return each((address, vector) => v128.store64Lane(address, vector, 0, offset));
      fn.if(
        i32.eq(left, i32.const(1)),
        () => each((address, vector) => v128.store32Lane(address, vector, 0, offset)),
        () => {
          each((address, vector) => v128.store64Lane(address, vector, 0, offset));
          fn.if(i32.eq(left, i32.const(3)), () =>
            each((address, vector) => v128.store32Lane(address, vector, 2, offset + 8)),
          );
        },
      );
    },
  );
}
