/** Copies between a matrix whose columns lie along memory and one whose rows do, block by block. */
import {
  allI32,
  i32,
  parameters,
  select,
  v128,
  type I32,
  type Local,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { turn } from '../turn.ts';
import { moveOne } from './elements.ts';
import { nestParameters } from './nest.ts';

/** Rows of the target that are written side by side: more would fall on one another in the caches. */
export const rowsAtOnce = 8;
/** Columns that one pass goes over: what has been read of them stays in the innermost cache. */
const columnsAtOnce = 64;

/** copy(…) as `nestParameters` names them, where the source's rows and the target's columns lie side by side. */
export function buildTranspose(module: ModuleBuilder, width: 2 | 4 | 8): void {
  const fn = module.function('copy', allI32(nestParameters));
  const p = parameters(fn, nestParameters);
  // Words of 16 bits are moved one by one.
  const lanes = width === 2 ? 1 : 16 / width;
  const [from, to, part, start, rows, row] = Array.from({ length: 6 }, () => fn.local('i32')) as [
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
  ];
  const at = (base: I32, step: I32, i: number): I32 =>
    i === 0 ? base : i32.add(base, i32.mul(step, i32.const(i)));

  /** `part` columns of so many rows. */
  const band = (count: number): void => {
    const left = fn.let(part);
    fn.set(from, i32.add(p.source, i32.add(i32.mul(row, i32.const(width)), i32.mul(start, p.sourceColumn))));
    fn.set(to, i32.add(p.target, i32.add(i32.mul(row, p.targetRow), i32.mul(start, i32.const(width)))));
    const lines = Array.from({ length: count }, (_, i) => (i === 0 ? to : fn.let(at(to, p.targetRow, i))));
    const step = (columns: number): void =>
      fn.steps(left, columns, () => {
        const sources = Array.from({ length: columns }, (_, j) => fn.let(at(from, p.sourceColumn, j)));
        if (columns > 1)
          for (let i = 0; i < count; i += lanes) {
            const vectors = sources.map((source) => fn.let(v128.load(source, i * width)));
            turn(fn, vectors).forEach((v, k) => fn.do(v128.store(lines[i + k]!, v)));
          }
        else
          sources.forEach((source, j) =>
            lines.forEach((line, i) => moveOne(fn, width, line, source, j * width, i * width)),
          );
        fn.set(from, i32.add(sources.at(-1)!, p.sourceColumn));
        for (const line of lines) fn.advance(line, columns * width);
      });
    if (lanes > 1 && count % lanes === 0) step(lanes);
    step(1);
    fn.advance(row, count);
  };

  fn.times(p.planes, () => {
    fn.set(start, i32.const(0));
    fn.loop((again) => {
      fn.set(part, i32.sub(p.columns, start));
      fn.set(part, select(i32.lt(part, i32.const(columnsAtOnce)), part, i32.const(columnsAtOnce)));
      fn.set(rows, p.rows);
      fn.set(row, i32.const(0));
      for (const count of new Set([rowsAtOnce, lanes, 1])) fn.steps(rows, count, () => band(count));
      fn.set(start, i32.add(start, part));
      fn.branchIf(again, i32.lt(start, p.columns));
    });
    fn.advance(p.target, p.targetPlane);
    fn.advance(p.source, p.sourcePlane);
  });
}
