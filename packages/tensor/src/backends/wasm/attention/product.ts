/**
 * The micro-kernels: 4 × 8 sums in registers, over panels of B side by side. They differ in how the four lines of A lie
 * and where the sums go.
 */
import { f32x4, i32, v128, type FunctionBuilder, type ModuleBuilder } from '../assembler/index.ts';
import { panelBytes, panelColumns, parameters, queriesAtOnce, type Accumulate } from './shape.ts';

export interface ProductForm {
  /** Bytes from one line of A to the next, and from one element along the inner axis to the next. */
  readonly line: number;
  readonly inner: number;
  /** Whether the inner axis runs over panels (eight elements, then a step to the next panel) or on and on. */
  readonly panels: boolean;
  /** Bytes from one line of C to the next. */
  readonly target: number;
  /** How the sums start: from 0; from C or 0, as the parameter `start` says; from C times four factors at `start`, or 0. */
  readonly start: 'zero' | 'sum' | 'factors';
}

/** Elements of the inner axis that one turn of the loop takes. */
export const elementsAtOnce = 2;

/**
 * product(a, b, c, panels, turns, panel step of a, panel step of b, panel step of c, start): for each panel of B, the four
 * lines of A times it. The inner axis is so many panels long or, where it has none, so many times two elements.
 */
export function buildProduct(
  module: ModuleBuilder,
  name: string,
  { line, inner, panels, target, start }: ProductForm,
  accumulate: Accumulate,
): FunctionBuilder {
  const fn = module.function(name, new Array<'i32'>(9).fill('i32'));
  const p = parameters(fn, ['a', 'b', 'c', 'panels', 'turns', 'stepA', 'stepB', 'stepC', 'start']);
  const sums = Array.from({ length: queriesAtOnce }, () => [fn.local('v128'), fn.local('v128')] as const);
  const [pa, pb, left, some] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const [b0, b1, x] = [fn.local('v128'), fn.local('v128'), fn.local('v128')];
  const zero = f32x4.const(0);
  const clear = (): void => sums.forEach((row) => row.forEach((sum) => fn.set(sum, zero)));
  fn.times(p.panels, () => {
    if (start === 'zero') clear();
    else
      fn.if(
        p.start,
        () =>
          sums.forEach((row, i) => {
            if (start === 'factors') fn.set(x, v128.load32Splat(p.start, 4 * i));
            row.forEach((sum, j) => {
              const old = v128.load(p.c, i * target + 16 * j);
              fn.set(sum, start === 'factors' ? f32x4.mul(old, x) : old);
            });
          }),
        clear,
      );
    fn.set(pa, p.a);
    fn.set(pb, p.b);
    fn.set(left, p.turns);
    fn.block((out) => {
      const turn = (): void => {
        for (let k = 0; k < elementsAtOnce; k++) {
          // A branch that is never taken ends the basic block. Engines that move all loads of a block to its start would
          // otherwise run out of registers.
          if (k > 0) fn.branchIf(out, i32.eqz(pb));
          fn.set(b0, v128.load(pb, k * panelBytes));
          fn.set(b1, v128.load(pb, k * panelBytes + 16));
          sums.forEach(([s0, s1], i) => {
            fn.set(x, v128.load32Splat(pa, i * line + k * inner));
            fn.set(s0, accumulate(s0, x, b0));
            fn.set(s1, accumulate(s1, x, b1));
          });
        }
        fn.advance(pa, elementsAtOnce * inner);
        fn.advance(pb, elementsAtOnce * panelBytes);
      };
      fn.times(left, () => {
        if (!panels) return turn();
        fn.set(some, i32.const(panelColumns / elementsAtOnce));
        fn.loop((again) => {
          turn();
          fn.advance(some, -1);
          fn.branchIf(again, some);
        });
        fn.advance(pa, i32.sub(p.stepA, i32.const(panelColumns * inner)));
      });
    });
    sums.forEach((row, i) => row.forEach((sum, j) => fn.do(v128.store(p.c, sum, i * target + 16 * j))));
    fn.advance(p.b, p.stepB);
    fn.advance(p.c, p.stepC);
  });
  return fn;
}
