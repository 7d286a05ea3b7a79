/** One or two rows times a matrix whose columns lie along memory: C as dot products. */
import {
  allI32,
  i32,
  i32x4,
  parameters,
  shuffle32,
  shuffle64,
  v128,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { HalfDType } from '../../../half.ts';
import { halfBits } from '../lanes/halves.ts';
import type { TileShape } from './shape.ts';

/** Rows of A that are multiplied at once. */
export const dottedRows = 2;
/** Columns of B that are taken at a time. */
export const dottedColumns = 8;
/**
 * The same by rows, most first. Many sums at once hide the latency of adding; and what memory far away can deliver, it delivers
 * to many streams: eight reach twice the rate of two.
 */
const columnsAtOnce = [[], [dottedColumns, 4, 1], [4, 1]] as const;
/** Vectors between two turns of the loop. */
const unrolled = 2;

const dotParameters = ['a', 'b', 'c', 'columns', 'inner', 'lineA', 'lineB', 'stepC'] as const;

/**
 * dot<rows>(a, b, c, columns, inner, row step of A, column step of B, row step of C): steps in bytes; rows of A and columns of
 * B lie along memory. Every dot product is summed in the same order, whatever lies beside it.
 * @param half of B, beside f32: its elements are widened as they are read
 */
export function buildDots(module: ModuleBuilder, shape: TileShape, half: HalfDType | null = null): void {
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
      const sums = linesA.map(() => linesB.map(() => fn.local('v128')));
      for (const sum of sums.flat()) fn.set(sum, v128.xor(sum, sum));
      multiply(fn, shape, half, linesA, linesB, sums, p.inner);
      sums.forEach((row, i) => storeTotals(fn, shape, row, i32.add(p.c, i32.mul(p.stepC, i32.const(i)))));
      fn.advance(p.b, i32.mul(p.lineB, i32.const(columns)));
      fn.advance(p.c, columns * shape.bytes);
    };
    for (const columns of columnsAtOnce[rows]!) fn.steps(p.columns, columns, () => some(columns));
  }
}

type Sums = readonly (readonly Local<'v128'>[])[];

/** Adds the products of all rows with all columns; the rows and columns advance. */
function multiply(
  fn: FunctionBuilder,
  shape: TileShape,
  half: HalfDType | null,
  linesA: readonly Local<'i32'>[],
  linesB: readonly Local<'i32'>[],
  sums: Sums,
  inner: Local<'i32'>,
): void {
  const left = fn.let(inner);
  const inA = linesA.map(() => fn.local('v128'));
  const x = fn.local('v128');
  const oneA = shape.dtype === 'f32' ? v128.load32Zero : v128.load64Zero;
  const bytesB = half ? 2 : shape.bytes;
  const widened = (words: V128): V128 => halfBits(fn, half!, words);
  const someB: typeof v128.load = half ? (line, offset) => widened(v128.load16x4(line, offset)) : v128.load;
  // The lanes beside it are of no weight in A, but an infinity times 0 is no 0.
  const oneB: typeof v128.load = half
    ? (line, offset) => widened(v128.and(i32x4.splat(i32.load16(line, offset)), i32x4.constants(-1, 0, 0, 0)))
    : oneA;
  const steps = (elements: number, vectors: number, loadA: typeof v128.load, loadB: typeof v128.load): void =>
    fn.block((out) => {
      let asked = -1;
      fn.steps(left, elements, () => {
        for (let k = 0; k < vectors; k++) {
          if (k > 0 && shape.breaks) fn.branchIf(out, i32.eq(left, i32.const((asked -= 2))));
          inA.forEach((v, i) => fn.set(v, loadA(linesA[i]!, 16 * k)));
          linesB.forEach((line, j) => {
            fn.set(x, loadB(line, k * shape.lanes * bytesB));
            inA.forEach((v, i) => {
              const sum = sums[i]![j]!;
              fn.set(sum, shape.accumulate(sum, v, x));
            });
          });
        }
        for (const line of linesA) fn.advance(line, elements * shape.bytes);
        for (const line of linesB) fn.advance(line, elements * bytesB);
      });
    });
  steps(unrolled * shape.lanes, unrolled, v128.load, someB);
  steps(shape.lanes, 1, v128.load, someB);
  steps(1, 1, oneA, oneB);
}

/** Stores the totals of one column, or of a multiple of four, side by side. */
function storeTotals(
  fn: FunctionBuilder,
  { lanes, bytes, add }: TileShape,
  sums: readonly V128[],
  address: ReturnType<typeof i32.add>,
): void {
  const place = fn.let(address);
  // Lanes 0 and 2, 1 and 3 of the first; of the second.
  const pairs = (first: V128, second: V128): V128 =>
    fn.let(add(shuffle32(first, second, [0, 1, 4, 5]), shuffle32(first, second, [2, 3, 6, 7])));
  const totals = (four: readonly V128[]): V128 => {
    const [a, b = a!, c = a!, d = b] = four;
    if (lanes === 2) return add(shuffle64(a!, b, [0, 2]), shuffle64(a!, b, [1, 3]));
    const left = pairs(a!, b);
    const right = c === a ? left : pairs(c, d);
    return add(shuffle32(left, right, [0, 2, 4, 6]), shuffle32(left, right, [1, 3, 5, 7]));
  };
  if (sums.length === 1) {
    const total = fn.let(totals(sums));
    fn.do(lanes === 2 ? v128.store64Lane(place, total, 0) : v128.store32Lane(place, total, 0));
  } else
    for (let j = 0; j < sums.length; j += lanes)
      fn.do(v128.store(place, totals(sums.slice(j, j + lanes)), j * bytes));
}
