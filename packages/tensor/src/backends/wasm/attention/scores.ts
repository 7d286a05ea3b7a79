/** What is done to a strip of scores (one query or four, `tileBytes` apart) before they become weights. */
import {
  f32x4,
  i32,
  i32x4,
  select,
  v128,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { parameters, plus, times } from './shape.ts';

/** -Infinity: the score of a key that is not seen. */
const unseen = f32x4.const(-Infinity);

/**
 * hide<lines>(scores, seen, slope, width): line i sees the keys before seen + i·slope; the scores of the others, up to
 * `width`, become -Infinity.
 */
export function buildHide(module: ModuleBuilder, lines: number, tileBytes: number): FunctionBuilder {
  const fn = module.function(`hide${lines}`, new Array<'i32'>(4).fill('i32'));
  const p = parameters(fn, ['scores', 'seen', 'slope', 'width']);
  const column = fn.local('i32');
  const columns = fn.local('v128');
  const limits = Array.from({ length: lines }, (_, i) =>
    fn.let(i32x4.splat(plus(p.seen, times(p.slope, i)))),
  );
  // The first vector with a key that is not seen.
  fn.set(column, i32.and(p.seen, i32.const(-4)));
  fn.set(column, select(i32.lt(column, i32.const(0)), i32.const(0), column));
  fn.advance(p.scores, i32.shl(column, i32.const(2)));
  fn.set(columns, i32x4.add(i32x4.splat(column), i32x4.constants(0, 1, 2, 3)));
  fn.set(column, i32.shrUnsigned(plus(i32.sub(p.width, column), 3), i32.const(2)));
  fn.times(column, () => {
    limits.forEach((limit, i) => {
      const at = i * tileBytes;
      const seen = i32x4.lt(columns, limit);
      fn.do(v128.store(p.scores, v128.select(seen, v128.load(p.scores, at), unseen), at));
    });
    fn.set(columns, i32x4.add(columns, i32x4.const(4)));
    fn.advance(p.scores, 16);
  });
  return fn;
}

/**
 * mask<lines>(scores, mask, line step, key step, width, last): where the mask is 0 the scores become -Infinity. Lines after
 * the last one read the mask of the first. The key step is 1 or 0. Reads up to 7 bytes beyond the end of a line.
 */
export function buildMask(module: ModuleBuilder, lines: number, tileBytes: number): FunctionBuilder {
  const fn = module.function(`mask${lines}`, new Array<'i32'>(6).fill('i32'));
  const p = parameters(fn, ['scores', 'mask', 'lineStep', 'keyStep', 'width', 'last']);
  const places = Array.from({ length: lines }, (_, i) =>
    i === 0
      ? p.mask
      : fn.let(plus(p.mask, select(i32.ge(p.last, i32.const(i)), times(p.lineStep, i), i32.const(0)))),
  );
  const none = fn.let(i32x4.const(0));
  const apply = (load: (place: I32) => ReturnType<typeof v128.load>): void =>
    fn.steps(p.width, 4, () => {
      places.forEach((place, i) => {
        const at = i * tileBytes;
        const hidden = i32x4.eq(load(place), none);
        fn.do(v128.store(p.scores, v128.select(hidden, unseen, v128.load(p.scores, at)), at));
      });
      fn.advance(p.scores, 16);
      for (const place of places) fn.advance(place, i32.shl(p.keyStep, i32.const(2)));
    });
  fn.if(
    p.keyStep,
    () => apply((place) => i32x4.fromBytes(v128.load32Zero(place))),
    () => apply((place) => i32x4.splat(i32.load8(place))),
  );
  return fn;
}
