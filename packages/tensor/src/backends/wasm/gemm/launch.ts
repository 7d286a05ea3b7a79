/** Runs products on the kernels: as a whole, in blocks, or (for a few rows) as streams and dot products. */
import type { Kernel, KernelCache, Kernels } from '../kernels.ts';
import { dottedColumns, dottedRows } from './dot.ts';
import type { Batch, Product } from './product.ts';
import { blocking } from './shape.ts';
import { streamedRows, streamedVectors } from './stream.ts';

/** What matrix products need of the engine. */
export interface Launcher {
  readonly kernels: KernelCache;
  overItems(
    kernel: Kernel,
    items: number,
    cost: number,
    args: (start: number, count: number, lane: number) => readonly number[],
  ): void;
}

/** Memory for packed operands, for each lane. */
export class PackingRoom {
  readonly #kernels: KernelCache;
  readonly #left: number[] = [];
  readonly #right: number[] = [];

  constructor(kernels: KernelCache) {
    this.#kernels = kernels;
  }

  /** For a block of rows of A. */
  left(lane: number): number {
    return (this.#left[lane] ??= this.#reserve(blocking.rows));
  }

  /** For a block of columns of B. */
  right(lane: number): number {
    return (this.#right[lane] ??= this.#reserve(blocking.columns));
  }

  #reserve(lines: number): number {
    return this.#kernels.heap.reserve(lines * blocking.inner * 8);
  }
}

/** Multiplications in a nanosecond, roughly; by the kernels for a few rows. */
const speed = 22;
const fewRowsSpeed = 10;
/** Nanoseconds below which work is not worth handing out. */
const worthHandingOut = 25_000;

/** Whole products, each by one lane. */
export function launchWhole(
  engine: Launcher,
  products: Kernel,
  room: PackingRoom,
  p: Product,
  batch: Batch,
): void {
  const cost = (p.rows * p.columns * p.inner) / speed;
  const step = p.columns * p.bytes;
  if (batch.count === 1 || cost * batch.count < worthHandingOut)
    products(
      batch.count,
      p.a,
      p.b,
      p.c,
      batch.a,
      batch.b,
      batch.c,
      p.rows,
      p.columns,
      p.inner,
      p.lineA,
      p.innerA,
      p.lineB,
      p.innerB,
      step,
      room.left(0),
      room.right(0),
    );
  else
    engine.overItems(products, batch.count, cost, (start, count, lane) => [
      count,
      p.a + start * batch.a,
      p.b + start * batch.b,
      p.c + start * batch.c,
      batch.a,
      batch.b,
      batch.c,
      p.rows,
      p.columns,
      p.inner,
      p.lineA,
      p.innerA,
      p.lineB,
      p.innerB,
      step,
      room.left(lane),
      room.right(lane),
    ]);
}

/**
 * One product, in blocks of rows.
 * @param rows of a tile
 * @param packed true where B is the one that has been packed last
 * @returns true where all of B is packed now
 */
export function launchBlocks(
  engine: Launcher,
  { packB, block }: Kernels,
  room: PackingRoom,
  p: Product,
  rows: number,
  packed: boolean,
): boolean {
  const step = p.columns * p.bytes;
  const passes = Math.ceil(p.inner / blocking.inner);
  const longest = Math.ceil(p.inner / passes / 8) * 8;
  const panel = 32 / p.bytes;
  const target = packB ? room.right(0) : 0;
  for (let j = 0; j < p.columns; j += blocking.columns) {
    const width = Math.min(blocking.columns, p.columns - j);
    for (let k = 0; k < p.inner; k += longest) {
      const depth = Math.min(longest, p.inner - k);
      const source = p.b + j * p.lineB + k * p.innerB;
      if (packB && !packed)
        engine.overItems(packB, Math.ceil(width / panel), (panel * depth) / 4, (start, count) => [
          source + start * panel * p.lineB,
          target + start * panel * depth * p.bytes,
          Math.min(count * panel, width - start * panel),
          depth,
          p.lineB,
          p.innerB,
        ]);
      const cost = (rows * width * depth) / speed;
      engine.overItems(block!, Math.ceil(p.rows / rows), cost, (start, count, lane) => [
        p.a + start * rows * p.lineA + k * p.innerA,
        packB ? target : source,
        p.c + start * rows * step + j * p.bytes,
        Math.min(count * rows, p.rows - start * rows),
        width,
        depth,
        p.lineA,
        p.innerA,
        p.innerB,
        step,
        k > 0 ? 1 : 0,
        room.left(lane),
      ]);
    }
  }
  return passes === 1 && p.columns <= blocking.columns;
}

/** A few rows times a matrix. With `dots` rows of A and columns of B lie along memory, else rows of B. */
export function launchFewRows(
  engine: Launcher,
  kernels: Kernels,
  dots: boolean,
  p: Product,
  batch: Batch,
): void {
  const step = p.columns * p.bytes;
  // As many columns as the kernel takes at a time.
  const group = dots ? dottedColumns : (streamedVectors * 16) / p.bytes;
  const most = dots ? dottedRows : streamedRows;
  for (let i = 0; i < batch.count; i++)
    for (let row = 0; row < p.rows; row += most) {
      const rows = Math.min(most, p.rows - row);
      const a = p.a + i * batch.a + row * p.lineA;
      const b = p.b + i * batch.b;
      const c = p.c + i * batch.c + row * step;
      const kernel = kernels[`${dots ? 'dot' : 'stream'}${rows}`]!;
      const groups = Math.ceil(p.columns / group);
      const cost = (group * p.inner * rows) / fewRowsSpeed;
      if (groups * cost < worthHandingOut) kernel(...fewRowsArguments(p, dots, a, b, c, p.columns));
      else
        engine.overItems(kernel, groups, cost, (start, count) => {
          const from = start * group;
          const width = Math.min(count * group, p.columns - from);
          return fewRowsArguments(p, dots, a, b + from * p.lineB, c + from * p.bytes, width);
        });
    }
}

function fewRowsArguments(
  { inner, lineA, innerA, lineB, innerB, columns, bytes }: Product,
  dots: boolean,
  a: number,
  b: number,
  c: number,
  width: number,
): number[] {
  const step = columns * bytes;
  return dots
    ? [a, b, c, width, inner, lineA, lineB, step]
    : [a, b, c, width, inner, lineA, innerA, innerB, step];
}
