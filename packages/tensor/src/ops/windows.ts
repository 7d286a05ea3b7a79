/** Sliding windows over axes, and their transpose. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { checkShape, normalizeAxis, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { everyBatched, overAxes } from './batch.ts';
import { convolving } from './convolution.ts';
import { real } from './domains.ts';
import { anyDType, numeric, refused } from './families.ts';
import type { Attrs, Draw, ErrorCase, StructuredRecord, ViewRecord } from './record.ts';
import { checkIntegers, windowCount } from './sliding.ts';

/** Windows of one size along each of some axes; `steps` from one to the next, `dilations` between elements of one. */
interface Sliding {
  readonly axes: readonly number[];
  readonly sizes: readonly number[];
  readonly steps: readonly number[];
  readonly dilations: readonly number[];
}

/** The attributes of windows over x, with axes ≥ 0. */
function slidingOver(op: string, x: OperandInfo, attrs: Attrs): Sliding & Attrs {
  const axes = (attrs['axes'] as readonly number[]).map((axis) => normalizeAxis(op, axis, x));
  if (new Set(axes).size !== axes.length)
    throw new ValueError(op, `axes [${axes.join(', ')}] name one axis twice`, { operands: [x] });
  const sizes = attrs['sizes'] as readonly number[];
  const steps = attrs['steps'] as readonly number[];
  const dilations = attrs['dilations'] as readonly number[];
  if ([sizes, steps, dilations].some(({ length }) => length !== axes.length))
    throw new ShapeError(op, `sizes, steps and dilations need one entry for each of ${axes.length} axes`, {
      operands: [x],
    });
  checkIntegers(op, 'sizes, steps and dilations', [...sizes, ...steps, ...dilations], 1);
  return { axes, sizes, steps, dilations };
}

/** The shape of all windows: their number in the place of each axis, their sizes at the end. */
function windowsShape(op: string, x: OperandInfo, { axes, sizes, steps, dilations }: Sliding): Shape {
  const shape = [...x.shape];
  axes.forEach((axis, i) => {
    const count = windowCount(shape[axis]!, sizes[i]!, steps[i]!, dilations[i]!);
    if (count < 1)
      throw new ShapeError(
        op,
        `a window of ${dilations[i]! * (sizes[i]! - 1) + 1} does not fit axis ${axis} of size ${shape[axis]}`,
        { operands: [x] },
      );
    shape[axis] = count;
  });
  return [...shape, ...sizes];
}

const ones = (n: number): number[] => new Array<number>(n).fill(1);

const windows: ViewRecord<
  [
    x: Tensor,
    axes: number | readonly number[],
    sizes: number | readonly number[],
    steps?: number | readonly number[],
    dilations?: number | readonly number[],
  ]
> = {
  kind: 'view',
  doc: "Sliding windows over an axis or several, without a copy: the number of windows takes the axis's place, the window's elements follow in axes at the end (PyTorch's Tensor.unfold, over several axes). Windows lie `steps` apart (1 unless told), their elements `dilations` (1 unless told).",
  promote: 'none',
  accepts: [anyDType],
  call: (x, axes, sizes, steps, dilations) => {
    const along = [axes].flat();
    const one = ones(along.length);
    return {
      inputs: [x],
      attrs: {
        axes: along,
        sizes: [sizes].flat(),
        steps: [steps ?? one].flat(),
        dilations: [dilations ?? one].flat(),
      },
    };
  },
  infer: ([x], given, op) => {
    const attrs = slidingOver(op, x!, given);
    return { shape: windowsShape(op, x!, attrs), dtype: x!.dtype as DType, attrs };
  },
  view: ({ strides, offset }, { shape, attrs }) => {
    const { axes, steps, dilations } = attrs as unknown as Sliding;
    const own = [...strides];
    axes.forEach((axis, i) => (own[axis] = strides[axis]! * steps[i]!));
    return { shape, strides: [...own, ...axes.map((axis, i) => strides[axis]! * dilations[i]!)], offset };
  },
  batch: overAxes,
  sample: (draw) => {
    const { shape, attrs } = sampleWindows(draw);
    return { inputs: [{ shape, domain: real }], attrs };
  },
  errors: slidingErrors(
    [{ shape: [3, 4] }],
    [
      {
        inputs: [{ shape: [3, 4] }],
        attrs: { axes: [1], sizes: [3], steps: [1], dilations: [2] },
        error: 'ShapeError',
        says: 'a window of 5 does not fit axis 1 of size 4',
      },
    ],
  ),
  flops: () => 0,
};

const overlapAdd: StructuredRecord<
  [
    x: Tensor,
    shape: readonly number[],
    axes: readonly number[],
    steps?: readonly number[],
    dilations?: readonly number[],
  ]
> = {
  kind: 'structured',
  doc: 'Zeros of a shape, with windows added in at their places: the transpose of `windows`, which takes the same axes, steps and dilations. Where windows overlap, their elements add up.',
  promote: 'none',
  accepts: [numeric],
  call: (x, shape, axes, steps = ones(axes.length), dilations = ones(axes.length)) => ({
    inputs: [x],
    attrs: { shape, axes, steps, dilations, sizes: x.shape.slice(x.rank - axes.length) },
  }),
  infer: ([x], given, op) => {
    const shape = given['shape'] as readonly number[];
    checkShape(op, shape);
    const target = { shape, dtype: x!.dtype };
    const attrs = slidingOver(op, target, given);
    const wanted = windowsShape(op, target, attrs);
    if (wanted.length !== x!.shape.length || wanted.some((n, i) => n !== x!.shape[i]))
      throw new ShapeError(
        op,
        `windows over [${shape.join(', ')}] have shape [${wanted.join(', ')}], which is not the tensor's`,
        { operands: [x!] },
      );
    return { shape, dtype: x!.dtype as DType, attrs: { ...attrs, shape } };
  },
  batch: (call, run) => {
    const { axes, shape, ...rest } = call.plan.attrs as unknown as Sliding & { shape: Shape };
    const attrs = { ...rest, axes: axes.map((axis) => axis + 1), shape: [call.size, ...shape] };
    return run(everyBatched(call), attrs);
  },
  sample: (draw) => {
    const { shape, attrs } = sampleWindows(draw);
    const from = windowsShape('overlapAdd', { shape, dtype: 'f32' }, attrs);
    return { inputs: [{ shape: from, domain: real }], attrs: { ...attrs, shape } };
  },
  errors: slidingErrors(
    [{ shape: [3, 3, 2] }],
    [
      {
        inputs: [{ shape: [3, 3, 2] }],
        attrs: { axes: [1], sizes: [2], steps: [2], dilations: [1] },
        error: 'ShapeError',
        says: "windows over [3, 4] have shape [3, 2, 2], which is not the tensor's",
      },
      ...refused(numeric, (dtype) => [{ shape: [3, 3, 2], dtype }]).map((row) => ({
        ...row,
        attrs: { axes: [1], sizes: [2], steps: [1], dilations: [1] },
      })),
    ],
    { shape: [3, 4] },
  ),
  flops: ([x]) => x!.shape.reduce((size, n) => size * n, 1),
};

/** A shape and windows over it, some elements of which may lie in none. */
function sampleWindows(draw: Draw): { shape: number[]; attrs: Sliding & Attrs } {
  const shape = draw.shape({ minRank: 1, maxRank: 3, maxSize: 3 });
  const axes = shape.map((_, i) => i).filter(() => draw.bool());
  if (axes.length === 0) axes.push(draw.int(0, shape.length - 1));
  if (axes.length > 2) axes.pop();
  if (draw.bool()) axes.reverse();
  const per = (max: number): number[] => axes.map(() => draw.int(1, max));
  const [sizes, steps, dilations] = [per(3), per(3), per(2)];
  axes.forEach((axis, i) => {
    const rest = draw.int(0, steps[i]! - 1);
    shape[axis] = (shape[axis]! - 1) * steps[i]! + dilations[i]! * (sizes[i]! - 1) + 1 + rest;
  });
  return { shape, attrs: { axes, sizes, steps, dilations } };
}

/** The errors of attributes, and further ones. */
function slidingErrors(
  inputs: ErrorCase['inputs'],
  further: readonly ErrorCase[],
  more: Attrs = {},
): ErrorCase[] {
  const row = (attrs: Attrs, error: ErrorCase['error'], says: string): ErrorCase => ({
    inputs,
    attrs: { axes: [1], sizes: [2], steps: [1], dilations: [1], ...more, ...attrs },
    error,
    says,
  });
  return [
    row({ axes: [2] }, 'IndexError', 'axis 2 is out of range'),
    row(
      { axes: [1, -1], sizes: [2, 2], steps: [1, 1], dilations: [1, 1] },
      'ValueError',
      'name one axis twice',
    ),
    row({ sizes: [] }, 'ShapeError', 'one entry for each of 1 axes'),
    row({ steps: [0] }, 'ValueError', 'must be integers ≥ 1'),
    row({ dilations: [0.5] }, 'ValueError', 'must be integers ≥ 1'),
    ...further.map((one) => ({ ...one, attrs: { ...more, ...one.attrs } })),
  ];
}

export const windowing = { windows, overlapAdd, ...convolving };
