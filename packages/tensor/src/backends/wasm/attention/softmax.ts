/** The softmax of scores that come a tile at a time (arXiv 1805.02867): a running maximum and sum for each query. */
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
import { MathContext } from '../math/context.ts';
import { logOfSum, weightOf } from './exponential.ts';
import { transposed } from './pack.ts';
import { parameters, type Accumulate } from './shape.ts';

/** The maximum before the first score: finite, so that -Infinity less it is -Infinity. */
export const lowest = -3.4028234663852886e38;

type Combine = (a: V128, b: V128) => V128;

/** One vector for each line to one number for each, in one vector; that of a single line in all four lanes. */
function across(fn: FunctionBuilder, lines: readonly V128[], combine: Combine): V128 {
  if (lines.length === 1) {
    const x = fn.let(combine(lines[0]!, shuffle32(lines[0]!, lines[0]!, [2, 3, 0, 1])));
    return combine(x, shuffle32(x, x, [1, 0, 3, 2]));
  }
  const [a, b, c, d] = transposed(fn, lines) as [V128, V128, V128, V128];
  return combine(combine(a, b), combine(c, d));
}

/**
 * softmax<lines>(scores, vectors, maxima, sums, factors): scores to weights relative to the new maximum, in place; the new
 * maxima and sums; the factors by which what was summed up under the old maximum is to be multiplied. vectors ≥ 1.
 */
export function buildSoftmax(
  module: ModuleBuilder,
  constants: ConstantPool,
  lines: 1 | 4,
  tileBytes: number,
  accumulate: Accumulate,
): FunctionBuilder {
  const fn = module.function(`softmax${lines}`, new Array<'i32'>(5).fill('i32'));
  const p = parameters(fn, ['scores', 'vectors', 'maxima', 'sums', 'factors']);
  const m = new MathContext(module, fn, constants);
  const [at, left] = [fn.local('i32'), fn.local('i32')];
  const each = Array.from({ length: lines }, (_, i) => i);
  const walk = (body: () => void): void => {
    fn.set(at, p.scores);
    fn.set(left, p.vectors);
    fn.times(left, () => {
      body();
      fn.advance(at, 16);
    });
  };

  const highest = each.map(() => fn.let(f32x4.const(lowest)));
  walk(() => highest.forEach((x, i) => fn.set(x, f32x4.pmax(x, v128.load(at, i * tileBytes)))));
  const old = fn.let(v128.load(p.maxima));
  const maxima = fn.let(f32x4.pmax(old, across(fn, highest, f32x4.pmax)));
  fn.do(v128.store(p.maxima, maxima));
  const factors = fn.let(weightOf(m, fn.let(f32x4.sub(old, maxima)), true, accumulate));
  fn.do(v128.store(p.factors, factors));

  each.forEach((i) => fn.set(highest[i]!, lines === 1 ? maxima : shuffle32(maxima, maxima, [i, i, i, i])));
  const sums = each.map(() => fn.let(f32x4.const(0)));
  walk(() =>
    each.forEach((i) => {
      const x = fn.let(f32x4.sub(v128.load(at, i * tileBytes), highest[i]!));
      const weight = fn.let(weightOf(m, x, true, accumulate));
      fn.do(v128.store(at, weight, i * tileBytes));
      fn.set(sums[i]!, f32x4.add(sums[i]!, weight));
    }),
  );
  const total = across(fn, sums, f32x4.add);
  fn.do(v128.store(p.sums, f32x4.add(f32x4.mul(v128.load(p.sums), factors), total)));
  return fn;
}

/**
 * finish(maxima, sums, factors, target, step, lines): the log-sum-exp of each line to `target` on, and to `factors` what
 * its weighted sum is to be multiplied by. Both are 0 for a line that sees nothing.
 */
export function buildFinish(module: ModuleBuilder, constants: ConstantPool): FunctionBuilder {
  const fn = module.function('finish', new Array<'i32'>(6).fill('i32'));
  const p = parameters(fn, ['maxima', 'sums', 'factors', 'target', 'step', 'lines']);
  const m = new MathContext(module, fn, constants);
  fn.loop((again) => {
    const sums = fn.let(v128.load(p.sums));
    const any = fn.let(f32x4.ne(sums, f32x4.const(0)));
    fn.do(v128.store(p.factors, v128.and(any, f32x4.div(m.f32x4(1), sums))));
    const result = fn.let(v128.and(any, f32x4.add(v128.load(p.maxima), logOfSum(m, sums))));
    for (let lane = 0; lane < 4; lane++)
      fn.if(i32.gt(p.lines, i32.const(lane)), () => {
        fn.do(v128.store32Lane(p.target, result, lane));
        fn.advance(p.target, p.step);
      });
    fn.advance(p.maxima, 16);
    fn.advance(p.sums, 16);
    fn.advance(p.factors, 16);
    fn.advance(p.lines, -4);
    fn.branchIf(again, i32.gt(p.lines, i32.const(0)));
  });
  return fn;
}
