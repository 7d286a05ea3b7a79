/** Code that moves elements of 1, 2, 4 or 8 bytes, and adds up those that are numbers as they lie, one by one or in runs without gaps. */
import { bytesPerElement, type DType } from '../../../dtype.ts';
import {
  f32x4,
  f64x2,
  i32,
  i32x4,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type V128,
} from '../assembler/index.ts';

/** Bytes of an element. */
export type Width = 1 | 2 | 4 | 8;
export const widthOf = (dtype: DType): Width => bytesPerElement(dtype) as Width;

/** Copies one element. */
export function moveOne(
  fn: FunctionBuilder,
  width: Width,
  target: I32,
  source: I32,
  toOffset = 0,
  fromOffset = 0,
): void {
  if (width === 1) fn.do(i32.store8(target, i32.load8(source, fromOffset), toOffset));
  else if (width === 2) fn.do(i32.store16(target, i32.load16(source, fromOffset), toOffset));
  else if (width === 4) fn.do(i32.store(target, i32.load(source, fromOffset), toOffset));
  else fn.do(v128.store64Lane(target, v128.load64Zero(source, fromOffset), 0, toOffset));
}

/** Adds one element to another. */
export function addOne(fn: FunctionBuilder, dtype: DType, target: I32, source: I32): void {
  switch (dtype) {
    case 'f32':
      fn.do(v128.store32Lane(target, f32x4.add(v128.load32Zero(target), v128.load32Zero(source)), 0));
      return;
    case 'f64':
      fn.do(v128.store64Lane(target, f64x2.add(v128.load64Zero(target), v128.load64Zero(source)), 0));
      return;
    case 'i32':
      fn.do(i32.store(target, i32.add(i32.load(target), i32.load(source))));
      return;
    default:
      fn.do(i32.store8(target, i32.add(i32.load8(target), i32.load8(source))));
  }
}

/** How an element meets another that comes to its place. */
export type Meeting = 'set' | 'add' | 'mul' | 'max' | 'min';

/** True for what `meetOne` is made for. */
export const canMeet = (meeting: Meeting, dtype: DType): boolean =>
  meeting === 'set' || dtype === 'f32' || dtype === 'f64' || dtype === 'i32' || meeting === 'add';

/** Makes of an element what it and another make. */
export function meetOne(fn: FunctionBuilder, meeting: Meeting, dtype: DType, target: I32, source: I32): void {
  if (meeting === 'set') moveOne(fn, widthOf(dtype), target, source);
  else if (meeting === 'add') addOne(fn, dtype, target, source);
  else if (dtype === 'f64')
    fn.do(v128.store64Lane(target, f64x2[meeting](v128.load64Zero(target), v128.load64Zero(source)), 0));
  else {
    const lanes = dtype === 'f32' ? f32x4 : i32x4;
    fn.do(v128.store32Lane(target, lanes[meeting](v128.load32Zero(target), v128.load32Zero(source)), 0));
  }
}

/** Sums of vectors; where there is none, elements are added one by one. */
const vectorAdd: Readonly<Partial<Record<DType, (a: V128, b: V128) => V128>>> = {
  f32: f32x4.add,
  f64: f64x2.add,
  i32: i32x4.add,
};

/** What a run of bytes is walked with: kept by the caller, for many runs in one function. */
export interface RunLocals {
  readonly left: Local<'i32'>;
  readonly to: Local<'i32'>;
  readonly from: Local<'i32'>;
}

export const runLocals = (fn: FunctionBuilder): RunLocals => ({
  left: fn.local('i32'),
  to: fn.local('i32'),
  from: fn.local('i32'),
});

/** Copies `bytes` bytes, a multiple of the width; the places may not overlap. */
export function copyRun(
  fn: FunctionBuilder,
  width: Width,
  { left, to, from }: RunLocals,
  target: I32,
  source: I32,
  bytes: I32,
): void {
  fn.set(to, target);
  fn.set(from, source);
  fn.set(left, bytes);
  const advance = (by: number): void => {
    fn.advance(to, by);
    fn.advance(from, by);
  };
  for (const vectors of [4, 1])
    fn.steps(left, 16 * vectors, () => {
      for (let i = 0; i < vectors; i++) fn.do(v128.store(to, v128.load(from, 16 * i), 16 * i));
      advance(16 * vectors);
    });
  fn.if(left, () => {
    fn.if(i32.ge(left, i32.const(8)), () => {
      moveOne(fn, 8, to, from);
      advance(8);
      fn.advance(left, -8);
    });
    if (width <= 4)
      fn.if(i32.ge(left, i32.const(4)), () => {
        moveOne(fn, 4, to, from);
        advance(4);
        fn.advance(left, -4);
      });
    if (width <= 2)
      fn.steps(left, width, () => {
        moveOne(fn, width, to, from);
        advance(width);
      });
  });
}

/** Adds `count` elements to others. */
export function addRun(
  fn: FunctionBuilder,
  dtype: DType,
  { left, to, from }: RunLocals,
  target: I32,
  source: I32,
  count: I32,
): void {
  const width = widthOf(dtype);
  fn.set(to, target);
  fn.set(from, source);
  fn.set(left, count);
  const advance = (by: number): void => {
    fn.advance(to, by);
    fn.advance(from, by);
  };
  const add = vectorAdd[dtype];
  if (add)
    for (const vectors of [4, 1])
      fn.steps(left, (16 / width) * vectors, () => {
        for (let i = 0; i < vectors; i++)
          fn.do(v128.store(to, add(v128.load(to, 16 * i), v128.load(from, 16 * i)), 16 * i));
        advance(16 * vectors);
      });
  fn.times(left, () => {
    addOne(fn, dtype, to, from);
    advance(width);
  });
}
