/** Copies results out of the lines form of shape.ts. */
import {
  f32x4,
  i32,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import { panelBytes, panelColumns, parameters } from './shape.ts';

/**
 * unpackLines(source, target, lines, columns, panel step, line step, factors, factor step, add): from the lines form, each
 * line times its factor, to lines in memory; in place of what is there, or added to it.
 */
export function buildUnpackLines(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('unpackLines', new Array<'i32'>(9).fill('i32'));
  const p = parameters(fn, [
    'source',
    'target',
    'lines',
    'columns',
    'panelStep',
    'lineStep',
    'factors',
    'factorStep',
    'add',
  ]);
  const [from, to, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const [factor, v] = [fn.local('v128'), fn.local('v128')];
  const scaled = (offset: number): V128 => f32x4.mul(v128.load(from, offset), factor);
  const body = (sum: (x: V128, offset: number) => V128): void =>
    fn.times(p.lines, () => {
      fn.set(factor, v128.load32Splat(p.factors));
      fn.set(from, p.source);
      fn.set(to, p.target);
      fn.set(left, p.columns);
      fn.steps(left, panelColumns, () => {
        for (const offset of [0, 16]) fn.do(v128.store(to, sum(scaled(offset), offset), offset));
        fn.advance(from, p.panelStep);
        fn.advance(to, panelBytes);
      });
      fn.if(left, () => {
        fn.set(v, sum(scaled(0), 0));
        fn.if(i32.ge(left, i32.const(4)), () => {
          fn.do(v128.store(to, v));
          fn.advance(to, 16);
          fn.advance(left, -4);
          fn.set(v, f32x4.mul(v128.load(from, 16), factor));
          fn.if(left, () => fn.set(v, sum(v, 0)));
        });
        storeSome(fn, to, v, left);
      });
      fn.advance(p.source, panelBytes);
      fn.advance(p.target, p.lineStep);
      fn.advance(p.factors, p.factorStep);
    });
  fn.if(
    p.add,
    () => body((x, offset) => f32x4.add(x, v128.load(to, offset))),
    () => body((x) => x),
  );
  return fn;
}

/** The first `left` (0 … 3) lanes. */
function storeSome(fn: FunctionBuilder, to: I32, v: V128, left: Local<'i32'>): void {
  for (let lane = 0; lane < 3; lane++)
    fn.if(i32.gt(left, i32.const(lane)), () => fn.do(v128.store32Lane(to, v, lane, 4 * lane)));
}
