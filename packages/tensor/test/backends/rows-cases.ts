/** Calls of the ops along lines in sizes beyond the laws', and what their results may differ by from those in f64. */
import {
  allocateArray,
  apply,
  contiguousLayout,
  fromData,
  getBackend,
  recordOf,
  type Attrs,
  type Backend,
  type DType,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import { ownShape, realise, spreadValues, type LayoutPlan } from '@infinigrad/tensor/testing';
import { range } from '../naive.ts';

/** Values of one input, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  /** Where it is not the call's. */
  readonly dtype?: DType;
}

export interface Call {
  readonly op: OpName;
  readonly inputs: readonly Values[];
  readonly attrs: Attrs;
  /** How many elements of the result belong together: each part is held against its own largest. */
  readonly parts?: readonly number[];
}

export interface RowCase {
  readonly make: (rows: number, columns: number) => Omit<Call, 'op'>;
  /** In units of 2⁻²⁴: relative to each value, and to the largest of its part. */
  readonly relative?: number;
  readonly ofLargest?: number;
  /** The largest of what may cancel out in a result, where it is larger than the results. */
  readonly terms?: (inputs: readonly Values[], eps: number) => number;
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
let state = 1;
/** Between 0 and 1, never either. */
function uniform(): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return ((state >>> 8) + 0.5) / 2 ** 24;
}

/** Normal numbers, as f32 holds them. */
export function normal(shape: readonly number[], mean = 0, std = 1): Values {
  const draw = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return { shape, values: Array.from({ length: size(shape) }, () => Math.fround(mean + std * draw())) };
}

const positive = (shape: readonly number[]): Values => {
  const { values } = normal(shape);
  return { shape, values: values.map((x) => Math.fround(Math.abs(x) + 0.01)) };
};

/** Classes of 0 … below - 1; every seventh is `ignored`. */
export function classes(
  shape: readonly number[],
  below: number,
  ignored: number,
  dtype: DType = 'i32',
): Values {
  const draw = (_: unknown, i: number): number => (i % 7 === 3 ? ignored : Math.floor(uniform() * below));
  return { shape, values: Array.from({ length: size(shape) }, draw), dtype };
}

const line = (axis: number, inputs: (shape: readonly number[]) => readonly Values[], keepDims = false) => ({
  make: (rows: number, columns: number) => {
    const shape = axis === 1 ? [rows, columns] : [columns, rows];
    return { inputs: inputs(shape), attrs: { axis, keepDims } };
  },
});
/** |g · weight| / √(mean x² + eps) at most, x taken from its mean where `centred`. */
const gradientTerms =
  (centred: boolean): NonNullable<RowCase['terms']> =>
  ([g, x, weight], eps) => {
    const columns = weight!.values.length;
    const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const spreads = range(x!.values.length / columns).map((i) => {
      const line = x!.values.slice(i * columns, (i + 1) * columns);
      const mean = centred ? line.reduce((a, b) => a + b, 0) / columns : 0;
      return Math.sqrt(line.reduce((a, b) => a + (b - mean) ** 2, 0) / columns + eps);
    });
    return (most(g!.values) * most(weight!.values)) / Math.min(...spreads);
  };

/** Along neighbours and down columns. */
const bothWays = (
  op: string,
  inputs: (shape: readonly number[]) => readonly Values[],
  bounds: Pick<RowCase, 'relative' | 'ofLargest'>,
): Record<string, RowCase> => ({
  [op]: { ...line(1, inputs), ...bounds },
  [`${op} of columns`]: { ...line(0, inputs, true), ...bounds },
});

export const adamWAttrs = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  step: 10,
  gradientScale: 0.5,
};

/** By the op's name, as far as the first space. */
export const rowCases: Readonly<Record<string, RowCase>> = {
  ...bothWays('softmax', (shape) => [normal(shape)], { relative: 12 }),
  ...bothWays('logSoftmax', (shape) => [normal(shape)], { relative: 4 }),
  ...bothWays('logSumExp', (shape) => [normal(shape)], { relative: 3, ofLargest: 1 }),
  ...bothWays('cumsum', (shape) => [normal(shape)], { relative: 1.1 }),
  // So near 1 that long products stay within f32.
  ...bothWays('cumprod', (shape) => [normal(shape, 1, 0.01)], { relative: 1.1 }),
  ...bothWays('logCumSumExp', (shape) => [normal(shape)], { relative: 1.1 }),
  ...bothWays('argMax', (shape) => [normal(shape)], {}),
  ...bothWays('argMin', (shape) => [normal(shape)], {}),
  ...bothWays('softmaxGrad', (shape) => [normal(shape), normal(shape, 0, 0.2)], { ofLargest: 4 }),
  ...bothWays('logSoftmaxGrad', (shape) => [normal(shape), normal(shape, -3)], { ofLargest: 4 }),
  rmsNorm: {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns]), normal([columns])],
      attrs: { eps: 1e-6 },
    }),
    relative: 5,
  },
  layerNorm: {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns], 3), normal([columns]), normal([columns])],
      attrs: { eps: 1e-5 },
    }),
    ofLargest: 8,
  },
  'layerNorm without bias': {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns], -300), normal([columns])],
      attrs: { eps: 1e-5 },
    }),
    ofLargest: 8,
  },
  rmsNormGrad: {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns]), normal([rows, columns]), normal([columns])],
      attrs: { eps: 1e-2 },
      parts: [rows * columns, columns],
    }),
    ofLargest: 8,
    terms: gradientTerms(false),
  },
  layerNormGrad: {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns]), normal([rows, columns], 3), normal([columns])],
      attrs: { eps: 1e-2 },
      parts: [rows * columns, columns, columns],
    }),
    ofLargest: 8,
    terms: gradientTerms(true),
  },
  softmaxCrossEntropy: {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns]), classes([rows], columns, -100)],
      attrs: { ignoreIndex: -100 },
    }),
    relative: 4,
  },
  'softmaxCrossEntropy of sure classes': {
    make: (rows, columns) => ({
      inputs: [normal([rows, columns], 0, 6), classes([rows], columns, 1, 'u8')],
      attrs: { ignoreIndex: 1 },
    }),
    relative: 50,
  },
  softmaxCrossEntropyGrad: {
    make: (rows, columns) => ({
      inputs: [normal([rows]), normal([rows, columns]), classes([rows], columns, -100)],
      attrs: { ignoreIndex: -100 },
    }),
    relative: 12,
  },
  rotary: {
    make: (rows, columns) => ({
      inputs: [normal([3, rows, 2 * columns]), normal([rows, columns]), normal([rows, columns])],
      attrs: {},
    }),
    ofLargest: 2,
  },
  adamWStep: {
    make: (rows, columns) => {
      const shape = [rows, columns];
      return {
        inputs: [normal(shape), normal(shape), positive(shape), normal(shape)],
        attrs: adamWAttrs,
        parts: range(3).map(() => rows * columns),
      };
    },
    ofLargest: 4,
  },
};

export const opOf = (name: string): OpName => name.split(' ')[0] as OpName;

function tensorsOf({ inputs }: Call, backend: Backend, dtype: DType, plans: readonly LayoutPlan[]): Tensor[] {
  return inputs.map(({ shape, values, dtype: own = dtype }, i) => {
    const plan = plans[i];
    if (plan) return realise(values, shape, own, plan, backend);
    const data = allocateArray(own, values.length);
    data.set(values);
    return fromData(data, shape, { dtype: own, backend });
  });
}

/** The result of a call. */
export function result(
  call: Call,
  backend: 'wasm' | 'js',
  dtype: DType,
  plans: readonly LayoutPlan[] = [],
): number[] {
  return Array.from(
    apply(call.op, tensorsOf(call, getBackend(backend), dtype, plans), call.attrs).dataSync(),
  );
}

const margin = 64;
const mark = 77;

/** The result of a call on wasm, written into the middle of other memory; null where that does not stay as it was. */
export function confinedResult(call: Call, plans: readonly LayoutPlan[] = []): number[] | null {
  const backend = getBackend('wasm');
  const record = recordOf(call.op);
  const inputs = tensorsOf(call, backend, 'f32', plans);
  const { shape, dtype, attrs } = record.infer(inputs, call.attrs, call.op);
  const length = size(shape);
  const buffer = backend.upload(dtype, allocateArray(dtype, length + 2 * margin).fill(mark));
  const output = { buffer, dtype, ...contiguousLayout(shape), offset: margin };
  backend.run({ op: call.op, record, inputs: inputs.map((x) => x.view()), output, attrs });
  const all = Array.from(backend.downloadSync(buffer, dtype, 0, length + 2 * margin));
  const around = [...all.slice(0, margin), ...all.slice(margin + length)];
  return around.every((x) => x === mark) ? all.slice(margin, margin + length) : null;
}

/** Values that do not vary along the axes that a plan repeats. */
export function repeated(x: Values, plan: LayoutPlan): Values {
  const own = ownShape(x.shape, plan);
  return { ...x, values: spreadValues(x.values.slice(0, size(own)), own, x.shape) };
}

/** What keeps the wasm backend's f32 result from what the reference gives in f64; null where nothing does. */
export function discrepancy(
  call: Call,
  { relative = 0, ofLargest = 0, terms }: RowCase,
  plans?: readonly LayoutPlan[],
): string | null {
  const actual = result(call, 'wasm', 'f32', plans);
  const expected = result(call, 'js', 'f64');
  if (actual.length !== expected.length) return `${actual.length} elements instead of ${expected.length}`;
  const cancelling = terms?.(call.inputs, call.attrs['eps'] as number) ?? 0;
  let start = 0;
  for (const length of call.parts ?? [expected.length]) {
    const part = expected.slice(start, start + length);
    const largest = part.reduce((a, b) => Math.max(a, Math.abs(b)), cancelling);
    for (let i = 0; i < length; i++) {
      const [a, b] = [actual[start + i]!, part[i]!];
      const allowed = 2 ** -24 * (relative * Math.abs(b) + ofLargest * largest) + 1e-43;
      if (!(Math.abs(a - b) <= allowed)) return `${a} instead of ${b} at ${start + i} (largest: ${largest})`;
    }
    start += length;
  }
  return null;
}
