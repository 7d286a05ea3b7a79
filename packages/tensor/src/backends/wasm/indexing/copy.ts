/** Copies elements between any two layouts of one shape. */
import { isContiguous, sizeOf } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { allI32, i32, parameters, type ModuleBuilder } from '../assembler/index.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { copyRun, moveOne, runLocals, widthOf, type Width } from './elements.ts';
import type { Kernel } from '../kernels.ts';
import { fillElements } from './fill.ts';
import { nestParameters, runNest, type Nest } from './nest.ts';
import { buildTranspose, rowsAtOnce } from './transpose.ts';

/** Copies the elements of `from` to the places of `to`, which may not overlap; both of one shape and dtype. */
export function copyElements(engine: Engine, from: BufferView, to: BufferView): void {
  const size = sizeOf(to.shape);
  if (size === 0) return;
  const width = widthOf(to.dtype);
  if (size * width <= smallCopy && isContiguous(from) && isContiguous(to)) {
    const bytes = size * width;
    runKernel(engine, width)(engine.address(to), engine.address(from), 1, 1, bytes, 0, 0, 0, 0, 0, 0);
    return;
  }
  const { sizes, strides } = collapse([to, from]);
  const [target, source] = strides as [number[], number[]];
  const inner = sizes.length - 1;
  if (inner >= 0 && source.every((step) => step === 0)) {
    const one = arrayOver(engine.heap, from.buffer as WasmBuffer, from.dtype)[from.offset]!;
    // As a number: a NaN may come out with other bits.
    return fillElements(engine, to, one);
  }
  // A single element lies any way one likes.
  const run = inner < 0 || (target[inner] === 1 && source[inner] === 1);
  const across = run || width === 1 || target[inner] !== 1 ? -1 : source.indexOf(1);
  const nest = nestOf(engine, from, to, sizes, target, source);
  if (across >= 0 && sizes[across]! >= fewestAcross && sizes[inner]! >= fewestAcross)
    copyAcross(engine, nest, width as 2 | 4 | 8, across);
  else if (run) runNest(engine, runKernel(engine, width), inBytes(nest, width), runNanoseconds);
  else runNest(engine, stepKernel(engine, width), nest, stepNanoseconds);
}

function nestOf(
  engine: Engine,
  from: BufferView,
  to: BufferView,
  sizes: readonly number[],
  target: readonly number[],
  source: readonly number[],
): Nest {
  const width = widthOf(to.dtype);
  return {
    sizes,
    pointers: [engine.address(to), engine.address(from)],
    steps: [target.map((step) => step * width), source.map((step) => step * width)],
  };
}

/** A nest whose innermost axis, without gaps, counts bytes. */
function inBytes({ sizes, pointers, steps: [target, source] }: Nest, width: Width): Nest {
  return {
    sizes: ending(sizes, (sizes.at(-1) ?? 1) * width),
    pointers,
    steps: [ending(target, 1), ending(source, 1)],
  };
}

/** With another last number; with one, where there is none. */
function ending(list: readonly number[], last: number): number[] {
  const copy = list.slice();
  copy[Math.max(0, copy.length - 1)] = last;
  return copy;
}

/** @param across the axis along which the source has no gaps: it becomes that of the rows */
function copyAcross(
  engine: Engine,
  { sizes, pointers, steps }: Nest,
  width: 2 | 4 | 8,
  across: number,
): void {
  const kernel = engine.kernels.get(`copy across ${width}`, (module) => buildTranspose(module, width))[
    'copy'
  ]!;
  const turned = (list: readonly number[]): number[] => [
    ...list.slice(0, across),
    ...list.slice(across + 1, -1),
    list[across]!,
    list.at(-1)!,
  ];
  const nest: Nest = { sizes: turned(sizes), pointers, steps: [turned(steps[0]), turned(steps[1])] };
  runNest(engine, kernel, nest, acrossNanoseconds, rowsAtOnce);
}

function runKernel(engine: Engine, width: Width): Kernel {
  return engine.kernels.get(`copy runs ${width}`, (module) => buildRuns(module, width))['copy']!;
}

function stepKernel(engine: Engine, width: Width): Kernel {
  return engine.kernels.get(`copy steps ${width}`, (module) => buildSteps(module, width))['copy']!;
}

/** Bytes that are copied without further ado. */
const smallCopy = 65536;
/** A copy is turned block by block from so many rows and columns on. */
const fewestAcross = 4;
/** Of a byte; of an element. */
const runNanoseconds = 0.03;
const acrossNanoseconds = 0.3;
const stepNanoseconds = 0.6;

/** copy(…) as `nestParameters` names them: columns are bytes without gaps. */
function buildRuns(module: ModuleBuilder, width: Width): void {
  const fn = module.function('copy', allI32(nestParameters));
  const p = parameters(fn, nestParameters);
  const [rows, to, from] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const run = runLocals(fn);
  fn.times(p.planes, () => {
    fn.set(rows, p.rows);
    fn.set(to, p.target);
    fn.set(from, p.source);
    fn.times(rows, () => {
      copyRun(fn, width, run, to, from, p.columns);
      fn.advance(to, p.targetRow);
      fn.advance(from, p.sourceRow);
    });
    fn.advance(p.target, p.targetPlane);
    fn.advance(p.source, p.sourcePlane);
  });
}

/** copy(…) as `nestParameters` names them, element by element. */
function buildSteps(module: ModuleBuilder, width: Width): void {
  const fn = module.function('copy', allI32(nestParameters));
  const p = parameters(fn, nestParameters);
  const [rows, left, to, from, toRow, fromRow] = Array.from({ length: 6 }, () => fn.local('i32')) as [
    typeof p.rows,
    typeof p.rows,
    typeof p.rows,
    typeof p.rows,
    typeof p.rows,
    typeof p.rows,
  ];
  fn.times(p.planes, () => {
    fn.set(rows, p.rows);
    fn.set(toRow, p.target);
    fn.set(fromRow, p.source);
    fn.times(rows, () => {
      fn.set(to, toRow);
      fn.set(from, fromRow);
      fn.set(left, p.columns);
      for (const elements of [4, 1])
        fn.steps(left, elements, () => {
          for (let i = 0; i < elements; i++) {
            moveOne(fn, width, to, from);
            fn.set(to, i32.add(to, p.targetColumn));
            fn.set(from, i32.add(from, p.sourceColumn));
          }
        });
      fn.advance(toRow, p.targetRow);
      fn.advance(fromRow, p.sourceRow);
    });
    fn.advance(p.target, p.targetPlane);
    fn.advance(p.source, p.sourcePlane);
  });
}
