/**
 * Sums over all lines, one for each column: of a block of lines in f32, of the blocks in f64. Pieces of work that may be
 * under way at once have sums of their own, which meet in the end.
 */
import type { BufferView } from '../../backend.ts';
import {
  f64x2,
  i32,
  perform,
  select,
  v128,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  type ValueType,
} from '../assembler/index.ts';
import type { Engine } from '../engine.ts';
import { upperHalf } from '../lanes/lanes.ts';
import { storeLanes } from '../lanes/memory.ts';

type Int = Local<'i32'>;

/** Lines of a block. */
const blockLines = 16;

/** Floats of a vector of n sums, so that four at a time never reach the next. */
const padded = (n: number): number => (n + 3) & ~3;

/**
 * Calls `body` with the addresses of zeros: vectors of sums in f32, one after the other, then as many in f64. Writes what
 * the latter come to.
 * @param out [vectors, n]
 */
export function withColumnSums(
  engine: Engine,
  out: BufferView,
  body: (sumsOf: (lane: number) => number) => void,
): void {
  const [vectors, n] = out.shape as [number, number];
  const count = vectors * padded(n);
  const bytes = count * (4 + 8);
  const finish = engine.kernels.get('column sums', buildFinish)['finish']!;
  const { heap, lanes } = engine;
  engine.borrow(bytes * lanes, (pointer) => {
    let used = 0;
    body((lane) => {
      for (; used <= lane; used++) heap.bytes.fill(0, pointer + used * bytes, pointer + (used + 1) * bytes);
      return pointer + lane * bytes;
    });
    const first = pointer + count * 4;
    for (let v = 0; v < vectors; v++)
      finish(n, used, first + v * padded(n) * 8, bytes, engine.address(out) + v * n * 4);
  });
}

/** finish(n, lanes, from, step, to): adds up the f64 sums of all lanes. */
function buildFinish(module: ModuleBuilder): void {
  const fn = module.function('finish', ['i32', 'i32', 'i32', 'i32', 'i32']);
  const [n, lanes, from, step, to] = [0, 1, 2, 3, 4].map((i) => fn.param(i, 'i32')) as [
    Int,
    Int,
    Int,
    Int,
    Int,
  ];
  const [left, at] = [fn.local('i32'), fn.local('i32')];
  const [low, high] = [fn.local('v128'), fn.local('v128')];
  const four = (some?: Int): void => {
    fn.set(low, f64x2.const(0));
    fn.set(high, f64x2.const(0));
    fn.set(left, lanes);
    fn.set(at, from);
    fn.times(left, () => {
      fn.set(low, f64x2.add(low, v128.load(at)));
      fn.set(high, f64x2.add(high, v128.load(at, 16)));
      fn.advance(at, step);
    });
    storeLanes(fn, 'f32', to, { kind: 'f64', low, high }, some);
  };
  fn.steps(n, 4, () => {
    four();
    fn.advance(from, 32);
    fn.advance(to, 16);
  });
  fn.if(n, () => four(n));
}

/**
 * run(n, lines, base and step of each operand, extras…, sums): `block`, a function of `LineCode` that has vectors of sums
 * for its last operands, over a few lines at a time.
 * @param own operands beside the sums
 */
export function buildBlocks(
  module: ModuleBuilder,
  block: FunctionBuilder,
  { own, vectors, extras }: { own: number; vectors: number; extras: readonly ValueType[] },
): void {
  const flush = buildFlush(module);
  const leading = 2 + 2 * own;
  const fn = module.function('run', [...new Array<'i32'>(leading).fill('i32'), ...extras, 'i32']);
  const at = (i: number): Int => fn.param(i, 'i32');
  const [n, lines, sums] = [at(0), at(1), at(leading + extras.length)];
  const width = fn.let(i32.and(i32.add(n, i32.const(3)), i32.const(-4)));
  const bytes = fn.let(i32.shl(width, i32.const(2)));
  const vector = (k: number) => i32.add(sums, i32.mul(bytes, i32.const(k)));
  const some = fn.local('i32');
  fn.loop((again) => {
    fn.set(some, select(i32.lt(lines, i32.const(blockLines)), lines, i32.const(blockLines)));
    const operands = Array.from({ length: 2 * own }, (_, i) => at(2 + i));
    const totals = Array.from({ length: vectors }, (_, k) => [vector(k), i32.const(0)]).flat();
    const rest = extras.map((type, i) => fn.param(leading + i, type));
    fn.do(perform(block, n, some, ...operands, ...totals, ...rest));
    fn.do(perform(flush, i32.mul(width, i32.const(vectors)), sums, vector(vectors)));
    for (let k = 0; k < own; k++) fn.advance(at(2 + 2 * k), i32.mul(at(3 + 2 * k), some));
    fn.advance(lines, i32.sub(i32.const(0), some));
    fn.branchIf(again, lines);
  });
}

/** flush(count, from, to): adds f32 to f64, four at a time, and leaves zeros. */
function buildFlush(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('flush', ['i32', 'i32', 'i32']);
  const [count, from, to] = [0, 1, 2].map((i) => fn.param(i, 'i32')) as [Int, Int, Int];
  fn.steps(count, 4, () => {
    const v = fn.let(v128.load(from));
    const add = (half: typeof v | ReturnType<typeof upperHalf>, offset: number): void =>
      fn.do(v128.store(to, f64x2.add(v128.load(to, offset), f64x2.promote(half)), offset));
    add(v, 0);
    add(upperHalf(v), 16);
    fn.do(v128.store(from, f64x2.const(0)));
    fn.advance(from, 16);
    fn.advance(to, 32);
  });
  return fn;
}
