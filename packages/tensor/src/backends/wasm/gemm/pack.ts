/** Packing: lines of a matrix, so many at a time, laid out element by element along the inner axis: [panel][k][line]. */
import {
  allI32,
  i32,
  parameters,
  perform,
  select,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { turn } from '../turn.ts';
import type { TileShape } from './shape.ts';

/** How lines lie: side by side (their elements a step apart), along memory, or neither. */
export type PackMode = 'side' | 'along' | 'any';

const panelParameters = ['source', 'target', 'inner', 'lineStep', 'innerStep', 'count'] as const;

/**
 * panel(source, target, inner, line step, inner step, count): `width` lines; steps in bytes, inner ≥ 1. Only `count` ≥ 1
 * of them are there: what the panel holds in place of the others is undefined.
 */
export function buildPanel(
  module: ModuleBuilder,
  shape: TileShape,
  name: string,
  width: number,
  mode: PackMode,
): FunctionBuilder {
  const fn = module.function(name, allI32(panelParameters));
  const { source, target, inner, lineStep, innerStep, count } = parameters(fn, panelParameters);
  const { bytes, lanes } = shape;
  const row = width * bytes;
  if (mode === 'side') {
    // Whole vectors, the last one over the one before; where not even one fits in, element by element.
    const vectors = Array.from({ length: Math.ceil(width / lanes) }, (_, i) =>
      Math.min(i * lanes, width - lanes),
    );
    const copy = (times: number): void =>
      fn.steps(inner, times, () => {
        for (let k = 0; k < times; k++) {
          if (width < lanes)
            for (let j = 0; j < width; j++)
              copyOne(fn, bytes, source, j * bytes, target, k * row + j * bytes);
          else
            for (const j of vectors)
              fn.do(v128.store(target, v128.load(source, j * bytes), k * row + j * bytes));
          fn.advance(source, innerStep);
        }
        fn.advance(target, times * row);
      });
    copy(4);
    copy(1);
    return fn;
  }
  // A line that is not there is stood for by the last one that is.
  const last = fn.let(i32.sub(count, i32.const(1)));
  const line = (j: number): I32 =>
    i32.add(source, i32.mul(lineStep, select(i32.lt(last, i32.const(j)), last, i32.const(j))));
  const lines = Array.from({ length: width }, (_, j) => (j === 0 ? source : fn.let(line(j))));
  if (mode === 'along')
    fn.steps(inner, lanes, () => {
      let j = 0;
      for (; j + lanes <= width; j += lanes)
        turn(
          fn,
          lines.slice(j, j + lanes).map((line) => fn.let(v128.load(line))),
        ).forEach((v, k) => fn.do(v128.store(target, v, k * row + j * bytes)));
      for (; j < width; j++)
        for (let k = 0; k < lanes; k++) copyOne(fn, bytes, lines[j]!, k * bytes, target, k * row + j * bytes);
      for (const p of lines) fn.advance(p, 16);
      fn.advance(target, row * lanes);
    });
  fn.times(inner, () => {
    lines.forEach((p, j) => copyOne(fn, bytes, p, 0, target, j * bytes));
    for (const p of lines) fn.advance(p, innerStep);
    fn.advance(target, row);
  });
  return fn;
}

function copyOne(
  fn: FunctionBuilder,
  bytes: number,
  from: I32,
  fromOffset: number,
  to: I32,
  toOffset: number,
): void {
  if (bytes === 4) fn.do(i32.store(to, i32.load(from, fromOffset), toOffset));
  else fn.do(v128.store64Lane(to, v128.load64Zero(from, fromOffset), 0, toOffset));
}

const packParameters = ['source', 'target', 'lines', 'inner', 'lineStep', 'innerStep'] as const;

/**
 * packB(source, target, lines, inner, line step, inner step): the columns of B as panels as wide as a tile. What is left is a
 * panel of one vector where it fits in.
 */
export function buildPackB(module: ModuleBuilder, shape: TileShape, mode: PackMode): FunctionBuilder {
  const { columns: width, lanes, bytes } = shape;
  const panels = [width, lanes].map((w) => buildPanel(module, shape, `panel of B ${w}`, w, mode)) as [
    FunctionBuilder,
    FunctionBuilder,
  ];
  const fn = module.function('packB', allI32(packParameters));
  const { source, target, lines, inner, lineStep, innerStep } = parameters(fn, packParameters);
  const [from, to, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  eachDepth(fn, mode, inner, (done, depth) => {
    fn.set(from, i32.add(source, i32.mul(innerStep, done)));
    fn.set(to, target);
    fn.set(left, lines);
    const pack = (panel: FunctionBuilder, columns: number, count: I32): void =>
      fn.do(
        perform(
          panel,
          from,
          i32.add(to, i32.mul(done, i32.const(columns * bytes))),
          depth,
          lineStep,
          innerStep,
          count,
        ),
      );
    fn.steps(left, width, () => {
      pack(panels[0], width, i32.const(width));
      fn.advance(from, i32.mul(lineStep, i32.const(width)));
      fn.advance(to, i32.mul(inner, i32.const(width * bytes)));
    });
    fn.if(left, () =>
      fn.if(
        i32.gt(left, i32.const(lanes)),
        () => pack(panels[0], width, left),
        () => pack(panels[1], lanes, left),
      ),
    );
  });
  return fn;
}

/**
 * Calls `body` for part after part of the inner axis, so much of it done before. Where lines lie side by side the parts are
 * short: many elements a step apart would fall on one another in the caches.
 */
export function eachDepth(
  fn: FunctionBuilder,
  mode: PackMode,
  inner: I32,
  body: (done: Local<'i32'>, depth: Local<'i32'>) => void,
): void {
  const [done, depth] = [fn.local('i32'), fn.local('i32')];
  const most = i32.const(mode === 'side' ? 8 : 2 ** 30);
  fn.set(done, i32.const(0));
  fn.loop((again) => {
    fn.set(depth, i32.sub(inner, done));
    fn.set(depth, select(i32.lt(depth, most), depth, most));
    body(done, depth);
    fn.set(done, i32.add(done, depth));
    fn.branchIf(again, i32.lt(done, inner));
  });
}
