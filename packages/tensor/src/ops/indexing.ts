/** Ops that join tensors and that read or write through index tensors. */
import { promote, roundTo, type DType } from '../dtype.ts';
import { IndexError, ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { checkArray, checkShape, normalizeAxis, sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis, everyBatched, type BatchedCall } from './batch.ts';
import { indexBelow, real } from './domains.ts';
import { anyDType, indices, numeric, refused } from './families.ts';
import type { AttrValue, Draw, ErrorCase, StructuredRecord } from './record.ts';

type Infos = readonly OperandInfo[];

/** [...before axis, `middle`, ...after axis]. */
export function spliceAxis(shape: readonly number[], axis: number, middle: readonly number[]): number[] {
  return [...shape.slice(0, axis), ...middle, ...shape.slice(axis + 1)];
}

export const axisError = (inputs: ErrorCase['inputs'], axis = 5): ErrorCase => ({
  inputs,
  attrs: { axis },
  error: 'IndexError',
  says: `axis ${axis} is out of range`,
});
export const indexDTypeErrors = (inputs: (dtype: DType) => ErrorCase['inputs']): ErrorCase[] =>
  refused(indices, inputs).map((row) => ({ ...row, attrs: { axis: 0 } }));

const concat: StructuredRecord<[tensors: readonly Tensor[], axis?: number]> & { readonly free: true } = {
  kind: 'structured',
  moves: true,
  free: true,
  doc: 'Tensors joined end to end along an existing axis (the first unless told).',
  promote: 'common',
  accepts: [anyDType],
  call: (tensors, axis = 0) => ({ inputs: tensors, attrs: { axis } }),
  infer: (inputs, attrs, op) => {
    if (inputs.length === 0) throw new ValueError(op, 'needs at least one tensor');
    const first = inputs[0]!;
    const axis = normalizeAxis(op, attrs['axis'] as number, first);
    const shape = [...first.shape];
    let dtype = first.dtype as DType;
    for (const x of inputs.slice(1)) {
      const fits = x.shape.length === shape.length && x.shape.every((n, i) => i === axis || n === shape[i]);
      if (!fits) throw new ShapeError(op, `sizes differ outside axis ${axis}`, { operands: inputs });
      shape[axis]! += x.shape[axis]!;
      dtype = promote(dtype, x.dtype as DType);
    }
    return { shape, dtype, attrs: { axis } };
  },
  batch: alongAxis,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1 });
    const axis = draw.int(0, shape.length - 1);
    const count = draw.int(1, 3);
    return {
      inputs: Array.from({ length: count }, () => ({
        shape: spliceAxis(shape, axis, [draw.int(1, 3)]),
        domain: real,
      })),
      attrs: { axis: draw.bool() ? axis : axis - shape.length },
    };
  },
  errors: [
    { inputs: [], attrs: { axis: 0 }, error: 'ValueError', says: 'at least one tensor' },
    {
      inputs: [{ shape: [2, 3] }, { shape: [2, 4] }],
      attrs: { axis: 0 },
      error: 'ShapeError',
      says: 'sizes differ outside axis 0',
    },
    axisError([{ shape: [2, 3] }]),
  ],
  flops: () => 0,
};

const pad: StructuredRecord<
  [x: Tensor, widths: readonly (readonly [before: number, after: number])[], value?: number]
> = {
  kind: 'structured',
  doc: 'x framed by `value` (0 unless told): `widths[i]` elements before and after along axis i; missing axes get none.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, widths, value = 0) => ({ inputs: [x], attrs: { widths, value } }),
  infer: ([x], attrs, op) => {
    const given = attrs['widths'] as readonly (readonly [number, number])[];
    checkArray(op, 'the widths', given, x);
    for (const pair of given) checkArray(op, 'the widths of an axis', pair, x);
    if (given.length > x!.shape.length)
      throw new ShapeError(op, `${given.length} widths for rank ${x!.shape.length}`, { operands: [x!] });
    for (const width of given.flat())
      if (!Number.isInteger(width) || width < 0)
        throw new ValueError(op, `widths must be integers ≥ 0, got ${width}`, {
          operands: [x!],
          hint: 'slice() cuts off',
        });
    const widths = x!.shape.map((_, i) => given[i] ?? [0, 0]);
    const shape = x!.shape.map((n, i) => n + widths[i]![0] + widths[i]![1]);
    return {
      shape,
      dtype: x!.dtype as DType,
      attrs: { widths, value: roundTo(x!.dtype as DType, (attrs['value'] ?? 0) as number) },
    };
  },
  batch: (call, run) => {
    const { widths, value } = call.plan.attrs as { widths: readonly AttrValue[]; value: number };
    return run(everyBatched(call), { widths: [[0, 0], ...widths], value });
  },
  sample: (draw) => {
    const shape = draw.shape();
    const value = draw.int(-1, 1);
    return {
      inputs: [{ shape, domain: real }],
      attrs: { widths: shape.map(() => [draw.int(0, 2), draw.int(0, 2)]), value },
    };
  },
  errors: [
    {
      inputs: [{ shape: [2] }],
      attrs: {
        widths: [
          [0, 0],
          [0, 0],
        ],
        value: 0,
      },
      error: 'ShapeError',
      says: '2 widths for rank 1',
    },
    {
      inputs: [{ shape: [2] }],
      attrs: { widths: [[-1, 0]], value: 0 },
      error: 'ValueError',
      says: 'integers ≥ 0',
    },
  ],
  flops: () => 0,
};

const unslice: StructuredRecord<
  [x: Tensor, shape: readonly number[], starts: readonly number[], steps: readonly number[]]
> = {
  kind: 'structured',
  moves: true,
  doc: 'Zeros of a shape, with x at the places start + i·step along each axis: what slice() would read is x.',
  promote: 'none',
  accepts: [anyDType],
  call: (x, shape, starts, steps) => ({ inputs: [x], attrs: { shape, starts, steps } }),
  infer: ([x], attrs, op) => {
    const shape = attrs['shape'] as readonly number[];
    const starts = attrs['starts'] as readonly number[];
    const steps = attrs['steps'] as readonly number[];
    checkShape(op, shape);
    const rank = x!.shape.length;
    if ([shape, starts, steps].some((list) => list.length !== rank))
      throw new ShapeError(op, `shape, starts and steps need one entry for each of ${rank} axes`, {
        operands: [x!],
      });
    x!.shape.forEach((n, axis) => {
      const last = starts[axis]! + (n - 1) * steps[axis]!;
      const inside = (at: number): boolean => at >= 0 && at < shape[axis]!;
      if (n > 0 && !(inside(starts[axis]!) && inside(last)))
        throw new IndexError(op, `${starts[axis]} … ${last} leaves axis ${axis} of size ${shape[axis]}`, {
          operands: [x!],
        });
    });
    return { shape, dtype: x!.dtype as DType, attrs: { starts, steps, shape } };
  },
  batch: (call, run) => {
    const { starts, steps, shape } = call.plan.attrs as Readonly<Record<string, readonly AttrValue[]>>;
    return run(everyBatched(call), {
      starts: [0, ...starts!],
      steps: [1, ...steps!],
      shape: [call.size, ...shape!],
    });
  },
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1 });
    const steps = shape.map(() => draw.pick([1, 2, -1]));
    const starts = shape.map((n, i) => (steps[i]! > 0 ? draw.int(0, 1) : n - 1 + draw.int(0, 1)));
    return {
      inputs: [{ shape, domain: real }],
      attrs: { shape: shape.map((n, i) => (n - 1) * Math.abs(steps[i]!) + 2), starts, steps },
    };
  },
  errors: [
    {
      inputs: [{ shape: [2] }],
      attrs: { shape: [2, 2], starts: [0], steps: [1] },
      error: 'ShapeError',
      says: 'one entry for each of 1 axes',
    },
    {
      inputs: [{ shape: [2] }],
      attrs: { shape: [2], starts: [1], steps: [1] },
      error: 'IndexError',
      says: 'leaves axis 0 of size 2',
    },
  ],
  flops: () => 0,
};

/** The shapes of an index-select: the index tensor's whole shape takes the place of the axis. */
function selection(inputs: Infos, axisAttr: unknown, op: string): { axis: number; shape: number[] } {
  const axis = normalizeAxis(op, axisAttr as number, inputs[0]!);
  return { axis, shape: spliceAxis(inputs[0]!.shape, axis, inputs[1]!.shape) };
}

function sampleSelection(draw: Draw): { shape: number[]; axis: number; index: number[] } {
  const shape = draw.shape({ minRank: 1 });
  return { shape, axis: draw.int(0, shape.length - 1), index: draw.shape({ maxRank: 2 }) };
}

/** Indices that differ from example to example, for the axis of every line of x alike: the index of a gather. */
function indexLines({ size, plan }: BatchedCall, index: Tensor, shape: readonly number[]): Tensor {
  const axis = (plan.attrs['axis'] as number) + 1;
  const count = index.size / Math.max(1, size);
  const flat = index.reshape([size, ...shape.slice(1).map((_, i) => (i + 1 === axis ? count : 1))]);
  return flat.expand(spliceAxis(shape, axis, [count]));
}

const indexSelect: StructuredRecord<[x: Tensor, axis: number, index: Tensor]> = {
  kind: 'structured',
  moves: true,
  doc: "Slices of x along an axis, picked by an index tensor whose whole shape takes the axis's place (PyTorch's index_select for a vector, NumPy's take for any shape).",
  promote: 'none',
  accepts: [anyDType, indices],
  call: (x, axis, index) => ({ inputs: [x, index], attrs: { axis } }),
  infer: (inputs, attrs, op) => {
    const { axis, shape } = selection(inputs, attrs['axis'], op);
    return { shape, dtype: inputs[0]!.dtype as DType, attrs: { axis } };
  },
  batch: (call, run) => {
    const [x, index] = call.inputs as [Tensor, Tensor];
    const axis = call.plan.attrs['axis'] as number;
    if (!call.batched[1]) return run([x, index], { axis: axis + 1 });
    if (!call.batched[0]) return run([x, index], { axis }).moveAxis(axis, 0);
    const lines = indexLines(call, index, x.shape);
    return x.gather(axis + 1, lines).reshape([call.size, ...call.plan.shape]);
  },
  sample: (draw) => {
    const { shape, axis, index } = sampleSelection(draw);
    return {
      inputs: [
        { shape, domain: real },
        { shape: index, dtype: 'i32', domain: indexBelow(shape[axis]!) },
      ],
      attrs: { axis },
    };
  },
  errors: [
    axisError([{ shape: [2, 3] }, { shape: [2], dtype: 'i32' }]),
    {
      inputs: [{ shape: [2, 3] }, { shape: [2], dtype: 'i32', fill: 2 }],
      attrs: { axis: 0 },
      error: 'IndexError',
      says: 'index 2 is out of range',
    },
    {
      inputs: [{ shape: [2, 3] }, { shape: [2], dtype: 'i32', fill: -1 }],
      attrs: { axis: 0 },
      error: 'IndexError',
      says: 'index -1 is out of range',
    },
    ...indexDTypeErrors((dtype) => [{ shape: [2, 3] }, { shape: [2], dtype }]),
  ],
  flops: () => 0,
};

const indexAdd: StructuredRecord<[x: Tensor, axis: number, index: Tensor, source: Tensor]> = {
  kind: 'structured',
  doc: 'x with slices of `source` added at the places along an axis that the index tensor names; repeated places add up.',
  promote: 'common',
  promoted: [0, 2],
  accepts: [numeric, indices, numeric],
  call: (x, axis, index, source) => ({ inputs: [x, index, source], attrs: { axis } }),
  infer: (inputs, attrs, op) => {
    const { axis, shape } = selection(inputs, attrs['axis'], op);
    if (!sameShape(shape, inputs[2]!.shape))
      throw new ShapeError(op, `the source must have shape [${shape.join(', ')}]`, { operands: inputs });
    return { shape: inputs[0]!.shape, dtype: inputs[0]!.dtype as DType, attrs: { axis } };
  },
  batch: (call, run) => {
    const axis = call.plan.attrs['axis'] as number;
    const [x, index, source] = everyBatched(call) as [Tensor, Tensor, Tensor];
    if (!call.batched[1]) return run([x, call.inputs[1]!, source], { axis: axis + 1 });
    const lines = indexLines(call, index, x.shape);
    return x.scatterAdd(axis + 1, lines, source.reshape(lines.shape));
  },
  sample: (draw) => {
    const { shape, axis, index } = sampleSelection(draw);
    return {
      inputs: [
        { shape, domain: real },
        { shape: index, dtype: 'i32', domain: indexBelow(shape[axis]!) },
        { shape: spliceAxis(shape, axis, index), domain: real },
      ],
      attrs: { axis },
    };
  },
  errors: [
    axisError([{ shape: [2, 3] }, { shape: [2], dtype: 'i32' }, { shape: [2, 3] }]),
    {
      inputs: [{ shape: [2, 3] }, { shape: [2], dtype: 'i32' }, { shape: [2, 2] }],
      attrs: { axis: 0 },
      error: 'ShapeError',
      says: 'must have shape [2, 3]',
    },
    {
      inputs: [{ shape: [2, 3] }, { shape: [2], dtype: 'i32', fill: 9 }, { shape: [2, 3] }],
      attrs: { axis: 0 },
      error: 'IndexError',
      says: 'index 9 is out of range',
    },
    ...indexDTypeErrors((dtype) => [{ shape: [2, 3] }, { shape: [2], dtype }, { shape: [2, 3] }]),
  ],
  flops: (inputs) => sizeOf(inputs[2]!.shape),
};

/** The index of a gather has the rank of x and is no larger than it on the other axes. */
export function checkGather(op: string, inputs: Infos, axisAttr: unknown): number {
  const [x, index] = inputs as [OperandInfo, OperandInfo];
  const axis = normalizeAxis(op, axisAttr as number, x);
  const fits =
    index.shape.length === x.shape.length && index.shape.every((n, i) => i === axis || n <= x.shape[i]!);
  if (!fits)
    throw new ShapeError(
      op,
      `the index must have rank ${x.shape.length} and be no larger than the tensor outside axis ${axis}`,
      {
        operands: inputs,
        hint: 'takeAlongAxis() broadcasts; indexSelect() picks whole slices',
      },
    );
  return axis;
}

export function sampleGather(draw: Draw): { shape: number[]; axis: number; index: number[] } {
  const shape = draw.shape({ minRank: 1 });
  const axis = draw.int(0, shape.length - 1);
  return { shape, axis, index: shape.map((n, i) => (i === axis ? draw.int(1, 4) : draw.int(1, n))) };
}

const gather: StructuredRecord<[x: Tensor, axis: number, index: Tensor]> = {
  kind: 'structured',
  moves: true,
  doc: 'Elements of x picked along an axis by an index of the same rank (PyTorch): out[i][j] = x[index[i][j]][j] for axis 0.',
  promote: 'none',
  accepts: [anyDType, indices],
  call: (x, axis, index) => ({ inputs: [x, index], attrs: { axis } }),
  infer: (inputs, attrs, op) => {
    const axis = checkGather(op, inputs, attrs['axis']);
    return { shape: inputs[1]!.shape, dtype: inputs[0]!.dtype as DType, attrs: { axis } };
  },
  batch: alongAxis,
  sample: (draw) => {
    const { shape, axis, index } = sampleGather(draw);
    return {
      inputs: [
        { shape, domain: real },
        { shape: index, dtype: 'i32', domain: indexBelow(shape[axis]!) },
      ],
      attrs: { axis },
    };
  },
  errors: [
    axisError([{ shape: [2, 3] }, { shape: [2, 3], dtype: 'i32' }]),
    {
      inputs: [{ shape: [2, 3] }, { shape: [3, 3], dtype: 'i32' }],
      attrs: { axis: 1 },
      error: 'ShapeError',
      says: 'no larger than the tensor',
    },
    {
      inputs: [{ shape: [2, 3] }, { shape: [2, 3], dtype: 'i32', fill: 3 }],
      attrs: { axis: 1 },
      error: 'IndexError',
      says: 'index 3 is out of range',
    },
    ...indexDTypeErrors((dtype) => [{ shape: [2, 3] }, { shape: [2, 3], dtype }]),
  ],
  flops: () => 0,
};

export const indexing = { concat, pad, unslice, indexSelect, indexAdd, gather };
