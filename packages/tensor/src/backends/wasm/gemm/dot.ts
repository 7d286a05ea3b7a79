/** One or two rows times a matrix whose columns lie along memory: C as dot products. */
import {
  allI32,
  i32,
  parameters,
  shuffle32,
  shuffle64,
  v128,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { TileShape } from './shape.ts';

/** Rows of A that are multiplied at once. */
export const dottedRows = 2;
/** Columns of B that `dot1` takes at a time. */
export const dottedColumns = 2;
/** Sums of a dot product that are taken side by side: adding has a latency of several turns. */
const parts = 4;

const dotParameters = ['a', 'b', 'c', 'columns', 'inner', 'lineA', 'lineB', 'stepC'] as const;

/**
 * dot<rows>(a, b, c, columns, inner, row step of A, column step of B, row step of C): steps in bytes; rows of A and columns of
 * B lie along memory. Every dot product is summed in the same order, whatever lies beside it.
 */
export function buildDots(module: ModuleBuilder, shape: TileShape): void {
  for (let rows = 1; rows <= dottedRows; rows++) {
    const fn = module.function(`dot${rows}`, allI32(dotParameters));
    const p = parameters(fn, dotParameters);
    const some = (columns: number): void => {
      const linesA = Array.from({ length: rows }, (_, i) =>
        fn.let(i32.add(p.a, i32.mul(p.lineA, i32.const(i)))),
      );
      const linesB = Array.from({ length: columns }, (_, j) =>
        fn.let(i32.add(p.b, i32.mul(p.lineB, i32.const(j)))),
      );
      const sums = linesA.map(() => linesB.map(() => Array.from({ length: parts }, () => fn.local('v128'))));
      sums.flat(2).forEach((sum) => fn.set(sum, v128.xor(sum, sum)));
      multiply(fn, shape, linesA, linesB, sums, p.inner);
      sums.forEach((row, i) => storeTotals(fn, shape, row, i32.add(p.c, i32.mul(p.stepC, i32.const(i)))));
      fn.advance(p.b, i32.mul(p.lineB, i32.const(columns)));
      fn.advance(p.c, columns * shape.bytes);
    };
    if (rows === 1) fn.steps(p.columns, dottedColumns, () => some(dottedColumns));
    fn.times(p.columns, () => some(1));
  }
}

type Sums = readonly (readonly (readonly Local<'v128'>[])[])[];

/** Adds the products of all rows with all columns; the rows and columns advance. */
function multiply(
  fn: FunctionBuilder,
  shape: TileShape,
  linesA: readonly Local<'i32'>[],
  linesB: readonly Local<'i32'>[],
  sums: Sums,
  inner: Local<'i32'>,
): void {
  const left = fn.let(inner);
  const inA = linesA.map(() => fn.local('v128'));
  const x = fn.local('v128');
  const one = shape.dtype === 'f32' ? v128.load32Zero : v128.load64Zero;
  const steps = (elements: number, vectors: number, load: typeof v128.load): void =>
    fn.block((out) => {
      let asked = -1;
      fn.steps(left, elements, () => {
        for (let part = 0; part < vectors; part++) {
          if (part > 0 && shape.breaks) fn.branchIf(out, i32.eq(left, i32.const((asked -= 2))));
          inA.forEach((v, i) => fn.set(v, load(linesA[i]!, 16 * part)));
          linesB.forEach((line, j) => {
            fn.set(x, load(line, 16 * part));
            inA.forEach((v, i) => {
              const sum = sums[i]![j]![part]!;
              fn.set(sum, shape.accumulate(sum, v, x));
            });
          });
        }
        for (const line of [...linesA, ...linesB]) fn.advance(line, elements * shape.bytes);
      });
    });
  steps(parts * shape.lanes, parts, v128.load);
  steps(shape.lanes, 1, v128.load);
  steps(1, 1, one);
}

/** Stores the totals of one or two columns side by side. */
function storeTotals(
  fn: FunctionBuilder,
  { lanes, add }: TileShape,
  columns: readonly (readonly V128[])[],
  address: ReturnType<typeof i32.add>,
): void {
  const whole = columns.map(([a, b, c, d]) => fn.let(add(add(a!, b!), add(c!, d!))));
  const first = whole[0]!;
  const second = whole.at(-1)!;
  let totals: V128;
  if (lanes === 2) totals = add(shuffle64(first, second, [0, 2]), shuffle64(first, second, [1, 3]));
  else {
    // Lanes 0 and 2, 1 and 3 of the first; of the second.
    const pairs = fn.let(add(shuffle32(first, second, [0, 1, 4, 5]), shuffle32(first, second, [2, 3, 6, 7])));
    totals = add(shuffle32(pairs, pairs, [0, 2, 0, 2]), shuffle32(pairs, pairs, [1, 3, 1, 3]));
  }
  const kept = fn.let(totals);
  if (columns.length * (16 / lanes) === 16) fn.do(v128.store(address, kept));
  else if (columns.length * (16 / lanes) === 8) fn.do(v128.store64Lane(address, kept, 0));
  else fn.do(v128.store32Lane(address, kept, 0));
}
