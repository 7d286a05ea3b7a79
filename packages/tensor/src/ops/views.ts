/** Ops that only say anew where the elements lie: they cost nothing but a handle. */
import type { DType } from '../dtype.ts';
import { IndexError, ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { broadcastLayout, checkArray, checkShape, normalizeAxis, reshapeLayout, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { real } from './domains.ts';
import { aligned, everyBatched } from './batch.ts';
import { anyDType } from './families.ts';
import type { Attrs, AttrValue, Plan, ViewRecord } from './record.ts';

/** `[start, stop, step]` along one axis as in Python: negative counts from the end, null or missing means all the way. */
export type Range = readonly [start?: number | null, stop?: number | null, step?: number | null];

const shapeOf = (attrs: Attrs): readonly number[] => attrs['shape'] as readonly number[];
const plan = (x: OperandInfo, shape: readonly number[], attrs: Attrs): Plan => ({
  shape,
  dtype: x.dtype as DType,
  attrs,
});

/** Integers ≥ 1 whose product is `size`, for samples. */
function factor(draw: { pick<T>(items: readonly T[]): T }, size: number): number[] {
  const shape: number[] = [];
  while (size > 1) {
    const divisors = Array.from({ length: size }, (_, i) => i + 1).filter((d) => d > 1 && size % d === 0);
    const d = draw.pick(divisors);
    shape.push(d);
    size /= d;
  }
  return shape;
}

const reshape: ViewRecord<[x: Tensor, shape: readonly number[]]> = {
  kind: 'view',
  doc: 'The same elements in row-major order under another shape; one size may be -1. Copies only where strides do not allow a view.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, shape) => ({ inputs: [x], attrs: { shape } }),
  infer: ([x], attrs, op) => {
    const wanted = shapeOf(attrs);
    checkArray(op, 'the sizes', wanted, x);
    const holes = wanted.filter((n) => n === -1).length;
    if (holes > 1)
      throw new ShapeError(op, `only one size may be -1, got [${wanted.join(', ')}]`, { operands: [x!] });
    const size = sizeOf(x!.shape);
    const known = sizeOf(wanted.filter((n) => n !== -1));
    const shape = wanted.map((n) => (n === -1 ? (known === 0 ? NaN : size / known) : n));
    const fits = shape.every((n) => Number.isInteger(n) && n >= 0) && sizeOf(shape) === size;
    if (!fits)
      throw new ShapeError(op, `${size} elements do not fit the shape [${wanted.join(', ')}]`, {
        operands: [x!],
      });
    return plan(x!, shape, { shape });
  },
  view: (layout, { shape }) => reshapeLayout(layout, shape),
  batch: (call, run) => run(everyBatched(call), { shape: [call.size, ...call.plan.shape] }),
  sample: (draw) => {
    const shape = draw.shape();
    return { inputs: [{ shape, domain: real }], attrs: { shape: factor(draw, sizeOf(shape)) } };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { shape: [4] },
      error: 'ShapeError',
      says: '6 elements do not fit',
    },
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { shape: [-1, -1] },
      error: 'ShapeError',
      says: 'only one size may be -1',
    },
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { shape: [-1, 4] },
      error: 'ShapeError',
      says: '6 elements do not fit',
    },
  ],
  flops: () => 0,
};

const permute: ViewRecord<[x: Tensor, axes: readonly number[]]> = {
  kind: 'view',
  doc: 'Axes in another order: axis i of the result is axis `axes[i]` of x.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, axes) => ({ inputs: [x], attrs: { axes } }),
  infer: ([x], attrs, op) => {
    checkArray(op, 'the axes', attrs['axes'], x);
    const axes = (attrs['axes'] as readonly number[]).map((axis) => normalizeAxis(op, axis, x!));
    if (axes.length !== x!.shape.length || new Set(axes).size !== axes.length)
      throw new ValueError(
        op,
        `axes [${(attrs['axes'] as readonly number[]).join(', ')}] are not a reordering of all axes`,
        { operands: [x!] },
      );
    return plan(
      x!,
      axes.map((axis) => x!.shape[axis]!),
      { axes },
    );
  },
  view: ({ strides, offset }, { shape, attrs }) => ({
    shape,
    strides: (attrs['axes'] as readonly number[]).map((axis) => strides[axis]!),
    offset,
  }),
  batch: (call, run) => {
    const axes = call.plan.attrs['axes'] as readonly number[];
    return run(everyBatched(call), { axes: [0, ...axes.map((axis) => axis + 1)] });
  },
  sample: (draw) => {
    const shape = draw.shape();
    const rest = shape.map((_, i) => i);
    const axes = shape.map(() => rest.splice(draw.int(0, rest.length - 1), 1)[0]!);
    return { inputs: [{ shape, domain: real }], attrs: { axes } };
  },
  errors: [
    { inputs: [{ shape: [2, 3] }], attrs: { axes: [0, 0] }, error: 'ValueError', says: 'not a reordering' },
    { inputs: [{ shape: [2, 3] }], attrs: { axes: [0] }, error: 'ValueError', says: 'not a reordering' },
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { axes: [0, 5] },
      error: 'IndexError',
      says: 'axis 5 is out of range',
    },
  ],
  flops: () => 0,
};

const expand: ViewRecord<[x: Tensor, shape: readonly number[]]> = {
  kind: 'view',
  doc: 'Stretched to a broader shape by repetition, without a copy; -1 keeps a size.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, shape) => ({ inputs: [x], attrs: { shape } }),
  infer: ([x], attrs, op) => {
    const wanted = shapeOf(attrs);
    checkArray(op, 'the sizes', wanted, x);
    const lead = wanted.length - x!.shape.length;
    const shape = wanted.map((n, i) => (n === -1 && i >= lead ? x!.shape[i - lead]! : n));
    checkShape(op, shape);
    const fits = lead >= 0 && x!.shape.every((n, i) => n === 1 || n === shape[lead + i]);
    if (!fits)
      throw new ShapeError(op, `cannot stretch to [${wanted.join(', ')}]`, {
        operands: [x!],
        hint: 'aligned at the right, a size must be equal or 1',
      });
    return plan(x!, shape, { shape });
  },
  view: (layout, { shape }) => broadcastLayout(layout, shape),
  batch: (call, run) =>
    run(aligned(call, call.plan.shape.length), { shape: [call.size, ...call.plan.shape] }),
  sample: (draw) => {
    const shape = draw.shape({ maxRank: 2 });
    const lead = draw.shape({ maxRank: 1 });
    return {
      inputs: [{ shape: shape.map((n) => (draw.bool() ? 1 : n)), domain: real }],
      attrs: { shape: [...lead, ...shape] },
    };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }],
      attrs: { shape: [4, 3] },
      error: 'ShapeError',
      says: 'cannot stretch to [4, 3]',
    },
    { inputs: [{ shape: [2, 3] }], attrs: { shape: [3] }, error: 'ShapeError', says: 'cannot stretch' },
  ],
  flops: () => 0,
};

const notInteger = (n: number | null): number | null => (n === null || Number.isInteger(n) ? null : n);

/** A position counted from either end, no further than a range along an axis can reach. */
function placeIn(size: number, n: number, step: number): number {
  const low = step > 0 ? 0 : -1;
  return Math.min(Math.max(n < 0 ? n + size : n, low), low + size);
}

const slice: ViewRecord<[x: Tensor, ranges: readonly (Range | null)[]]> = {
  kind: 'view',
  doc: 'A range `[start, stop, step]` of each leading axis, as in Python; null takes the whole axis, a negative step runs backwards.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, ranges) => {
    checkArray('slice', 'the ranges', ranges, x);
    const given = new Array<readonly (number | null)[] | null>(ranges.length);
    for (let i = 0; i < ranges.length; i++) {
      const range = ranges[i]!;
      if (range !== null) checkArray('slice', 'start, stop and step', range, x);
      given[i] = range && [range[0] ?? null, range[1] ?? null, range[2] ?? 1];
    }
    return { inputs: [x], attrs: { ranges: given } };
  },
  infer: ([x], attrs, op) => {
    const ranges = attrs['ranges'] as readonly (readonly (number | null)[] | null)[];
    if (ranges.length > x!.shape.length)
      throw new IndexError(op, `${ranges.length} ranges for rank ${x!.shape.length}`, { operands: [x!] });
    const rank = x!.shape.length;
    const starts = new Array<number>(rank);
    const steps = new Array<number>(rank);
    const shape = new Array<number>(rank);
    // Most calls of a model that reads token by token are views: nothing is made here that is not kept.
    for (let axis = 0; axis < rank; axis++) {
      const size = x!.shape[axis]!;
      const range = ranges[axis];
      const from = range?.[0] ?? null;
      const to = range?.[1] ?? null;
      const step = range?.[2] ?? 1;
      const wrong = notInteger(from) ?? notInteger(to) ?? notInteger(step);
      if (wrong !== null)
        throw new ValueError(op, `${wrong} is not an integer (axis ${axis})`, { operands: [x!] });
      if (step === 0) throw new ValueError(op, `step 0 (axis ${axis})`, { operands: [x!] });
      const start = from === null ? (step > 0 ? 0 : size - 1) : placeIn(size, from, step);
      const stop = to === null ? (step > 0 ? size : -1) : placeIn(size, to, step);
      starts[axis] = start;
      steps[axis] = step;
      shape[axis] = Math.max(0, Math.ceil((stop - start) / step));
    }
    return plan(x!, shape, { starts, steps, sizes: shape, ranges });
  },
  view: ({ strides, offset }, { shape, attrs }) => {
    const starts = attrs['starts'] as readonly number[];
    const steps = attrs['steps'] as readonly number[];
    if (sizeOf(shape) === 0) return { shape, strides, offset };
    const along = new Array<number>(strides.length);
    let at = offset;
    for (let axis = 0; axis < strides.length; axis++) {
      along[axis] = strides[axis]! * steps[axis]!;
      at += strides[axis]! * starts[axis]!;
    }
    return { shape, strides: along, offset: at };
  },
  batch: (call, run) => {
    const ranges = call.plan.attrs['ranges'] as readonly AttrValue[];
    return run(everyBatched(call), { ranges: [null, ...ranges] });
  },
  sample: (draw) => {
    const shape = draw.shape({ maxSize: 5 });
    const ranges = shape.map((n) => {
      if (draw.int(0, 3) === 0) return null;
      const step = draw.pick([1, 1, 2, -1, -2]);
      const low = draw.int(0, n - 1);
      const high = draw.int(low, n - 1);
      return step > 0 ? [low, high + 1, step] : [high, low === 0 ? null : low - 1, step];
    });
    return { inputs: [{ shape, domain: real }], attrs: { ranges } };
  },
  errors: [
    {
      inputs: [{ shape: [3] }],
      attrs: { ranges: [null, null] },
      error: 'IndexError',
      says: '2 ranges for rank 1',
    },
    { inputs: [{ shape: [3] }], attrs: { ranges: [[0, 2, 0]] }, error: 'ValueError', says: 'step 0' },
    {
      inputs: [{ shape: [3] }],
      attrs: { ranges: [[0.5, 2, 1]] },
      error: 'ValueError',
      says: 'not an integer',
    },
  ],
  flops: () => 0,
};

export const views = { reshape, permute, expand, slice };
