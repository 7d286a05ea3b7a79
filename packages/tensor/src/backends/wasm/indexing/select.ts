/** Whole slices through an index: rows of a table picked, and added to. */
import { bytesPerElement } from '../../../dtype.ts';
import { sizeOf, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { eachOuter } from '../chunks.ts';
import { allI32, i32, parameters, type I32, type ModuleBuilder } from '../assembler/index.ts';
import type { DType } from '../../../dtype.ts';
import type { Engine } from '../engine.ts';
import { copyElements } from './copy.ts';
import { addRun, copyRun, moveOne, runLocals, type Width } from './elements.ts';
import { withIndex } from './index-tensor.ts';

/** Of an element, in nanoseconds, roughly. */
const nanoseconds = 0.3;

/** The axes before one, and those after it. */
const around = ({ shape, strides }: Layout, axis: number): [before: Layout, after: Layout] => [
  { shape: shape.slice(0, axis), strides: strides.slice(0, axis), offset: 0 },
  { shape: shape.slice(axis + 1), strides: strides.slice(axis + 1), offset: 0 },
];

export function indexSelect(engine: Engine, call: KernelCall): boolean {
  const axis = call.attrs['axis'] as number;
  const x = call.inputs[0]!;
  if (sizeOf(call.output.shape) === 0) {
    withIndex(engine, call, x.shape[axis]!, () => undefined);
    return true;
  }
  withIndex(engine, call, x.shape[axis]!, (index) => {
    if (collapse([around(x, axis)[1]]).sizes.length <= 1) select(engine, call, x, axis, index);
    else engine.withRowMajor(x, (copy) => select(engine, call, copy, axis, index));
  });
  return true;
}

/** The axes after the index's must be one at most. */
function select(
  engine: Engine,
  { inputs, output }: KernelCall,
  x: BufferView,
  axis: number,
  index: number,
): void {
  const bytes = bytesPerElement(x.dtype);
  const [before, after] = around(x, axis).map((layout) => collapse([layout])) as [
    ReturnType<typeof collapse>,
    ReturnType<typeof collapse>,
  ];
  const columns = after.sizes[0] ?? 1;
  const columnStep = (after.strides[0]![0] ?? 1) * bytes;
  const form = columns === 1 ? 'single' : columnStep === bytes ? 'runs' : 'steps';
  const kernel = engine.kernels.get(`select ${form} ${bytes}`, (module) =>
    buildSelect(module, bytes as Width, form),
  )['select']!;
  const count = sizeOf(inputs[1]!.shape);
  const row = columns * bytes;
  const axisStep = x.strides[axis]! * bytes;
  const outer = before.sizes.pop() ?? 1;
  const outerStep = (before.strides[0]!.pop() ?? 0) * bytes;
  const tail = [form === 'runs' ? row : columns, outerStep, axisStep, columnStep];
  let target = engine.address(output);
  eachOuter(before.sizes, before.strides, [0], ([at]) => {
    const to = target;
    const from = engine.address(x) + at! * bytes;
    if (outer === 1)
      engine.overItems(kernel, count, columns * nanoseconds, (start, some) => [
        to + start * row,
        from,
        index + 4 * start,
        1,
        some,
        ...tail,
      ]);
    else
      engine.overItems(kernel, outer, count * columns * nanoseconds, (start, some) => [
        to + start * count * row,
        from + start * outerStep,
        index,
        some,
        count,
        ...tail,
      ]);
    target += outer * count * row;
  });
}

/** x with rows added: the sums are taken in the order of the index, whoever takes them. */
export function indexAdd(engine: Engine, call: KernelCall): boolean {
  const { inputs, output, attrs } = call;
  const [x, , source] = inputs as [BufferView, BufferView, BufferView];
  const axis = attrs['axis'] as number;
  withIndex(engine, call, x.shape[axis]!, (index) => {
    copyElements(engine, x, output);
    if (sizeOf(source.shape) === 0) return;
    engine.withRowMajor(source, (rows) => add(engine, call, rows, axis, index));
  });
  return true;
}

/** Columns that are not parted. */
const columnsAtOnce = 64;

function add(
  engine: Engine,
  { inputs, output }: KernelCall,
  source: BufferView,
  axis: number,
  index: number,
): void {
  const { dtype, shape } = output;
  const bytes = bytesPerElement(dtype);
  const count = sizeOf(inputs[1]!.shape);
  const outer = sizeOf(shape.slice(0, axis));
  const columns = sizeOf(shape.slice(axis + 1));
  const row = columns * bytes;
  const slice = shape[axis]! * row;
  const kernel = engine.kernels.get(`index add ${dtype}`, (module) => buildAdd(module, dtype))['add']!;
  const [to, from] = [engine.address(output), engine.address(source)];
  if (outer > 1)
    engine.overItems(kernel, outer, count * columns * nanoseconds, (start, some) => [
      to + start * slice,
      from + start * count * row,
      index,
      some,
      count,
      columns,
      slice,
      row,
    ]);
  else
    engine.overItems(
      kernel,
      Math.ceil(columns / columnsAtOnce),
      count * columnsAtOnce * nanoseconds,
      (start, some) => [
        to + start * columnsAtOnce * bytes,
        from + start * columnsAtOnce * bytes,
        index,
        1,
        count,
        Math.min(some * columnsAtOnce, columns - start * columnsAtOnce),
        slice,
        row,
      ],
    );
}

const selectParameters = [
  'target',
  'source',
  'index',
  'outer',
  'count',
  'columns',
  'outerStep',
  'axisStep',
  'columnStep',
] as const;

/** How the columns lie: there is one; without gaps (they count bytes then); a step apart. */
type Form = 'single' | 'runs' | 'steps';

/** select(…): row-major, for each of `outer` the rows of the source that the index names. */
function buildSelect(module: ModuleBuilder, width: Width, form: Form): void {
  const fn = module.function('select', allI32(selectParameters));
  const p = parameters(fn, selectParameters);
  const [left, at, from] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const run = runLocals(fn);
  const row = (i: number): I32 => i32.add(p.source, i32.mul(i32.load(at, 4 * i), p.axisStep));
  const rows = (count: number): void =>
    fn.steps(left, count, () => {
      for (let i = 0; i < count; i++) {
        if (form === 'single') moveOne(fn, width, p.target, row(i), i * width, 0);
        else if (form === 'runs') {
          copyRun(fn, width, run, p.target, row(i), p.columns);
          fn.advance(p.target, p.columns);
        } else {
          fn.set(from, row(i));
          fn.set(run.left, p.columns);
          fn.times(run.left, () => {
            moveOne(fn, width, p.target, from);
            fn.advance(p.target, width);
            fn.advance(from, p.columnStep);
          });
        }
      }
      if (form === 'single') fn.advance(p.target, count * width);
      fn.advance(at, 4 * count);
    });
  fn.times(p.outer, () => {
    fn.set(left, p.count);
    fn.set(at, p.index);
    if (form === 'single') rows(4);
    rows(1);
    fn.advance(p.source, p.outerStep);
  });
}

const addParameters = ['target', 'source', 'index', 'outer', 'count', 'columns', 'slice', 'row'] as const;

/** add(…): for each of `outer`, rows of the source to the rows of the target that the index names; row and slice in bytes. */
function buildAdd(module: ModuleBuilder, dtype: DType): void {
  const fn = module.function('add', allI32(addParameters));
  const p = parameters(fn, addParameters);
  const [left, at] = [fn.local('i32'), fn.local('i32')];
  const run = runLocals(fn);
  fn.times(p.outer, () => {
    fn.set(left, p.count);
    fn.set(at, p.index);
    fn.times(left, () => {
      addRun(fn, dtype, run, i32.add(p.target, i32.mul(i32.load(at), p.row)), p.source, p.columns);
      fn.advance(p.source, p.row);
      fn.advance(at, 4);
    });
    fn.advance(p.target, p.slice);
  });
}
