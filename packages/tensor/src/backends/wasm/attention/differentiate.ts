/** What the backward pass does to single numbers: from scores to weights and the gradients of scores. */
import {
  f32x4,
  i32,
  shuffle32,
  v128,
  type FunctionBuilder,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
import { laneMask } from '../lanes/memory.ts';
import { MathContext } from '../math/context.ts';
import { weightOf } from './exponential.ts';
import { parameters, queriesAtOnce, type Accumulate } from './shape.ts';

/**
 * pulls(g, y, lines, dv, step of g, step of y, pulls, sums): of each line, Σ g∘y over the first dv columns less g at
 * column dv, and y at column dv. Reads up to 12 bytes beyond column dv.
 */
export function buildPulls(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('pulls', new Array<'i32'>(8).fill('i32'));
  const p = parameters(fn, ['g', 'y', 'lines', 'dv', 'stepG', 'stepY', 'pulls', 'sums']);
  const [pg, py, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const sum = fn.local('v128');
  const product = (): V128 => f32x4.mul(v128.load(pg), v128.load(py));
  fn.times(p.lines, () => {
    fn.set(sum, f32x4.const(0));
    fn.set(pg, p.g);
    fn.set(py, p.y);
    fn.set(left, p.dv);
    fn.steps(left, 4, () => {
      fn.set(sum, f32x4.add(sum, product()));
      fn.advance(pg, 16);
      fn.advance(py, 16);
    });
    fn.if(left, () => {
      fn.set(sum, f32x4.add(sum, v128.and(product(), laneMask(left))));
      fn.advance(pg, i32.shl(left, i32.const(2)));
      fn.advance(py, i32.shl(left, i32.const(2)));
    });
    fn.set(sum, f32x4.add(sum, shuffle32(sum, sum, [2, 3, 0, 1])));
    fn.set(sum, f32x4.add(sum, shuffle32(sum, sum, [1, 0, 3, 2])));
    fn.set(sum, f32x4.sub(sum, v128.load32Zero(pg)));
    fn.do(v128.store32Lane(p.pulls, sum, 0));
    fn.do(i32.store(p.sums, i32.load(py)));
    fn.advance(p.g, p.stepG);
    fn.advance(p.y, p.stepY);
    fn.advance(p.pulls, 4);
    fn.advance(p.sums, 4);
  });
  return fn;
}

/**
 * differentiate(weights, slopes, vectors, sums, pulls): of four lines, scores to weights e^(score - sum), and gradients of
 * the weights to weight · (gradient - pull), those of the scores; both in place.
 */
export function buildDifferentiate(
  module: ModuleBuilder,
  constants: ConstantPool,
  tileBytes: number,
  accumulate: Accumulate,
): FunctionBuilder {
  const fn = module.function('differentiate', new Array<'i32'>(5).fill('i32'));
  const p = parameters(fn, ['weights', 'slopes', 'vectors', 'sums', 'pulls']);
  const m = new MathContext(module, fn, constants);
  const lines = Array.from({ length: queriesAtOnce }, (_, i) => ({
    at: i * tileBytes,
    sum: fn.let(v128.load32Splat(p.sums, 4 * i)),
    pull: fn.let(v128.load32Splat(p.pulls, 4 * i)),
  }));
  fn.times(p.vectors, () => {
    for (const { at, sum, pull } of lines) {
      const x = m.let(f32x4.sub(v128.load(p.weights, at), sum));
      const weight = m.let(weightOf(m, x, false, accumulate));
      fn.do(v128.store(p.weights, weight, at));
      fn.do(v128.store(p.slopes, f32x4.mul(weight, f32x4.sub(v128.load(p.slopes, at), pull)), at));
    }
    fn.advance(p.weights, 16);
    fn.advance(p.slopes, 16);
  });
  return fn;
}
