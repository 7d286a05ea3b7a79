/** Loops over planes, places in a window, and windows: elements copied out into windows, or windows added back in. */
import { allI32, i32, parameters, type Local, type ModuleBuilder } from '../assembler/index.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import { addOne, addRun, copyRun, moveOne, runLocals, widthOf } from '../indexing/elements.ts';

export type Float = 'f32' | 'f64';

/** Steps of one operand, in bytes. */
export interface Steps {
  readonly address: number;
  readonly plane: number;
  /** From one place of the window to the next, and from one window to the next, along each axis. */
  readonly kernel: readonly number[];
  readonly windows: readonly number[];
}

export interface WindowNest {
  readonly planes: number;
  readonly kernel: readonly number[];
  readonly windows: readonly number[];
  readonly target: Steps;
  readonly source: Steps;
}

/** Of an element, roughly. */
const nanoseconds = { along: 0.25, apart: 0.7 };

const names = [
  'target',
  'source',
  'planes',
  'outer',
  'inner',
  'rows',
  'columns',
  'targetPlane',
  'targetOuter',
  'targetInner',
  'targetRow',
  'targetColumn',
  'sourcePlane',
  'sourceOuter',
  'sourceInner',
  'sourceRow',
  'sourceColumn',
] as const;

/** The last two entries, after as many of `fill` as are missing; and those before them. */
export const lastTwo = (list: readonly number[], fill: number): [number, number] =>
  [fill, fill, ...list].slice(-2) as [number, number];
export const beforeLastTwo = (list: readonly number[]): number[] => list.slice(0, -2);

/**
 * Copies the source to the target, or adds it. Planes are given out to threads: no two may meet in the target. Windows may,
 * but not the elements that one place has in different windows.
 */
export function runWindows(engine: Engine, mode: 'copy' | 'add', dtype: Float, nest: WindowNest): void {
  const { planes, kernel, windows, target, source } = nest;
  const width = widthOf(dtype);
  const [rows, columns] = lastTwo(windows, 1);
  const steps = [target, source].map((x) => [x.plane, ...lastTwo(x.kernel, 0), ...lastTwo(x.windows, 0)]) as [
    number[],
    number[],
  ];
  const along = columns === 1 || steps.every((list) => list[4] === width);
  const name = `windows ${mode} ${dtype} ${along ? 'along' : 'apart'}`;
  const run = engine.kernels.get(name, (module) => build(module, mode, dtype, along))['run']!;
  const [outer, inner] = lastTwo(kernel, 1);
  const cost = outer * inner * rows * columns * (along ? nanoseconds.along : nanoseconds.apart);
  const beyond = [kernel, windows].flatMap(beforeLastTwo);
  const strides = [target, source].map((x) => [x.kernel, x.windows].flatMap(beforeLastTwo));
  eachOuter(beyond, strides, [target.address, source.address], ([to, from]) =>
    engine.overItems(run, planes, cost, (start, count) => [
      to! + start * target.plane,
      from! + start * source.plane,
      count,
      outer,
      inner,
      rows,
      columns,
      ...steps[0],
      ...steps[1],
    ]),
  );
}

/** run(…) as `names` has them; sizes ≥ 1, steps in bytes. With `along`, the columns of both lie side by side. */
function build(module: ModuleBuilder, mode: 'copy' | 'add', dtype: Float, along: boolean): void {
  const fn = module.function('run', allI32(names));
  const p = parameters(fn, names);
  const width = widthOf(dtype);
  const local = (): Local<'i32'> => fn.local('i32');
  const run = runLocals(fn);
  const level = (
    count: Local<'i32'>,
    [to, toStep]: [Local<'i32'>, Local<'i32'>],
    [from, fromStep]: [Local<'i32'>, Local<'i32'>],
    body: (to: Local<'i32'>, from: Local<'i32'>) => void,
  ): void => {
    const [left, toHere, fromHere] = [local(), local(), local()];
    fn.set(left, count);
    fn.set(toHere, to);
    fn.set(fromHere, from);
    fn.times(left, () => {
      body(toHere, fromHere);
      fn.advance(toHere, toStep);
      fn.advance(fromHere, fromStep);
    });
  };
  const line = (to: Local<'i32'>, from: Local<'i32'>): void => {
    if (along) {
      if (mode === 'add') addRun(fn, dtype, run, to, from, p.columns);
      else copyRun(fn, width, run, to, from, i32.mul(p.columns, i32.const(width)));
      return;
    }
    fn.set(run.left, p.columns);
    fn.set(run.to, to);
    fn.set(run.from, from);
    for (const elements of [4, 1])
      fn.steps(run.left, elements, () => {
        for (let i = 0; i < elements; i++) {
          if (mode === 'add') addOne(fn, dtype, run.to, run.from);
          else moveOne(fn, width, run.to, run.from);
          fn.advance(run.to, p.targetColumn);
          fn.advance(run.from, p.sourceColumn);
        }
      });
  };
  level(p.planes, [p.target, p.targetPlane], [p.source, p.sourcePlane], (t0, s0) =>
    level(p.outer, [t0, p.targetOuter], [s0, p.sourceOuter], (t1, s1) =>
      level(p.inner, [t1, p.targetInner], [s1, p.sourceInner], (t2, s2) =>
        level(p.rows, [t2, p.targetRow], [s2, p.sourceRow], line),
      ),
    ),
  );
}
