/** Element by element through an index of the same rank. */
import { contiguousLayout, sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import {
  allI32,
  i32,
  parameters,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import type { Kernel } from '../kernels.ts';
import { copyElements } from './copy.ts';
import { canMeet, meetOne, moveOne, widthOf, type Meeting, type Width } from './elements.ts';
import { withIndex } from './index-tensor.ts';

export function gather(engine: Engine, call: KernelCall): boolean {
  const { inputs, output, attrs } = call;
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  withIndex(engine, call, x.shape[axis]!, (index) => {
    const width = widthOf(x.dtype);
    const kernel = engine.kernels.get(`gather ${width}`, (module) => buildGather(module, width))['picked']!;
    overIndex(engine, kernel, call, { whole: x, other: output, axis, index, apart: true });
  });
  return true;
}

/** x with elements written in the order of the index, whoever writes them. */
const scattering =
  (meeting: Meeting) =>
  (engine: Engine, call: KernelCall): boolean => {
    const { inputs, output, attrs } = call;
    const [x, , source] = inputs as [BufferView, BufferView, BufferView];
    const { dtype } = output;
    if (!canMeet(meeting, dtype)) return false;
    const axis = attrs['axis'] as number;
    withIndex(engine, call, x.shape[axis]!, (index) => {
      copyElements(engine, x, output);
      const kind = meeting === 'set' ? widthOf(dtype) : dtype;
      const kernel = engine.kernels.get(`scatter ${meeting} ${kind}`, (module) =>
        buildPicking(module, (fn, whole, other) => meetOne(fn, meeting, dtype, whole, other)),
      )['picked']!;
      overIndex(engine, kernel, call, { whole: output, other: source, axis, index, apart: false });
    });
    return true;
  };

export const scatters = {
  scatterSet: scattering('set'),
  scatterAdd: scattering('add'),
  scatterMul: scattering('mul'),
  scatterMax: scattering('max'),
  scatterMin: scattering('min'),
};

interface Picking {
  /** What the index points into, along an axis. */
  readonly whole: BufferView;
  /** What has the index's shape. */
  readonly other: BufferView;
  readonly axis: number;
  /** The address of the index's values. */
  readonly index: number;
  /** True where no two elements of the index may meet in one place. */
  readonly apart: boolean;
}

/** Of an element, roughly. */
const nanoseconds = 1;
/** Columns that are not parted. */
const columnsAtOnce = 1024;
/** Elements of a call that waits for the one before. */
const elementsInTurn = 16384;

function overIndex(
  engine: Engine,
  kernel: Kernel,
  { inputs }: KernelCall,
  { whole, other, axis, index, apart }: Picking,
): void {
  const { shape } = inputs[1]!;
  if (sizeOf(shape) === 0) return;
  const bytes = widthOf(whole.dtype);
  const { sizes, strides } = collapse([
    contiguousLayout(shape),
    { shape, strides: whole.strides.with(axis, 0), offset: 0 },
    other,
  ]);
  const widths = [4, bytes, bytes];
  const steps = strides.map((list, k) => [0, 0, ...list.map((step) => step * widths[k]!)]);
  const [rows, columns] = [1, 1, ...sizes].slice(-2) as [number, number];
  const [row, column] = [-2, -1].map((at) => steps.map((list) => list.at(at)!)) as [number[], number[]];
  const tail = [row[1]!, column[1]!, row[2]!, column[2]!, whole.strides[axis]! * bytes];
  // Rows that meet nowhere, though elements within them may.
  const rowsApart = apart || (sizes.length === 2 && row[1] !== 0);
  const pointers = [index, engine.address(whole), engine.address(other)];
  const outer = steps.map((list) => list.slice(2, -2));
  eachOuter(sizes.slice(0, -2), outer, pointers, (at) => {
    const args = (down: number, across: number, someRows: number, someColumns: number): number[] => [
      ...at.map((pointer, k) => pointer + down * row[k]! + across * column[k]!),
      someRows,
      someColumns,
      ...tail,
    ];
    if (rows > 1 && rowsApart)
      engine.overItems(kernel, rows, columns * nanoseconds, (start, count) => args(start, 0, count, columns));
    else if (rows > 1) {
      const some = Math.max(1, Math.floor(elementsInTurn / columns));
      for (let start = 0; start < rows; start += some)
        kernel(...args(start, 0, Math.min(some, rows - start), columns));
    } else if (apart)
      engine.overItems(
        kernel,
        Math.ceil(columns / columnsAtOnce),
        columnsAtOnce * nanoseconds,
        (start, count) => {
          const from = start * columnsAtOnce;
          return args(0, from, 1, Math.min(count * columnsAtOnce, columns - from));
        },
      );
    else
      for (let start = 0; start < columns; start += elementsInTurn)
        kernel(...args(0, start, 1, Math.min(elementsInTurn, columns - start)));
  });
}

const pickingParameters = [
  'index',
  'whole',
  'other',
  'rows',
  'columns',
  'wholeRow',
  'wholeColumn',
  'otherRow',
  'otherColumn',
  'axisStep',
] as const;

/** picked(…): steps in bytes; the index lies row-major. */
function buildPicking(
  module: ModuleBuilder,
  body: (fn: FunctionBuilder, whole: I32, other: I32) => void,
): void {
  const fn = module.function('picked', allI32(pickingParameters));
  const p = parameters(fn, pickingParameters);
  const [left, whole, other, place] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  fn.times(p.rows, () => {
    fn.set(left, p.columns);
    fn.set(whole, p.whole);
    fn.set(other, p.other);
    for (const elements of [4, 1])
      fn.steps(left, elements, () => {
        for (let i = 0; i < elements; i++) {
          fn.set(place, i32.add(whole, i32.mul(i32.load(p.index, 4 * i), p.axisStep)));
          body(fn, place, other);
          fn.advance(whole, p.wholeColumn);
          fn.advance(other, p.otherColumn);
        }
        fn.advance(p.index, 4 * elements);
      });
    fn.advance(p.whole, p.wholeRow);
    fn.advance(p.other, p.otherRow);
  });
}

function buildGather(module: ModuleBuilder, width: Width): void {
  buildPicking(module, (fn, whole, other) => moveOne(fn, width, other, whole));
}
