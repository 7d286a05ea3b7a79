/** The micro-kernel: a tile of C as a sum of outer products of columns of A and rows of B. */
import {
  allI32,
  i32,
  i32x4,
  parameters,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { TileShape } from './shape.ts';

/**
 * How the rows of A lie: each along memory, a step apart; or side by side, their elements a step apart (packed, or the
 * transpose of a row-major matrix).
 */
export type Left = 'along' | 'side';
/** How the rows of B lie: panel by panel without gaps, or a step apart. */
export type Right = 'packed' | 'direct';
/** How much of a tile of two vectors is there: all, more than one vector, or up to one. */
export type Edge = 'full' | 'wide' | 'half';

export const tileParameters = [
  'a',
  'b',
  'c',
  'tiles',
  'inner',
  'rowA',
  'stepA',
  'stepB',
  'stepC',
  'add',
  'columns',
] as const;

/**
 * tile(a, b, c, tiles, inner, row step of A, step of A, step of B, step of C, add to C, columns): so many tiles of `rows` rows,
 * one below the other. Steps in bytes: from row to row of C, or from one element of the inner axis to the next (B, and A
 * side by side). tiles and inner ≥ 1. Whole vectors are read, also where fewer columns are there.
 */
export function buildTile(
  module: ModuleBuilder,
  shape: TileShape,
  { rows, left, right, edge }: { rows: number; left: Left; right: Right; edge: Edge },
): FunctionBuilder {
  const fn = module.function(`tile ${edge} ${rows}`, allI32(tileParameters));
  const p = parameters(fn, tileParameters);
  const { bytes } = shape;
  // Tiles that are not full are few.
  const unroll = rows === shape.rows && edge === 'full' ? shape.unroll : Math.min(shape.unroll, 4);
  const vectors = edge === 'half' ? 1 : 2;
  const row = 16 * vectors;
  const sums = Array.from({ length: rows }, () => Array.from({ length: vectors }, () => fn.local('v128')));
  const linesC = sums.map((_, i) => (i === 0 ? p.c : fn.local('i32')));
  const linesA = Array.from({ length: left === 'along' ? rows : 1 }, () => fn.local('i32'));
  const [b, k] = [fn.local('i32'), fn.local('i32')];
  const inB = Array.from({ length: vectors }, () => fn.local('v128'));
  const x = fn.local('v128');
  const step = (at: number, pause: () => void): void => {
    inB.forEach((v, j) => fn.set(v, v128.load(b, (right === 'packed' ? at * row : 0) + 16 * j)));
    sums.forEach((line, i) => {
      if (i % 2 === 1) pause();
      fn.set(x, left === 'along' ? shape.splat(linesA[i]!, at * bytes) : shape.splat(linesA[0]!, i * bytes));
      line.forEach((sum, j) => fn.set(sum, shape.accumulate(sum, x, inB[j]!)));
    });
  };
  let asked = -1;
  /** As many steps as are left, `times` at a time. */
  const steps = (times: number): void =>
    fn.block((out) => {
      // Some engines move all loads of a basic block to its start, and run out of registers. A branch that is never taken
      // ends the block; that its target uses the sums keeps them from being computed later, and that each asks for
      // something else keeps it from being dropped. (No address of a number is odd.)
      const pause = (): void => {
        if (shape.breaks) fn.branchIf(out, i32.eq(b, i32.const((asked -= 2))));
      };
      // Where pointers advance makes a difference of a tenth.
      const advance = (): void => {
        if (right === 'direct') fn.advance(b, p.stepB);
        if (left === 'side') fn.advance(linesA[0]!, p.stepA);
      };
      fn.steps(k, times, () => {
        for (let at = 0; at < times; at++) {
          if (at > 0) {
            pause();
            advance();
          }
          step(at, pause);
        }
        advance();
        if (left === 'along') for (const line of linesA) fn.advance(line, times * bytes);
        if (right === 'packed') fn.advance(b, times * row);
      });
    });
  fn.loop((again) => {
    linesA.forEach((line, i) => fn.set(line, i === 0 ? p.a : i32.add(linesA[i - 1]!, p.rowA)));
    linesC.forEach((line, i) => i > 0 && fn.set(line, i32.add(linesC[i - 1]!, p.stepC)));
    fn.if(
      p.add,
      () => sums.forEach((line, i) => line.forEach((sum, j) => fn.set(sum, v128.load(linesC[i]!, 16 * j)))),
      () => sums.flat().forEach((sum) => fn.set(sum, i32x4.const(0))),
    );
    fn.set(k, p.inner);
    fn.set(b, p.b);
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
        edge === 'wide' ? i32.sub(p.columns, i32.const(shape.lanes)) : p.columns,
        16 * (vectors - 1),
      );
    fn.advance(p.a, i32.mul(p.rowA, i32.const(rows)));
    fn.set(p.c, i32.add(linesC.at(-1)!, p.stepC));
    fn.advance(p.tiles, -1);
    fn.branchIf(again, p.tiles);
  });
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
