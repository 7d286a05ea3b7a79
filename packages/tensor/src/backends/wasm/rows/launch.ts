/** Finds out how the lines of a call lie, and runs a kernel over them in pieces. */
import { bytesPerElement } from '../../../dtype.ts';
import { sizeOf } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { withoutAxis } from '../../js/kernels/walk.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import type { Kernel } from '../kernels.ts';
import type { Mode } from './lines.ts';

/** A tensor with the elements of the lines, or with one number a line (in the shape without the axis). */
export interface LineView {
  readonly view: BufferView;
  readonly kind: 'elements' | 'line';
}

export const elements = (view: BufferView): LineView => ({ view, kind: 'elements' });
/** @param keptAxis where given, the axis of size 1 that stands for the line */
export const perLine = (view: BufferView, keptAxis?: number): LineView => ({
  view: keptAxis === undefined ? view : { ...view, ...withoutAxis(view, keptAxis) },
  kind: 'line',
});

interface Arrangement {
  readonly mode: Mode;
  /** Axes of lines, few as can be, and the steps of each operand along them, in elements. */
  readonly sizes: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

function arrange(operands: readonly LineView[], axis: number, fewest: number): Arrangement | null {
  const { sizes, strides } = collapse(
    operands.map(({ view, kind }) => (kind === 'line' ? view : withoutAxis(view, axis))),
  );
  const neighbours = operands.every(
    ({ view, kind }) => kind === 'line' || view.strides[axis] === 1 || view.shape[axis]! <= 1,
  );
  if (neighbours) return { mode: 'along', sizes, strides };
  const inner = sizes.length - 1;
  const beside = (sizes[inner] ?? 1) >= fewest && strides.every((steps) => (steps[inner] ?? 1) === 1);
  return beside ? { mode: 'down', sizes, strides } : null;
}

export interface LineRun {
  readonly axis: number;
  /** The output first: row-major. */
  readonly operands: readonly LineView[];
  readonly kernel: (mode: Mode) => Kernel;
  /** Nanoseconds for each element of a line. */
  readonly cost: number;
  /** Further arguments. */
  readonly extras?: readonly number[];
  /** One more for each lane, as `Engine.overItems` has them: the address of its own memory. */
  readonly memory?: (lane: number) => number;
}

/** Lines that one call of a `down` kernel takes at least, so that pieces of work meet at whole cache lines. */
const linesAtOnce = 16;

/** Elements of a single line that one call takes. */
const fewElements = 8192;

/** Runs a kernel of `LineCode` over all lines. */
export function runLines(engine: Engine, run: LineRun): void {
  const { axis, operands } = run;
  if (runOneLine(engine, run)) return;
  const arranged = arrange(operands, axis, linesAtOnce);
  if (arranged) return runArranged(engine, run, arranged);
  // Row-major copies of the inputs lie as the output does.
  const views = operands.map(({ view }) => view);
  withRowMajors(engine, views, (copies) => {
    const alike = operands.map((operand, k) => ({ ...operand, view: copies[k]! }));
    runArranged(engine, { ...run, operands: alike }, arrange(alike, axis, 1)!);
  });
}

/** A single line without gaps needs no arranging. @returns false where it is not that */
function runOneLine(engine: Engine, { axis, operands, kernel, extras, memory }: LineRun): boolean {
  const { shape } = operands[0]!.view;
  const n = shape[axis]!;
  if (memory || operands[0]!.kind === 'line' || n === 0 || n > fewElements || sizeOf(shape) !== n)
    return false;
  const args = [n, 1];
  for (let k = 0; k < operands.length; k++) {
    const { view, kind } = operands[k]!;
    if (kind === 'elements' && n > 1 && view.strides[axis] !== 1) return false;
    args.push(engine.address(view), 0);
  }
  if (extras) for (let k = 0; k < extras.length; k++) args.push(extras[k]!);
  kernel('along')(...args);
  return true;
}

/** Calls `body` with the views, those that do not lie row-major without gaps replaced by copies that do. */
export function withRowMajors(
  engine: Engine,
  views: readonly BufferView[],
  body: (views: readonly BufferView[]) => void,
): void {
  if (views.length === 0) return body(views);
  const next = (done: readonly BufferView[], [first, ...rest]: readonly BufferView[]): void => {
    if (!first) return body(done);
    engine.withRowMajor(first, (view) => next([...done, view], rest));
  };
  next([], views);
}

/** Likewise, but only those whose last axis has gaps. */
export function withLastAxisDense(
  engine: Engine,
  views: readonly BufferView[],
  body: (views: readonly BufferView[]) => void,
): void {
  const loose = views.filter(
    ({ shape, strides }) => shape[shape.length - 1]! > 1 && strides[shape.length - 1] !== 1,
  );
  if (loose.length === 0) return body(views);
  withRowMajors(engine, loose, (copies) =>
    body(views.map((view) => (loose.includes(view) ? copies[loose.indexOf(view)]! : view))),
  );
}

function runArranged(engine: Engine, run: LineRun, { mode, sizes, strides }: Arrangement): void {
  const { axis, operands, cost, extras = [], memory } = run;
  const full = operands.find(({ kind }) => kind === 'elements')!;
  const n = full.view.shape[axis]!;
  const inner = sizes.length - 1;
  const lines = sizes[inner] ?? 1;
  const widths = operands.map(({ view }) => bytesPerElement(view.dtype));
  const bases = operands.map(({ view }, k) => engine.address(view) - view.offset * widths[k]!);
  const lineSteps = operands.map((_, k) => (strides[k]![inner] ?? 0) * widths[k]!);
  const steps = operands.map(({ view, kind }, k) =>
    mode === 'along' ? lineSteps[k]! : kind === 'line' ? 0 : view.strides[axis]! * widths[k]!,
  );
  const unit = mode === 'along' ? 1 : linesAtOnce;
  overOuter(engine, run.kernel(mode), {
    sizes: sizes.slice(0, Math.max(0, inner)),
    strides,
    offsets: operands.map(({ view }) => view.offset),
    items: Math.ceil(lines / unit),
    cost: unit * (n * cost + 10),
    inLanes: memory !== undefined,
    args: (at, start, count, lane) => {
      const args = [n, Math.min(count * unit, lines - start * unit)];
      at.forEach((p, k) => args.push(bases[k]! + p * widths[k]! + start * unit * lineSteps[k]!, steps[k]!));
      args.push(...extras);
      if (memory) args.push(memory(lane));
      return args;
    },
  });
}

/** Items for each index of outer axes. */
export interface OuterRun {
  readonly sizes: readonly number[];
  readonly strides: readonly (readonly number[])[];
  readonly offsets: number[];
  readonly items: number;
  /** Nanoseconds for an item. */
  readonly cost: number;
  /** Pieces need to know their lanes. */
  readonly inLanes?: boolean;
  readonly args: (at: readonly number[], start: number, count: number, lane: number) => readonly number[];
}

/** Nanoseconds of a call at most, where items can be parted. */
const callNanoseconds = 50_000;

/** Runs a kernel over all items. */
export function overOuter(engine: Engine, kernel: Kernel, run: OuterRun): void {
  const { sizes, strides, offsets, items, cost, args } = run;
  if (sizes.length === 0 || run.inLanes) {
    eachOuter(sizes, strides, offsets, (at) =>
      engine.overItems(kernel, items, cost, (start, count, lane) => args(at, start, count, lane)),
    );
    return;
  }
  const most = Math.max(1, Math.floor(callNanoseconds / cost));
  const calls: (readonly number[])[] = [];
  eachOuter(sizes, strides, offsets, (at) => {
    for (let start = 0; start < items; start += most)
      calls.push(args(at, start, Math.min(most, items - start), 0));
  });
  engine.overCalls(kernel, calls, cost * Math.min(most, items));
}
