/** Attention of one to three queries, line by line of keys and values as they lie: packing would cost more than it gains. */
import {
  f32,
  f32x4,
  i32,
  perform,
  select,
  v128,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
import { laneMask } from '../lanes/memory.ts';
import { forwardAreas, forwardCall, forwardItem, type ForwardParts } from './forward.ts';
import { transposed } from './pack.ts';
import { buildHide, buildMask } from './scores.ts';
import { least, panelBytes, parameters, plus, roundedUp, times, type Accumulate } from './shape.ts';
import { buildSoftmax, lowest } from './softmax.ts';

/** The most queries that are worked on in this way. */
export const fewQueries = 3;
/** Keys of a tile at most. */
export const fewTileKeys = 256;

/** few(items, count, call, scratch) */
export function buildFew(
  module: ModuleBuilder,
  constants: ConstantPool,
  accumulate: Accumulate,
  { fill, packLines, unpackLines, finish }: ForwardParts,
): void {
  const dots = buildDots(module, accumulate);
  const blend = buildBlend(module, accumulate);
  const hide = buildHide(module, 1, 0);
  const mask = buildMask(module, 1, 0);
  const softmax = buildSoftmax(module, constants, 1, 0, accumulate);

  const fn = module.function('few', ['i32', 'i32', 'i32', 'i32']);
  const p = parameters(fn, ['items', 'count', 'call', 'scratch']);
  const call = forwardCall.at(p.call);
  const item = forwardItem.at(p.items);
  const { maxima, sums, factors, queries, outputs, scores } = forwardAreas.placesAt(
    fn,
    p.call,
    forwardCall.bytes,
    p.scratch,
  );
  const local = () => fn.local('i32');
  const [row, seen, first, n, k, v, y, width] = [
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
  ];
  const one = i32.const(1);
  const panel = i32.const(panelBytes);
  fn.times(p.count, () => {
    fn.set(row, i32.const(0));
    fn.loop((again) => {
      const q = plus(item.q, times(row, call.stepQ));
      const factor = plus(p.call, forwardCall.place('scale'));
      fn.do(perform(packLines, q, queries, one, one, call.d, call.stepQ, panel, factor));
      fn.do(perform(fill, maxima, one, f32.const(lowest)));
      fn.do(perform(fill, sums, one, f32.const(0)));
      fn.set(seen, least(call.keys, plus(item.seen, times(call.causal, row))));
      fn.set(first, i32.const(0));
      fn.set(k, item.k);
      fn.set(v, item.v);
      fn.loop((next) => {
        fn.set(n, least(call.tileKeys, i32.sub(seen, first)));
        fn.set(width, roundedUp(n, 4));
        fn.do(perform(dots, queries, k, scores, n, call.d, call.stepK));
        fn.if(item.mask, () => {
          const place = plus(plus(item.mask, times(row, call.stepMask)), times(first, call.maskKeys));
          fn.do(perform(mask, scores, place, i32.const(0), call.maskKeys, width, i32.const(0)));
        });
        fn.if(i32.lt(n, width), () => fn.do(perform(hide, scores, n, i32.const(0), width)));
        const vectors = i32.shrUnsigned(width, i32.const(2));
        fn.do(perform(softmax, scores, vectors, maxima, sums, factors));
        const start = select(first, factors, i32.const(0));
        fn.do(perform(blend, scores, v, outputs, n, call.dv, call.stepV, start));
        fn.advance(k, times(n, call.stepK));
        fn.advance(v, times(n, call.stepV));
        fn.advance(first, n);
        fn.branchIf(next, i32.lt(first, seen));
      });
      fn.set(y, plus(item.y, times(row, call.stepY)));
      const last = plus(y, times(call.dv, 4));
      fn.do(perform(finish, maxima, sums, factors, last, call.stepY, one));
      fn.do(
        perform(
          unpackLines,
          outputs,
          y,
          one,
          call.dv,
          panel,
          call.stepY,
          factors,
          i32.const(0),
          i32.const(0),
        ),
      );
      fn.advance(row, 1);
      fn.branchIf(again, i32.lt(row, item.queries));
    });
    fn.advance(p.items, forwardItem.bytes);
  });
}

/** dots(query, keys, scores, count, d, key step): the query, zero up to a multiple of 4, times each key. */
function buildDots(module: ModuleBuilder, accumulate: Accumulate): FunctionBuilder {
  const fn = module.function('dots', new Array<'i32'>(6).fill('i32'));
  const p = parameters(fn, ['query', 'keys', 'scores', 'count', 'd', 'step']);
  const [at, left] = [fn.local('i32'), fn.local('i32')];
  const lines = [0, 1, 2, 3].map(() => fn.local('i32'));
  const sums = lines.map(() => fn.local('v128'));
  const x = fn.local('v128');
  const add = (offset: number, load: (line: I32, offset: number) => V128): void => {
    fn.set(x, v128.load(at, offset));
    sums.forEach((sum, j) => fn.set(sum, accumulate(sum, x, load(lines[j]!, offset))));
  };
  const advance = (bytes: number): void => {
    fn.advance(at, bytes);
    for (const line of lines) fn.advance(line, bytes);
  };
  fn.loop((again) => {
    // Beyond the last key the first one stands in; its scores are hidden later.
    lines.forEach((line, j) =>
      fn.set(line, plus(p.keys, select(i32.gt(p.count, i32.const(j)), times(p.step, j), i32.const(0)))),
    );
    for (const sum of sums) fn.set(sum, f32x4.const(0));
    fn.set(at, p.query);
    fn.set(left, p.d);
    fn.steps(left, 8, () => {
      add(0, (line, offset) => v128.load(line, offset));
      add(16, (line, offset) => v128.load(line, offset));
      advance(32);
    });
    fn.steps(left, 4, () => {
      add(0, (line) => v128.load(line));
      advance(16);
    });
    fn.if(left, () => {
      const mask = fn.let(laneMask(left));
      add(0, (line) => v128.and(v128.load(line), mask));
    });
    const [a, b, c, d] = transposed(fn, sums) as [V128, V128, V128, V128];
    fn.do(v128.store(p.scores, f32x4.add(f32x4.add(a, b), f32x4.add(c, d))));
    fn.advance(p.scores, 16);
    fn.advance(p.keys, times(p.step, 4));
    fn.advance(p.count, -4);
    fn.branchIf(again, i32.gt(p.count, i32.const(0)));
  });
  return fn;
}

/**
 * blend(weights, values, output, count, dv, value step, start): the weighted sum of the values, to which the output times
 * the factor at `start` is added where `start` is not 0. Works on up to 3 columns too many.
 */
function buildBlend(module: ModuleBuilder, accumulate: Accumulate): FunctionBuilder {
  const fn = module.function('blend', new Array<'i32'>(7).fill('i32'));
  const p = parameters(fn, ['weights', 'values', 'output', 'count', 'dv', 'step', 'start']);
  const [weight, value, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const x = fn.local('v128');
  const chunk = (vectors: number): void => {
    const sums = Array.from({ length: vectors }, () => fn.local('v128'));
    fn.if(
      p.start,
      () => {
        fn.set(x, v128.load32Splat(p.start));
        sums.forEach((sum, c) => fn.set(sum, f32x4.mul(v128.load(p.output, 16 * c), x)));
      },
      () => sums.forEach((sum) => fn.set(sum, f32x4.const(0))),
    );
    fn.set(weight, p.weights);
    fn.set(value, p.values);
    fn.set(left, p.count);
    fn.times(left, () => {
      fn.set(x, v128.load32Splat(weight));
      sums.forEach((sum, c) => fn.set(sum, accumulate(sum, x, v128.load(value, 16 * c))));
      fn.advance(weight, 4);
      fn.advance(value, p.step);
    });
    sums.forEach((sum, c) => fn.do(v128.store(p.output, sum, 16 * c)));
    fn.advance(p.output, 16 * vectors);
    fn.advance(p.values, 16 * vectors);
  };
  fn.set(p.dv, roundedUp(p.dv, 4));
  for (const vectors of [8, 4, 1]) fn.steps(p.dv, 4 * vectors, () => chunk(vectors));
  return fn;
}
