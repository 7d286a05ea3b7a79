/** Copies operands into the forms of shape.ts. */
import {
  f32x4,
  i32,
  select,
  shuffle32,
  shuffle64,
  v128,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
  type V128,
} from '../assembler/index.ts';
import { laneMask } from '../lanes/memory.ts';
import { panelBytes, panelColumns, parameters, plus, times } from './shape.ts';

/** fill(target, vectors, value) */
export function buildFill(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('fill', ['i32', 'i32', 'f32']);
  const [target, vectors] = [fn.param(0, 'i32'), fn.param(1, 'i32')];
  const value = fn.let(f32x4.splat(fn.param(2, 'f32')));
  fn.times(vectors, () => {
    fn.do(v128.store(target, value));
    fn.advance(target, 16);
  });
  return fn;
}

/**
 * packLines(source, target, lines, padded, columns, line step, panel step, factor): the lines form, with zero lines up to
 * `padded`. Reads up to 28 bytes beyond the end of a line.
 */
export function buildPackLines(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('packLines', new Array<'i32'>(8).fill('i32'));
  const p = parameters(fn, [
    'source',
    'target',
    'lines',
    'padded',
    'columns',
    'lineStep',
    'panelStep',
    'factor',
  ]);
  const [from, to, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const factor = fn.let(v128.load32Splat(p.factor));
  const [low, high] = [fn.local('v128'), fn.local('v128')];
  fn.loop((again) => {
    fn.set(low, laneMask(p.columns));
    fn.set(high, laneMask(plus(p.columns, -4)));
    fn.set(from, p.source);
    fn.set(to, p.target);
    fn.set(left, p.lines);
    fn.times(left, () => {
      fn.do(v128.store(to, f32x4.mul(v128.and(v128.load(from), low), factor)));
      fn.do(v128.store(to, f32x4.mul(v128.and(v128.load(from, 16), high), factor), 16));
      fn.advance(from, p.lineStep);
      fn.advance(to, panelBytes);
    });
    fn.set(left, i32.sub(p.padded, p.lines));
    fn.times(left, () => {
      fn.do(v128.store(to, f32x4.const(0)));
      fn.do(v128.store(to, f32x4.const(0), 16));
      fn.advance(to, panelBytes);
    });
    fn.advance(p.source, panelBytes);
    fn.advance(p.target, p.panelStep);
    fn.advance(p.columns, -panelColumns);
    fn.branchIf(again, i32.gt(p.columns, i32.const(0)));
  });
  return fn;
}

/**
 * packColumns(source, target, lines, columns, padded columns, line step): the columns form. Where a panel has no eight
 * lines, its first one stands in for the others.
 */
export function buildPackColumns(module: ModuleBuilder): FunctionBuilder {
  const fn = module.function('packColumns', new Array<'i32'>(6).fill('i32'));
  const p = parameters(fn, ['source', 'target', 'lines', 'columns', 'padded', 'lineStep']);
  const lines = Array.from({ length: panelColumns }, () => fn.local('i32'));
  const left = fn.local('i32');
  const mask = fn.local('v128');
  const step = (load: (line: I32) => V128): void => {
    for (const half of [0, 1]) transpose(fn, lines.slice(4 * half, 4 * half + 4), load, p.target, 16 * half);
    fn.advance(p.target, 4 * panelBytes);
  };
  fn.loop((again) => {
    lines.forEach((line, j) => {
      const there = i32.gt(p.lines, i32.const(j));
      fn.set(line, plus(p.source, select(there, times(p.lineStep, j), i32.const(0))));
    });
    fn.set(left, p.columns);
    fn.steps(left, 4, () => {
      step((line) => v128.load(line));
      for (const line of lines) fn.advance(line, 16);
    });
    fn.if(left, () => {
      fn.set(mask, laneMask(left));
      step((line) => v128.and(v128.load(line), mask));
    });
    // Four columns at a time have been written.
    fn.set(left, i32.sub(p.padded, i32.and(plus(p.columns, 3), i32.const(-4))));
    fn.times(left, () => {
      fn.do(v128.store(p.target, f32x4.const(0)));
      fn.do(v128.store(p.target, f32x4.const(0), 16));
      fn.advance(p.target, panelBytes);
    });
    fn.advance(p.source, times(p.lineStep, panelColumns));
    fn.advance(p.lines, -panelColumns);
    fn.branchIf(again, i32.gt(p.lines, i32.const(0)));
  });
  return fn;
}

/** Four elements of four lines, to four lines of a panel. */
function transpose(
  fn: FunctionBuilder,
  lines: readonly I32[],
  load: (line: I32) => V128,
  target: I32,
  offset: number,
): void {
  transposed(
    fn,
    lines.map((line) => fn.let(load(line))),
  ).forEach((v, k) => fn.do(v128.store(target, v, k * panelBytes + offset)));
}

/** The columns of four rows. */
export function transposed(fn: FunctionBuilder, rows: readonly V128[]): V128[] {
  const [r0, r1, r2, r3] = rows as [V128, V128, V128, V128];
  const a = fn.let(shuffle32(r0, r1, [0, 4, 1, 5]));
  const b = fn.let(shuffle32(r2, r3, [0, 4, 1, 5]));
  const c = fn.let(shuffle32(r0, r1, [2, 6, 3, 7]));
  const d = fn.let(shuffle32(r2, r3, [2, 6, 3, 7]));
  return [shuffle64(a, b, [0, 2]), shuffle64(a, b, [1, 3]), shuffle64(c, d, [0, 2]), shuffle64(c, d, [1, 3])];
}
