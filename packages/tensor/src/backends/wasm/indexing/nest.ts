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
const shortCall = 25_000;
/** Columns that are not parted. */
const columnsAtOnce = 1024;

/**
 * Runs a kernel that takes `nestParameters` over a nest.
 * @param cost of an element, in nanoseconds, roughly
 * @param rowsAtOnce rows that are not parted
 * @param extra a further argument
 */
export function runNest(
  engine: Engine,
  kernel: Kernel,
  { sizes, pointers, steps: [target, source] }: Nest,
  cost: number,
  rowsAtOnce = 1,
  extra = 0,
): void {
  const rank = sizes.length;
  const planes = sizes[rank - 3] ?? 1;
  const rows = sizes[rank - 2] ?? 1;
  const columns = sizes[rank - 1] ?? 1;
  const inPlane = cost * rows * columns;
  const tail = [
    target[rank - 3] ?? 0,
    target[rank - 2] ?? 0,
    target[rank - 1] ?? 0,
    source[rank - 3] ?? 0,
    source[rank - 2] ?? 0,
    source[rank - 1] ?? 0,
    extra,
  ];
  if (rank <= 3 && inPlane * planes <= shortCall) {
    kernel(pointers[0], pointers[1], planes, rows, columns, ...tail);
    return;
  }
  // Large planes are gone over one by one, so that their rows can be given out.
  const together = inPlane <= shortCall;
  const part: Part = { planes: together ? planes : 1, rows, columns, cost, rowsAtOnce, tail };
  const outer = Math.max(0, rank - (together ? 3 : 2));
  eachOuter(sizes.slice(0, outer), [target, source], [pointers[0], pointers[1]], ([to, from]) =>
    runPart(engine, kernel, to!, from!, part),
  );
}

interface Part {
  readonly planes: number;
  readonly rows: number;
  readonly columns: number;
  readonly cost: number;
  readonly rowsAtOnce: number;
  /** The steps, and what else the kernel takes. */
  readonly tail: readonly number[];
}

/** Gives out the outermost axis of more than one element. */
function runPart(
  engine: Engine,
  kernel: Kernel,
  to: number,
  from: number,
  { planes, rows, columns, cost, rowsAtOnce, tail }: Part,
): void {
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
}

type Six = [number, number, number, number, number, number];
