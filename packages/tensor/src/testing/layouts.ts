/** One set of values in many layouts: permuted, spaced out, backwards, repeated by stride 0, away from the start. */
import fc from 'fast-check';
import type { Backend } from '../backends/backend.ts';
import { currentBackend } from '../backends/registry.ts';
import { fromData } from '../creation.ts';
import { encodeElements, isFloat, type DType } from '../dtype.ts';
import { rowMajorStrides, sameShape, sizeOf, type Layout, type Shape } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { arbitrariesOf, flag, type Generator } from './draw.ts';

/** How elements lie in a buffer, as plain data; one entry an axis. */
export interface LayoutPlan {
  /** The axes from outermost to innermost in memory. */
  readonly order: readonly number[];
  /** Elements from one to the next along the axis, in units of what lies inside it: 2 leaves gaps. */
  readonly steps: readonly number[];
  /** Axes that run backwards in memory. */
  readonly flips: readonly boolean[];
  /** Axes of one element that stands for all (stride 0): the values must not vary along them. */
  readonly repeats: readonly boolean[];
  /** Elements before the first. */
  readonly lead: number;
}

/** Row-major, without gaps, from the start of the buffer. */
export function contiguousPlan(rank: number): LayoutPlan {
  const all = <T>(value: T): T[] => new Array<T>(rank).fill(value);
  return { order: all(0).map((_, i) => i), steps: all(1), flips: all(false), repeats: all(false), lead: 0 };
}

const orders = arbitrariesOf((rank) =>
  fc.shuffledSubarray(
    Array.from({ length: rank }, (_, i) => i),
    { minLength: rank, maxLength: rank },
  ),
);
const flagsOf = (rank: number): fc.Arbitrary<boolean[]> =>
  fc.array(fc.boolean(), { minLength: rank, maxLength: rank });
const flags = arbitrariesOf(flagsOf);
const upToThree = fc.integer({ min: 0, max: 3 });
const leads = (): fc.Arbitrary<number> => upToThree;

/** One element standing for all along some axis, at least. */
const someFlags = arbitrariesOf((rank) =>
  flagsOf(rank).map((list) => (list.some(Boolean) || rank === 0 ? list : list.with(0, true))),
);

/**
 * Kinds of layouts: row-major without gaps; axes in any order; with gaps, backwards and away from the start; with
 * stride 0; and all of it at once.
 */
export const layoutKinds = ['contiguous', 'permuted', 'spaced', 'stretched', 'any'] as const;
export type LayoutKind = (typeof layoutKinds)[number];

/**
 * A layout of a shape. Shrinks toward the contiguous one. Without `repeats` no stride is 0 (values that must all differ
 * cannot stand for one another): the kind `stretched` gives any layout then.
 */
export function drawLayout(
  g: Generator,
  shape: Shape,
  { repeats = true, kind = 'any' }: { repeats?: boolean; kind?: LayoutKind } = {},
): LayoutPlan {
  const rank = shape.length;
  const plain = contiguousPlan(rank);
  if (kind === 'contiguous') return plain;
  if (kind === 'permuted') return { ...plain, order: g(orders(rank)) };
  if (kind === 'spaced')
    return {
      ...plain,
      steps: g(flags(rank)).map((gap) => (gap ? 2 : 1)),
      flips: g(flags(rank)),
      lead: g(leads),
    };
  if (kind === 'stretched' && repeats) return { ...plain, repeats: g(someFlags(rank)) };
  return {
    order: g(flag) ? g(orders(rank)) : plain.order,
    steps: g(flag) ? g(flags(rank)).map((gap) => (gap ? 2 : 1)) : plain.steps,
    flips: g(flag) ? g(flags(rank)) : plain.flips,
    repeats: repeats && g(flag) ? g(flags(rank)) : plain.repeats,
    lead: g(leads),
  };
}

/** A layout in words; nothing where it is contiguous. */
export function layoutText({ order, steps, flips, repeats, lead }: LayoutPlan): string {
  const axes = (list: readonly boolean[]): string =>
    list.flatMap((yes, axis) => (yes ? [axis] : [])).join(', ');
  const words = [
    order.some((axis, i) => axis !== i) && `axes in memory ${order.join(', ')}`,
    steps.some((step) => step !== 1) && `gaps along ${axes(steps.map((step) => step !== 1))}`,
    flips.some(Boolean) && `backwards along ${axes(flips)}`,
    repeats.some(Boolean) && `stride 0 along ${axes(repeats)}`,
    lead > 0 && `offset ${lead}`,
  ];
  return words.filter(Boolean).join('; ');
}

/** The shape of the values that a layout tells apart: 1 along the repeated axes. */
export function ownShape(shape: Shape, { repeats }: LayoutPlan): number[] {
  return shape.map((size, axis) => (repeats[axis] ? Math.min(size, 1) : size));
}

/** Row-major values of `own` shape, spread out to the full shape, row-major. */
export function spreadValues(values: readonly number[], own: Shape, shape: Shape): number[] {
  if (sameShape(own, shape)) return [...values];
  const strides = rowMajorStrides(own).map((stride, axis) => (own[axis] === shape[axis] ? stride : 0));
  return places({ shape, strides, offset: 0 }).map((at) => values[at]!);
}

/** The positions of a layout's elements, in row-major order. */
export function places({ shape, strides, offset }: Layout): number[] {
  let out: number[] = [offset];
  for (let axis = 0; axis < shape.length; axis++) {
    const [size, stride] = [shape[axis]!, strides[axis]!];
    const wider = new Array<number>(out.length * size);
    for (let k = 0, to = 0; k < out.length; k++)
      for (let i = 0; i < size; i++) wider[to++] = out[k]! + i * stride;
    out = wider;
  }
  return out;
}

/** Where the elements of a shape lie under a plan, and how long the buffer is. */
export function layoutOf(shape: Shape, plan: LayoutPlan): { layout: Layout; length: number } {
  const strides = new Array<number>(shape.length).fill(0);
  let room = 1;
  let offset = plan.lead;
  for (const axis of plan.order.toReversed()) {
    if (plan.repeats[axis]) continue;
    const size = shape[axis]!;
    const stride = room * plan.steps[axis]!;
    strides[axis] = plan.flips[axis] ? -stride : stride;
    if (plan.flips[axis] && size > 0) offset += (size - 1) * stride;
    room *= Math.max(size, 1) * plan.steps[axis]!;
  }
  return { layout: { shape, strides, offset }, length: plan.lead + room };
}

/** Stands between the elements, so that a wrong position shows. */
const junk = (dtype: DType): number => (isFloat(dtype) ? NaN : dtype === 'bool' ? 1 : 99);

/** A tensor of the given row-major values, laid out as planned. */
export function realise(
  values: readonly number[],
  shape: Shape,
  dtype: DType,
  plan: LayoutPlan = contiguousPlan(shape.length),
  backend: Backend = currentBackend(),
): Tensor {
  const { layout, length } = layoutOf(shape, plan);
  const data = new Array<number>(length).fill(junk(dtype));
  if (sizeOf(shape) > 0) places(layout).forEach((at, i) => (data[at] = values[i]!));
  const whole = fromData(encodeElements(dtype, data), [length], { dtype, backend });
  return new Tensor(whole.storage, layout, dtype);
}
