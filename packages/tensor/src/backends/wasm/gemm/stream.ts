/** A few rows times a matrix whose rows lie along memory: C as a sum of the rows of B, which stream by. */
import {
  allI32,
  i32,
  parameters,
  v128,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { TileShape } from './shape.ts';
import { storeSome } from './tile.ts';

/** Rows of A that are multiplied at once. */
export const streamedRows = 3;
/** Rows of B that pass by at once: their factors stay in registers. */
const rowsAtOnce = [0, 4, 4, 2] as const;
/** Vectors between two turns of the loop. */
export const streamedVectors = 4;

const streamParameters = ['a', 'b', 'c', 'columns', 'inner', 'lineA', 'innerA', 'innerB', 'stepC'] as const;

/** stream<rows>(a, b, c, columns, inner, row and inner step of A, row step of B and C): steps in bytes. */
export function buildStreams(module: ModuleBuilder, shape: TileShape): void {
  for (let rows = 1; rows <= streamedRows; rows++) buildStream(module, shape, rows);
}

function buildStream(module: ModuleBuilder, shape: TileShape, rows: number): void {
  const fn = module.function(`stream${rows}`, allI32(streamParameters));
  const { a, b, c, columns, inner, lineA, innerA, innerB, stepC } = parameters(fn, streamParameters);
  const zero = fn.local('v128');
  eachVector(fn, shape, columns, rows, c, stepC, [], (lines, offset, store) => store(lines.map(() => zero)));
  const pass = (depth: number): void => {
    const factors = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: depth }, (_, k) =>
        fn.let(shape.splat(i32.add(a, i32.add(i32.mul(lineA, i32.const(i)), i32.mul(innerA, i32.const(k)))))),
      ),
    );
    const sources = Array.from({ length: depth }, (_, k) =>
      fn.let(i32.add(b, i32.mul(innerB, i32.const(k)))),
    );
    const sums = factors.map(() => fn.local('v128'));
    const x = fn.local('v128');
    eachVector(fn, shape, columns, rows, c, stepC, sources, (lines, offset, store, pause) => {
      sums.forEach((sum, i) => fn.set(sum, v128.load(lines[i]!, offset)));
      sources.forEach((source, k) => {
        if (k === 2) pause();
        fn.set(x, v128.load(source, offset));
        sums.forEach((sum, i) => fn.set(sum, shape.accumulate(sum, factors[i]![k]!, x)));
      });
      store(sums);
    });
    fn.advance(a, i32.mul(innerA, i32.const(depth)));
    fn.advance(b, i32.mul(innerB, i32.const(depth)));
  };
  const depth = rowsAtOnce[rows]!;
  fn.steps(inner, depth, () => pass(depth));
  fn.times(inner, () => pass(1));
}

type Body = (
  lines: readonly Local<'i32'>[],
  offset: number,
  store: (sums: readonly V128[]) => void,
  pause: () => void,
) => void;

/** Calls `body` for each vector of columns in the rows of C; `along` advances as well. */
function eachVector(
  fn: FunctionBuilder,
  shape: TileShape,
  columns: Local<'i32'>,
  rows: number,
  c: Local<'i32'>,
  stepC: Local<'i32'>,
  along: readonly Local<'i32'>[],
  body: Body,
): void {
  const left = fn.let(columns);
  const lines = Array.from({ length: rows }, (_, i) => fn.let(i32.add(c, i32.mul(stepC, i32.const(i)))));
  const storeAll = (offset: number) => (sums: readonly V128[]) =>
    sums.forEach((sum, i) => fn.do(v128.store(lines[i]!, sum, offset)));
  const steps = (vectors: number): void =>
    fn.block((out) => {
      let asked = -1;
      const pause = (): void => {
        if (shape.breaks) fn.branchIf(out, i32.eq(left, i32.const((asked -= 2))));
      };
      fn.steps(left, vectors * shape.lanes, () => {
        for (let i = 0; i < vectors; i++) {
          if (i > 0) pause();
          body(lines, 16 * i, storeAll(16 * i), pause);
        }
        for (const pointer of [...lines, ...along]) fn.advance(pointer, 16 * vectors);
      });
    });
  steps(streamedVectors);
  steps(1);
  fn.if(left, () =>
    body(
      lines,
      0,
      (sums) =>
        storeSome(
          fn,
          shape,
          sums.map((sum, i) => [lines[i]!, sum]),
          left,
        ),
      () => undefined,
    ),
  );
}
