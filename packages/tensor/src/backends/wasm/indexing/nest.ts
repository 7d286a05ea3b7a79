/** Loops over planes, rows and columns of two operands: what the kernels take, and how a loop nest is given out to them. */
import type { Engine } from '../engine.ts';
import { eachOuter } from '../chunks.ts';
import type { Kernel } from '../kernels.ts';

/** Steps in bytes. planes, rows and columns ≥ 1. */
export const nestParameters = [
  'target',
  'source',
  'planes',
  'rows',
  'columns',
  'targetPlane',
  'targetRow',
  'targetColumn',
  'sourcePlane',
  'sourceRow',
  'sourceColumn',
] as const;

/** A loop nest over two operands. */
export interface Nest {
  readonly sizes: readonly number[];
  /** Of the target and of the source: address of the first element, and steps along the axes in bytes. */
  readonly pointers: readonly [number, number];
  readonly steps: readonly [readonly number[], readonly number[]];
}

/** Nanoseconds of a call that may be as long as it likes. */
const shortCall = 50_000;
/** Columns that are not parted. */
const columnsAtOnce = 1024;

/**
 * Runs a kernel that takes `nestParameters` over a nest.
 * @param cost of an element, in nanoseconds, roughly
 * @param rowsAtOnce rows that are not parted
 * @param extras further parameters
 */
export function runNest(
  engine: Engine,
  kernel: Kernel,
  nest: Nest,
  cost: number,
  rowsAtOnce = 1,
  ...extras: readonly number[]
): void {
  const rank = Math.max(3, nest.sizes.length);
  const padded = (list: readonly number[], by: number): number[] => [
    ...new Array<number>(rank - list.length).fill(by),
    ...list,
  ];
  const sizes = padded(nest.sizes, 1);
  const [target, source] = nest.steps.map((steps) => padded(steps, 0)) as [number[], number[]];
  const [rows, columns] = sizes.slice(-2) as [number, number];
  // Large planes are gone over one by one, so that their rows can be given out.
  const together = cost * rows * columns <= shortCall;
  const planes = together ? sizes[rank - 3]! : 1;
  const outer = together ? rank - 3 : rank - 2;
  const tail = [...target.slice(-3), ...source.slice(-3), ...extras];
  const run = (to: number, from: number): void => {
    const [targetPlane, targetRow, targetColumn, sourcePlane, sourceRow, sourceColumn] = tail as Six;
    if (planes > 1)
      engine.overItems(kernel, planes, cost * rows * columns, (start, count) => [
        to + start * targetPlane,
        from + start * sourcePlane,
        count,
        rows,
        columns,
        ...tail,
      ]);
    else if (rows > 1)
      engine.overItems(kernel, Math.ceil(rows / rowsAtOnce), cost * columns * rowsAtOnce, (start, count) => [
        to + start * rowsAtOnce * targetRow,
        from + start * rowsAtOnce * sourceRow,
        1,
        Math.min(count * rowsAtOnce, rows - start * rowsAtOnce),
        columns,
        ...tail,
      ]);
    else
      engine.overItems(kernel, Math.ceil(columns / columnsAtOnce), cost * columnsAtOnce, (start, count) => [
        to + start * columnsAtOnce * targetColumn,
        from + start * columnsAtOnce * sourceColumn,
        1,
        1,
        Math.min(count * columnsAtOnce, columns - start * columnsAtOnce),
        ...tail,
      ]);
  };
  const steps = [target, source];
  eachOuter(sizes.slice(0, outer), steps, [...nest.pointers], ([to, from]) => run(to!, from!));
}

type Six = [number, number, number, number, number, number];
