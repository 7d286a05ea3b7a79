/** Reductions: along rows (lanes meet at the end of a row), or down columns (four columns at a time). */
import { bytesPerElement, isFloat, type DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import type { ReductionRecord } from '../../ops/record.ts';
import { contiguousLayout, sizeOf, type Layout } from '../../shape.ts';
import type { KernelCall } from '../backend.ts';
import { collapse, isEmpty } from '../js/print.ts';
import { f64x2, i32, shuffle32, type ModuleBuilder, type Local, type V128 } from './assembler/index.ts';
import { eachOuter } from './chunks.ts';
import type { ConstantPool } from './constants.ts';
import type { WasmBuffer } from './heap.ts';
import type { Engine } from './engine.ts';
import { asKind, choose, everyLane, keep, upperHalf, type LaneKind, type Lanes } from './lanes/lanes.ts';
import { laneMask, loadLanes, storeLanes, type Access } from './lanes/memory.ts';
import { kindOf, printLanes } from './lanes/print.ts';
import { MathContext } from './math/context.ts';

/** Of one element, roughly. */
const nanoseconds = 0.5;

/** The least and the greatest need no more bits than their elements; all else in floating point adds up in f64. */
function accumulatorKind(record: ReductionRecord, dtype: DType, result: DType): LaneKind {
  if (result === 'bool') return 'mask';
  if (!isFloat(dtype)) return 'i32';
  const step = record.combine(ir.input(0), ir.input(1));
  return step.kind === 'call' && (step.fn === 'min' || step.fn === 'max') ? kindOf(dtype) : 'f64';
}

/** The axes that stay, and those that go. */
function parted({ shape, strides }: Layout, axes: readonly number[]): [stay: Layout, go: Layout] {
  const part = (): { shape: number[]; strides: number[]; offset: number } => ({
    shape: [],
    strides: [],
    offset: 0,
  });
  const [stay, go] = [part(), part()];
  for (let axis = 0; axis < shape.length; axis++) {
    const to = axes.includes(axis) ? go : stay;
    to.shape.push(shape[axis]!);
    to.strides.push(strides[axis]!);
  }
  return [stay, go];
}

/** @returns false where it does not run: over nothing, and over more axes than three however they are collapsed */
export function runReduction(
  engine: Engine,
  { op, inputs, output, attrs }: KernelCall,
  record: ReductionRecord,
): boolean {
  if (isEmpty(output)) return true;
  const x = inputs[0]!;
  const [stay, go] = parted(x, attrs['axes'] as readonly number[]);
  const count = sizeOf(go.shape);
  const inner = collapse([go]);
  if (count === 0 || inner.sizes.length > 3) return false;
  const outer = collapse([contiguousLayout(stay.shape), stay]);
  const width = bytesPerElement(x.dtype);
  const goSizes = [1, 1, 1, ...inner.sizes].slice(-3);
  const goSteps = [0, 0, 0, ...inner.strides[0]!].slice(-3).map((s) => s * width);
  const stayStep = outer.sizes.length === 0 ? 0 : outer.strides[1]!.at(-1)!;
  const goStep = inner.sizes.length === 0 ? 0 : inner.strides[0]!.at(-1)!;
  const down = stayStep === 1 && goStep !== 1 && outer.sizes.at(-1)! >= 4;
  const access = down || goStep === 1 ? 'unit' : 'step';
  const key = `${op} ${x.dtype} ${output.dtype} ${down ? 'down' : 'along'} ${access}`;
  const kernel = engine.kernels.get(key, (module, constants) =>
    (down ? buildDown : buildAlong)(module, constants, record, x.dtype, output.dtype, access),
  )['run']!;
  const lines = outer.sizes.at(-1) ?? 1;
  const base = [(output.buffer as WasmBuffer).pointer, (x.buffer as WasmBuffer).pointer];
  const outWidth = bytesPerElement(output.dtype);
  const cost = count * nanoseconds;
  const args = (q: number, p: number, first: number, some: number): number[] => [
    base[0]! + (q + first) * outWidth,
    base[1]! + (p + first * stayStep) * width,
    some,
    stayStep * width,
    ...goSizes,
    ...goSteps,
    count,
  ];
  if (outer.sizes.length <= 1) {
    // Down columns four go together: they are not parted.
    const group = down ? 4 : 1;
    engine.overItems(kernel, Math.ceil(lines / group), cost * group, (start, some) => {
      const first = start * group;
      return args(output.offset, x.offset, first, Math.min(some * group, lines - first));
    });
    return true;
  }
  const calls: number[][] = [];
  eachOuter(outer.sizes.slice(0, -1), outer.strides, [output.offset, x.offset], ([q, p]) =>
    calls.push(args(q!, p!, 0, lines)),
  );
  engine.overCalls(kernel, calls, cost * lines);
  return true;
}

/** run(out, x, lines, line step, three sizes that go, their steps, count): steps in bytes, `out` contiguous. */
class Frame {
  readonly m: MathContext;
  readonly record: ReductionRecord;
  readonly dtype: DType;
  readonly kind: LaneKind;
  readonly numberKind: 'f32' | 'f64' | 'i32';

  constructor(
    module: ModuleBuilder,
    constants: ConstantPool,
    record: ReductionRecord,
    dtype: DType,
    result: DType,
  ) {
    const fn = module.function('run', [...new Array<'i32'>(10).fill('i32'), 'f64']);
    this.m = new MathContext(module, fn, constants);
    this.record = record;
    this.dtype = dtype;
    this.kind = accumulatorKind(record, dtype, result);
    this.numberKind = this.kind === 'mask' ? kindOf(dtype) : this.kind;
  }

  param(i: number): Local<'i32'> {
    return this.m.fn.param(i, 'i32');
  }

  initial(kind: LaneKind): Lanes {
    const constants = {
      f32x4: (x: number): V128 => this.m.f32x4(x),
      f64x2: (x: number): V128 => this.m.f64x2(x),
    };
    return everyLane(this.record.initial(this.dtype), kind, constants);
  }

  /** Locals that hold an accumulator. */
  accumulator(): Lanes {
    const { fn } = this.m;
    return this.kind === 'f64'
      ? { kind: 'f64', low: fn.local('v128'), high: fn.local('v128') }
      : { kind: this.kind, v: fn.local('v128') };
  }

  assign(to: Lanes, from: Lanes): void {
    const { fn } = this.m;
    const set = (local: V128, value: V128): void => fn.set(local as never, value);
    if (to.kind === 'f64') {
      const wide = asKind(fn, from, 'f64') as { low: V128; high: V128 };
      set(to.low, wide.low);
      set(to.high, wide.high);
    } else set(to.v, (asKind(fn, from, to.kind) as { v: V128 }).v);
  }

  combine(accumulator: Lanes, element: Lanes): void {
    const { fn } = this.m;
    const x = this.kind === 'mask' ? element : asKind(fn, element, this.kind);
    const step = this.record.combine(ir.input(0), ir.input(1));
    this.assign(accumulator, printLanes(this.m, step, this.numberKind, [accumulator, keep(fn, x)]));
  }

  finished(accumulator: Lanes): Lanes {
    const { finish } = this.record;
    if (!finish) return accumulator;
    const count = f64x2.splat(this.m.fn.param(10, 'f64'));
    const kept = this.m.fn.let(count);
    const wide = { kind: 'f64', low: kept, high: kept } as const;
    return printLanes(this.m, finish(ir.input(0), ir.input(1)), this.numberKind, [accumulator, wide]);
  }

  /** The lanes of an accumulator met in lane 0. */
  meet(accumulator: Lanes): Lanes {
    const { fn } = this.m;
    if (accumulator.kind === 'f64') {
      this.combine(accumulator, { kind: 'f64', low: accumulator.high, high: accumulator.high });
      const { low } = accumulator;
      const other = fn.let(upperHalf(low));
      this.combine(accumulator, { kind: 'f64', low: other, high: other });
      return accumulator;
    }
    const { kind, v } = accumulator;
    this.combine(accumulator, { kind, v: fn.let(upperHalf(v)) });
    this.combine(accumulator, { kind, v: fn.let(shuffle32(v, v, [1, 1, 1, 1])) });
    return accumulator;
  }
}

type Six = [Local<'i32'>, Local<'i32'>, Local<'i32'>, Local<'i32'>, Local<'i32'>, Local<'i32'>];
type Build = (
  module: ModuleBuilder,
  constants: ConstantPool,
  record: ReductionRecord,
  dtype: DType,
  result: DType,
  access: 'unit' | 'step',
) => void;

const buildAlong: Build = (module, constants, record, dtype, result, accessName) => {
  const f = new Frame(module, constants, record, dtype, result);
  const { fn } = f.m;
  const [out, x, lines, lineStep] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  const [a, b, n, aStep, bStep, step] = [4, 5, 6, 7, 8, 9].map((i) => f.param(i)) as Six;
  const access: Access = accessName === 'unit' ? 'unit' : { step: step };
  const accumulator = f.accumulator();
  const [i, j, left, pa, pb, p] = Array.from({ length: 6 }, () => fn.local('i32')) as Six;
  fn.times(lines, () => {
    f.assign(accumulator, f.initial(f.kind));
    fn.set(pa, x);
    fn.set(i, a);
    fn.times(i, () => {
      fn.set(pb, pa);
      fn.set(j, b);
      fn.times(j, () => {
        fn.set(p, pb);
        fn.set(left, n);
        fn.steps(left, 4, () => {
          f.combine(accumulator, keep(fn, loadLanes(fn, dtype, p, access)));
          fn.advance(
            p,
            accessName === 'unit' ? i32.const(4 * bytesPerElement(dtype)) : i32.shl(step, i32.const(2)),
          );
        });
        fn.if(left, () => {
          const some = keep(fn, loadLanes(fn, dtype, p, access, left));
          f.combine(accumulator, keep(fn, choose(fn, laneMask(left), some, f.initial(some.kind))));
        });
        fn.advance(pb, bStep);
      });
      fn.advance(pa, aStep);
    });
    storeLanes(fn, result, out, f.finished(f.meet(accumulator)), i32.const(1));
    fn.advance(out, bytesPerElement(result));
    fn.advance(x, lineStep);
  });
};

/** Four neighbouring columns at a time. */
const buildDown: Build = (module, constants, record, dtype, result) => {
  const f = new Frame(module, constants, record, dtype, result);
  const { fn } = f.m;
  const [out, x, lines] = [f.param(0), f.param(1), f.param(2)];
  const [a, b, n, aStep, bStep, step] = [4, 5, 6, 7, 8, 9].map((i) => f.param(i)) as Six;
  const accumulator = f.accumulator();
  const [i, j, left, pa, pb, p] = Array.from({ length: 6 }, () => fn.local('i32')) as Six;
  const column = (some?: typeof lines): void => {
    f.assign(accumulator, f.initial(f.kind));
    fn.set(pa, x);
    fn.set(i, a);
    fn.times(i, () => {
      fn.set(pb, pa);
      fn.set(j, b);
      fn.times(j, () => {
        fn.set(p, pb);
        fn.set(left, n);
        fn.times(left, () => {
          f.combine(accumulator, keep(fn, loadLanes(fn, dtype, p, 'unit')));
          fn.advance(p, step);
        });
        fn.advance(pb, bStep);
      });
      fn.advance(pa, aStep);
    });
    storeLanes(fn, result, out, f.finished(accumulator), some);
  };
  fn.steps(lines, 4, () => {
    column();
    fn.advance(out, 4 * bytesPerElement(result));
    fn.advance(x, 4 * bytesPerElement(dtype));
  });
  fn.if(lines, () => column(lines));
};
