/** Packing: lines of a matrix, so many at a time, laid out element by element along the inner axis: [panel][k][line]. */
import {
  i32,
  perform,
  shuffle32,
  shuffle64,
  v128,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
} from '../assembler/index.ts';
import type { TileShape } from './shape.ts';

type Local = ReturnType<FunctionBuilder['param']> & { readonly type: 'i32' };
type Six = [Local, Local, Local, Local, Local, Local];

/** How lines lie: side by side (their elements k apart), along memory, or neither. */
export type PackMode = 'side' | 'along' | 'any';
export const packModes: readonly PackMode[] = ['side', 'along', 'any'];

/** panel(source, target, inner, line step, inner step): `width` lines; steps in bytes, inner ≥ 1. */
function buildPanel(
  module: ModuleBuilder,
  shape: TileShape,
  name: string,
  width: number,
  mode: PackMode,
): FunctionBuilder {
  const fn = module.function(`${name} ${width} ${mode}`, new Array<'i32'>(5).fill('i32'));
  const [source, target, inner, lineStep, innerStep] = [0, 1, 2, 3, 4].map((i) => fn.param(i, 'i32')) as Six;
  const { bytes } = shape;
  const lanes = 16 / bytes;
  const row = width * bytes;
  if (mode === 'side') {
    // Whole vectors: what is written past a row is overwritten by the next one.
    fn.times(inner, () => {
      for (let j = 0; j < width; j += lanes)
        fn.do(v128.store(target, v128.load(source, j * bytes), j * bytes));
      fn.advance(source, innerStep);
      fn.advance(target, row);
    });
    return fn;
  }
  const line = (j: number): I32 => i32.add(source, i32.mul(lineStep, i32.const(j)));
  const lines = Array.from({ length: width }, (_, j) => (j === 0 ? source : fn.let(line(j))));
  if (mode === 'along')
    fn.steps(inner, lanes, () => {
      let j = 0;
      for (; j + lanes <= width; j += lanes)
        transpose(fn, shape, lines.slice(j, j + lanes), target, row, j * bytes);
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

/** A square block, as wide as a vector, from lines to columns. */
function transpose(
  fn: FunctionBuilder,
  shape: TileShape,
  lines: readonly I32[],
  target: I32,
  row: number,
  offset: number,
): void {
  const v = lines.map((p) => fn.let(v128.load(p)));
  const put = (k: number, x: ReturnType<typeof v128.load>): void =>
    fn.do(v128.store(target, x, k * row + offset));
  if (shape.dtype === 'f64') {
    put(0, shuffle64(v[0]!, v[1]!, [0, 2]));
    put(1, shuffle64(v[0]!, v[1]!, [1, 3]));
    return;
  }
  const [a, b] = [
    fn.let(shuffle32(v[0]!, v[1]!, [0, 4, 1, 5])),
    fn.let(shuffle32(v[2]!, v[3]!, [0, 4, 1, 5])),
  ];
  const [c, d] = [
    fn.let(shuffle32(v[0]!, v[1]!, [2, 6, 3, 7])),
    fn.let(shuffle32(v[2]!, v[3]!, [2, 6, 3, 7])),
  ];
  put(0, shuffle64(a, b, [0, 2]));
  put(1, shuffle64(a, b, [1, 3]));
  put(2, shuffle64(c, d, [0, 2]));
  put(3, shuffle64(c, d, [1, 3]));
}

/** someLines(source, target, inner, line step, inner step, lines): a panel of shape.columns, zero beyond its lines. */
function buildPadded(module: ModuleBuilder, shape: TileShape): FunctionBuilder {
  const fn = module.function('someLines', new Array<'i32'>(6).fill('i32'));
  const [source, target, inner, lineStep, innerStep, count] = [0, 1, 2, 3, 4, 5].map((i) =>
    fn.param(i, 'i32'),
  ) as Six;
  const [j, from, to] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const zero = fn.local('v128');
  fn.times(inner, () => {
    fn.do(v128.store(target, zero));
    fn.do(v128.store(target, zero, 16));
    fn.set(from, source);
    fn.set(to, target);
    fn.set(j, count);
    fn.times(j, () => {
      copyOne(fn, shape.bytes, from, 0, to, 0);
      fn.advance(from, lineStep);
      fn.advance(to, shape.bytes);
    });
    fn.advance(source, innerStep);
    fn.advance(target, 32);
  });
  return fn;
}

/**
 * packA…/packB…(source, target, lines, inner, line step, inner step) for each mode. The last panel of A is as wide as there
 * are lines left; that of B is filled up with zeros.
 */
export function buildPacking(module: ModuleBuilder, shape: TileShape): void {
  const padded = buildPadded(module, shape);
  for (const mode of packModes) {
    const pack = (name: string, width: number, rest: (fn: FunctionBuilder, p: Six) => void): void => {
      const panel = buildPanel(module, shape, `panel of ${name}`, width, mode);
      const fn = module.function(`${name}${mode}`, new Array<'i32'>(6).fill('i32'));
      const params = [0, 1, 2, 3, 4, 5].map((i) => fn.param(i, 'i32')) as Six;
      const [source, target, lines, inner, lineStep, innerStep] = params;
      fn.steps(lines, width, () => {
        fn.do(perform(panel, source, target, inner, lineStep, innerStep));
        fn.advance(source, i32.mul(lineStep, i32.const(width)));
        fn.advance(target, i32.mul(inner, i32.const(width * shape.bytes)));
      });
      rest(fn, params);
    };
    const narrow = Array.from({ length: shape.rows - 1 }, (_, i) =>
      buildPanel(module, shape, 'last panel', i + 1, mode),
    );
    pack('packA', shape.rows, (fn, [source, target, lines, inner, lineStep, innerStep]) =>
      narrow.forEach((panel, i) =>
        fn.if(i32.eq(lines, i32.const(i + 1)), () =>
          fn.do(perform(panel, source, target, inner, lineStep, innerStep)),
        ),
      ),
    );
    pack('packB', shape.columns, (fn, [source, target, lines, inner, lineStep, innerStep]) =>
      fn.if(lines, () => fn.do(perform(padded, source, target, inner, lineStep, innerStep, lines))),
    );
  }
}
