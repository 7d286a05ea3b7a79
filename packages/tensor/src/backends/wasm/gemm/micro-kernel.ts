/**
 * The micro-kernel: a tile of C as a sum of outer products over packed panels of A and B; and the macro-kernel, which
 * takes it over a block of C. (The scheme of Goto and van de Geijn, doi 10.1145/1356052.1356053.)
 */
import {
  f32x4,
  f64x2,
  i32,
  perform,
  v128,
  type FunctionBuilder,
  type ModuleBuilder,
} from '../assembler/index.ts';
import type { TileShape } from './shape.ts';

/** tile(a, b, c, inner, row step of c in bytes, add to c): `rows` × shape.columns. inner ≥ 1. */
export function buildTile(module: ModuleBuilder, shape: TileShape, rows: number): FunctionBuilder {
  const fn = module.function(`tile${rows}`, new Array<'i32'>(6).fill('i32'));
  const [a, b, c, inner, step, add] = [0, 1, 2, 3, 4, 5].map((i) => fn.param(i, 'i32')) as Six;
  const sums = Array.from({ length: rows }, () => [fn.local('v128'), fn.local('v128')] as const);
  const lines = sums.map((_, i) => (i === 0 ? c : fn.local('i32')));
  lines.forEach((line, i) => i > 0 && fn.set(line, i32.add(lines[i - 1]!, step)));
  fn.if(add, () =>
    sums.forEach((row, i) => row.forEach((sum, j) => fn.set(sum, v128.load(lines[i]!, 16 * j)))),
  );
  const [b0, b1, x] = [fn.local('v128'), fn.local('v128'), fn.local('v128')];
  fn.block((out) =>
    fn.loop((again) => {
      fn.set(b0, v128.load(b));
      fn.set(b1, v128.load(b, 16));
      sums.forEach(([s0, s1], i) => {
        // A branch that is never taken ends the basic block. Engines that move all loads of a block to its start would
        // otherwise run out of registers.
        if (shape.fused && i > 0) fn.branchIf(out, i32.eqz(b));
        fn.set(x, shape.splat(a, i * shape.bytes));
        fn.set(s0, shape.accumulate(s0, x, b0));
        fn.set(s1, shape.accumulate(s1, x, b1));
      });
      fn.advance(a, rows * shape.bytes);
      fn.advance(b, 32);
      fn.advance(inner, -1);
      fn.branchIf(again, inner);
    }),
  );
  sums.forEach((row, i) => row.forEach((sum, j) => fn.do(v128.store(lines[i]!, sum, 16 * j))));
  return fn;
}

type Local = ReturnType<FunctionBuilder['param']> & { readonly type: 'i32' };
type Six = [Local, Local, Local, Local, Local, Local];

/**
 * block(a, b, c, rows, columns, inner, row step of c, add to c, scratch): packed panels to a block of C. Columns that do
 * not fill a tile go through the scratch memory.
 */
export function buildBlock(module: ModuleBuilder, shape: TileShape, tiles: readonly FunctionBuilder[]): void {
  const fn = module.function('block', new Array<'i32'>(9).fill('i32'));
  const [a, b, c, rows, columns, inner] = [0, 1, 2, 3, 4, 5].map((i) => fn.param(i, 'i32')) as Six;
  const [step, add, scratch] = [6, 7, 8].map((i) => fn.param(i, 'i32')) as [Local, Local, Local];
  const [left, pa, pc, panelA, panelB, wide] = Array.from({ length: 6 }, () => fn.local('i32')) as Six;
  const { bytes } = shape;
  fn.set(panelA, i32.mul(inner, i32.const(shape.rows * bytes)));
  fn.set(panelB, i32.mul(inner, i32.const(shape.columns * bytes)));
  const finishTile = (count: number): void => {
    const tile = tiles[count - 1]!;
    fn.if(
      wide,
      () => fn.do(perform(tile, pa, b, pc, inner, step, add)),
      () => {
        fn.do(perform(tile, pa, b, scratch, inner, i32.const(32), i32.const(0)));
        copyTile(fn, shape, count, { scratch, pc, columns, step, add });
      },
    );
  };
  fn.loop((again) => {
    fn.set(wide, i32.ge(columns, i32.const(shape.columns)));
    fn.set(left, rows);
    fn.set(pa, a);
    fn.set(pc, c);
    fn.steps(left, shape.rows, () => {
      finishTile(shape.rows);
      fn.advance(pa, panelA);
      fn.advance(pc, i32.mul(step, i32.const(shape.rows)));
    });
    for (let count = 1; count < shape.rows; count++)
      fn.if(i32.eq(left, i32.const(count)), () => finishTile(count));
    fn.advance(b, panelB);
    fn.advance(c, 32);
    fn.advance(columns, -shape.columns);
    fn.branchIf(again, i32.gt(columns, i32.const(0)));
  });
}

/** Adds or copies the first few columns of a tile in the scratch memory to C. */
function copyTile(
  fn: FunctionBuilder,
  shape: TileShape,
  rows: number,
  { scratch, pc, columns, step, add }: Readonly<Record<'scratch' | 'pc' | 'columns' | 'step' | 'add', Local>>,
): void {
  const [i, j, from, to, line] = Array.from({ length: 5 }, () => fn.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const vector = fn.local('v128');
  const load = shape.dtype === 'f32' ? v128.load32Zero : v128.load64Zero;
  const store = shape.dtype === 'f32' ? v128.store32Lane : v128.store64Lane;
  fn.set(line, pc);
  fn.set(i, i32.const(0));
  fn.loop((again) => {
    fn.set(from, i32.add(scratch, i32.mul(i, i32.const(32))));
    fn.set(to, line);
    fn.set(j, columns);
    fn.times(j, () => {
      fn.set(vector, load(from));
      fn.if(add, () =>
        fn.set(vector, shape.dtype === 'f32' ? f32x4.add(vector, load(to)) : f64x2.add(vector, load(to))),
      );
      fn.do(store(to, vector, 0));
      fn.advance(from, shape.bytes);
      fn.advance(to, shape.bytes);
    });
    fn.advance(line, step);
    fn.advance(i, 1);
    fn.branchIf(again, i32.lt(i, i32.const(rows)));
  });
}
