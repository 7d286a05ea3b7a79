/** Loads and stores of four elements, or of the first few of four. */
import { bytesPerElement, isHalf, type DType, type HalfDType } from '../../../dtype.ts';
import {
  i32,
  i32x4,
  select,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type V128,
} from '../assembler/index.ts';
import { narrowHalves, widenHalves } from './halves.ts';
import { asF32, asF64, asI32, asMask, type Lanes } from './lanes.ts';

/** How the elements of one vector lie: side by side, one for all, or a step (in bytes) apart. */
export type Access = 'unit' | 'same' | { readonly step: Local<'i32'> };

/**
 * Four elements from an address on. Where they lie side by side, memory after the last is read as well.
 * @param left where given, only so many elements (1 … 3) may be read from places a step apart
 */
export function loadLanes(
  fn: FunctionBuilder,
  dtype: DType,
  address: I32,
  access: Access,
  left?: I32,
): Lanes {
  const halves = (words: V128): Lanes => ({ kind: 'f32', v: widenHalves(fn, dtype as HalfDType, words) });
  if (access === 'unit') return isHalf(dtype) ? halves(v128.load16x4(address)) : loadUnit(dtype, address);
  if (access === 'same')
    return isHalf(dtype) ? halves(i32x4.splat(i32.load16(address))) : loadSame(dtype, address);
  const { step } = access;
  const places = [0, 1, 2, 3].map((lane) => {
    if (lane === 0) return address;
    const offset = i32.mul(step, i32.const(lane));
    return fn.let(
      i32.add(address, left ? select(i32.gt(left, i32.const(lane)), offset, i32.const(0)) : offset),
    );
  }) as [I32, I32, I32, I32];
  const gather = (
    load: (address: I32, lane: number, into: V128) => V128,
    from: number,
    count: number,
  ): V128 => {
    let v = count === 2 ? v128.load64Zero(places[from]!) : v128.load32Zero(places[from]!);
    for (let lane = 1; lane < count; lane++) v = load(places[from + lane]!, lane, v);
    return v;
  };
  if (dtype === 'f64')
    return { kind: 'f64', low: gather(v128.load64Lane, 0, 2), high: gather(v128.load64Lane, 2, 2) };
  if (dtype === 'f32' || dtype === 'i32') return { kind: dtype, v: gather(v128.load32Lane, 0, 4) };
  const load = isHalf(dtype) ? i32.load16 : i32.load8;
  let v = i32x4.splat(load(places[0]));
  for (let lane = 1; lane < 4; lane++) v = i32x4.replace(v, lane, load(places[lane]!));
  return isHalf(dtype) ? halves(v) : { kind: 'i32', v };
}

function loadUnit(dtype: DType, address: I32): Lanes {
  switch (dtype) {
    case 'f32':
    case 'i32':
      return { kind: dtype, v: v128.load(address) };
    case 'f64':
      return { kind: 'f64', low: v128.load(address), high: v128.load(address, 16) };
    default:
      return { kind: 'i32', v: i32x4.fromBytes(v128.load32Zero(address)) };
  }
}

function loadSame(dtype: DType, address: I32): Lanes {
  switch (dtype) {
    case 'f32':
    case 'i32':
      return { kind: dtype, v: v128.load32Splat(address) };
    case 'f64':
      return { kind: 'f64', low: v128.load64Splat(address), high: v128.load64Splat(address) };
    default:
      return { kind: 'i32', v: i32x4.splat(i32.load8(address)) };
  }
}

/**
 * Stores four elements side by side, as the dtype: floats round, integers wrap, truth is 1 or 0.
 * @param left where given, only so many of them (1 … 3)
 */
export function storeLanes(fn: FunctionBuilder, dtype: DType, address: I32, x: Lanes, left?: I32): void {
  if (dtype === 'f64') {
    const { low, high } = asF64(fn, x);
    if (!left) {
      fn.do(v128.store(address, low));
      fn.do(v128.store(address, high, 16));
      return;
    }
    const [a, b] = [fn.let(low), fn.let(high)];
    fn.do(v128.store64Lane(address, a, 0));
    fn.if(i32.gt(left, i32.const(1)), () => fn.do(v128.store64Lane(address, a, 1, 8)));
    fn.if(i32.gt(left, i32.const(2)), () => fn.do(v128.store64Lane(address, b, 0, 16)));
    return;
  }
  const size = bytesPerElement(dtype) as 1 | 2 | 4;
  const v = (() => {
    if (dtype === 'f32') return asF32(x);
    if (dtype === 'i32') return asI32(x);
    if (isHalf(dtype)) return i32x4.toWords(narrowHalves(fn, dtype, x));
    const whole = dtype === 'bool' ? i32x4.shrUnsigned(asMask(x), 31) : v128.and(asI32(x), i32x4.const(255));
    return i32x4.toBytes(whole);
  })();
  if (!left) {
    fn.do(
      size === 4 ? v128.store(address, v) : (size === 2 ? v128.store64Lane : v128.store32Lane)(address, v, 0),
    );
    return;
  }
  const kept = fn.let(v);
  const store = { 1: v128.store8Lane, 2: v128.store16Lane, 4: v128.store32Lane }[size];
  const one = (lane: number) => store(address, kept, lane, lane * size);
  fn.do(one(0));
  fn.if(i32.gt(left, i32.const(1)), () => fn.do(one(1)));
  fn.if(i32.gt(left, i32.const(2)), () => fn.do(one(2)));
}

/** All ones in the lanes before `left`. */
export function laneMask(left: I32): V128 {
  return i32x4.lt(i32x4.constants(0, 1, 2, 3), i32x4.splat(left));
}
