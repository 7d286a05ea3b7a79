/** Pooling: each window by plain loops, in every layout; and what is refused. */
import {
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type DType,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { poolingMethods } from '../../src/compositions/pooling.ts';
import { flat, fromTensor, indices, naive, range, settled, type Naive } from '../naive.ts';
import {
  counted,
  expectRefused,
  expectSame,
  holds,
  untried,
  valuesOf,
  type Choices,
  type ErrorRow,
} from './spatial-support.ts';

type List = readonly number[];

interface Call {
  readonly axes: number;
  readonly x: Tensor;
  readonly kernel: List;
  readonly stride: List;
  readonly dilation: List;
  readonly padding: List;
  readonly ceilMode: boolean;
}

function drawCall({ int, per, bool, draw }: Choices, dilated: boolean): Call {
  const axes = int(1, 3);
  const kernel = per(axes, 1, 3);
  const [stride, dilation] = [per(axes, 1, 3), dilated ? per(axes, 1, 2) : kernel.map(() => 1)];
  const span = kernel.map((k, i) => dilation[i]! * (k - 1) + 1);
  const padding = span.map((n) => int(0, Math.floor(n / 2)));
  const size = span.map((n, i) => Math.max(1, n - 2 * padding[i]!) + int(0, axes > 2 ? 1 : 3));
  const x = draw([...(bool() ? [int(1, 2)] : []), int(1, 2), ...size]);
  return { axes, x, kernel, stride, dilation, padding, ceilMode: bool() };
}

/** The places at which windows start along an axis, found by trying them one after another. */
function starts({ x, axes, kernel, stride, dilation, padding, ceilMode }: Call, axis: number): number[] {
  const n = x.shape[x.rank - axes + axis]!;
  const pad = padding[axis]!;
  const span = dilation[axis]! * (kernel[axis]! - 1) + 1;
  const all: number[] = [];
  for (let at = -pad; ; at += stride[axis]!) {
    const fits = at + span <= n + pad;
    // The one that reaches over the end comes next after one that does not, and begins before the padding at the end.
    const over = ceilMode && !fits && at - stride[axis]! + span < n + pad && at < n;
    if (!fits && !over) return all;
    all.push(at);
    if (over) return all;
  }
}

interface Window {
  /** Places in x, and their values. */
  readonly places: number[][];
  readonly values: number[];
  /** Elements within x and its padding. */
  readonly framed: number;
}

/** A result of pooling, by a function of each window. */
function pooled(call: Call, f: (window: Window) => number): Naive {
  const { x, axes, kernel, dilation, padding } = call;
  const values = fromTensor(x);
  const lead = x.shape.slice(0, -axes);
  const size = x.shape.slice(-axes);
  const begin = range(axes).map((axis) => starts(call, axis));
  return settled(
    naive([...lead, ...begin.map((list) => list.length)], (index) => {
      const outer = index.slice(0, lead.length);
      const all = indices(kernel).map((k) =>
        k.map((j, axis) => begin[axis]![index[lead.length + axis]!]! + j * dilation[axis]!),
      );
      const places = all.filter((at) => at.every((p, axis) => p >= 0 && p < size[axis]!));
      const framed = all.filter((at) => at.every((p, axis) => p < size[axis]! + padding[axis]!)).length;
      return f({ places, values: places.map((at) => values.at([...outer, ...at])), framed });
    }),
  );
}

const total = (values: List): number => values.reduce((a, b) => a + b, 0);
type Family = 'maxPool' | 'avgPool' | 'adaptiveAvgPool' | 'adaptiveMaxPool' | 'lpPool';
const named = <F extends Family>(family: F, axes: number): `${F}1d` => `${family}${axes}d` as `${F}1d`;

describe('pooling', () => {
  it('takes the largest of each window', () => {
    holds((choices) => {
      const call = drawCall(choices, true);
      const { axes, x, kernel, ...options } = call;
      expectSame(
        x[named('maxPool', axes)](kernel, options),
        pooled(call, ({ values }) => Math.max(...values)),
        0,
      );
    });
  });
  it('and says where it is', () => {
    holds((choices) => {
      const call = drawCall(choices, true);
      const { axes, x, kernel, ...options } = call;
      const size = x.shape.slice(-axes);
      const method = `maxPool${axes}dWithIndices` as 'maxPool1dWithIndices';
      const run = (): ReturnType<Tensor['maxPool1dWithIndices']> => x[method](kernel, options);
      const fewest = pooled(call, (window) => window.values.length);
      if (flat(fewest).includes(0)) return expect(run).toThrow(ShapeError);
      const { values, indices: places } = run();
      expectSame(
        values,
        pooled(call, (window) => Math.max(...window.values)),
        0,
      );
      expect(places.dtype).toBe('i32');
      expectSame(
        places,
        pooled(call, (window) => {
          const at = window.places[window.values.indexOf(Math.max(...window.values))]!;
          return at.reduce((flat, p, axis) => flat * size[axis]! + p, 0);
        }),
        0,
      );
    });
  });
  it('takes the mean of each window, with or without padding', () => {
    holds((choices) => {
      const call = drawCall(choices, false);
      const { axes, x, kernel, dilation: _, ...options } = call;
      const method = named('avgPool', axes);
      expectSame(
        x[method](kernel, options),
        pooled(call, ({ values, framed }) => total(values) / framed),
      );
      expectSame(
        x[method](kernel, { ...options, countIncludePad: false }),
        pooled(call, ({ values }) => total(values) / values.length),
      );
      expectSame(
        x[method](kernel, { ...options, divisorOverride: 7 }),
        pooled(call, ({ values }) => total(values) / 7),
      );
    });
  });
  it('takes the root of the sum of powers', () => {
    holds((choices) => {
      const call = drawCall(choices, false);
      const { axes, kernel, stride } = call;
      const x = call.x.abs();
      const bare = { ...call, x, padding: kernel.map(() => 0), ceilMode: false };
      if (kernel.some((k, i) => k > x.shape.at(i - axes)!)) return;
      expectSame(
        x[named('lpPool', axes)](3, kernel, { stride }),
        pooled(bare, ({ values }) => Math.cbrt(total(values.map((v) => v ** 3)))),
      );
    });
  });
  it('adapts windows to the number asked for', () => {
    holds(({ int, per, bool, draw }) => {
      const axes = int(1, 3);
      const [size, out] = [per(axes, 1, 6), per(axes, 1, 6)];
      const x = draw([...(bool() ? [2] : []), 1, ...size]);
      const values = fromTensor(x);
      const lead = x.shape.slice(0, -axes);
      const adapted = (f: (values: List) => number): Naive =>
        settled(
          naive([...lead, ...out], (index) => {
            const at = index.slice(lead.length);
            // Element p belongs to window i where their intervals on the axis overlap.
            const belongs = (p: number, axis: number): boolean =>
              (p + 1) * out[axis]! > at[axis]! * size[axis]! &&
              p * out[axis]! < (at[axis]! + 1) * size[axis]!;
            const inside = indices(size).filter((place) => place.every(belongs));
            return f(inside.map((place) => values.at([...index.slice(0, lead.length), ...place])));
          }),
        );
      expectSame(
        x[named('adaptiveAvgPool', axes)](out),
        adapted((list) => total(list) / list.length),
      );
      expectSame(
        x[named('adaptiveMaxPool', axes)](out),
        adapted((list) => Math.max(...list)),
        0,
      );
      // null keeps a size.
      const kept = out.map((n, i) => (i === 0 ? null : n));
      expect(x[named('adaptiveAvgPool', axes)](kept).shape.at(-axes)).toBe(size[0]);
    });
  });
  it('strides by the kernel unless told, and takes one number for all axes', () => {
    const x = counted([1, 4, 6]);
    expect(valuesOf(x.maxPool2d(2))).toEqual(valuesOf(x.maxPool2d([2, 2], { stride: [2, 2] })));
    expect(valuesOf(x.avgPool2d([2, 3]))).toEqual([4, 7, 16, 19]);
    expect(valuesOf(x.adaptiveMaxPool2d(1))).toEqual([23]);
  });
  it('of integers: maxima in the dtype, means in f32', () => {
    for (const dtype of ['i32', 'u8'] as const satisfies DType[]) {
      const x = tensor([[1, 5, 2]], { dtype });
      expect(x.maxPool1d(3, { padding: 1, stride: 1 }).dtype).toBe(dtype);
      expect(valuesOf(x.maxPool1d(2, { padding: 1 }))).toEqual([1, 5]);
      expect(valuesOf(x.adaptiveMaxPool1d(2))).toEqual([5, 5]);
      expect(x.avgPool1d(3).dtype).toBe('f32');
    }
    const low = tensor([[-7, -5]], { dtype: 'i32' });
    expect(valuesOf(low.maxPool1d(2, { padding: 1 }))).toEqual([-7, -5]);
  });
  it('NaN stays in its windows, -Infinity is a value like others', () => {
    const x = tensor([[NaN, 1, -Infinity, -Infinity, 3, 4]]);
    expect(valuesOf(x.maxPool1d(2))).toEqual([NaN, -Infinity, 4]);
    const means = tensor([[NaN, 1, 2, 3, 4]]).adaptiveAvgPool1d(3);
    expect(valuesOf(means).map(Number.isNaN)).toEqual([true, false, false]);
    expect(valuesOf(x.maxPool1dWithIndices(2).indices)).toEqual([0, 2, 5]);
    // Padding is never the place, even where nothing in x is larger.
    const low = tensor([
      [
        [-Infinity, -Infinity],
        [-Infinity, -Infinity],
      ],
    ]);
    const { values, indices: places } = low.maxPool2dWithIndices(2, { padding: 1 });
    expect(valuesOf(values)).toEqual([-Infinity, -Infinity, -Infinity, -Infinity]);
    expect(valuesOf(places)).toEqual([0, 1, 2, 3]);
    const zero = zeros([1, 3], { dtype: 'u8' });
    expect(valuesOf(zero.maxPool1dWithIndices(2, { padding: 1 }).indices)).toEqual([0, 1]);
  });
  it('of no channels is empty', () => {
    expect(zeros([2, 0, 4]).maxPool1d(2).shape).toEqual([2, 0, 2]);
    expect(zeros([0, 3, 4, 4]).adaptiveAvgPool2d(3).shape).toEqual([0, 3, 3, 3]);
  });
});

describe('refused', () => {
  const [x1, x2, x3] = [zeros([2, 6]), zeros([2, 6, 6]), zeros([2, 6, 6, 6])];
  const of = (shape: Shape): Tensor => zeros(shape);
  const rows: ErrorRow[] = [
    [
      'maxPool1d',
      () => of([6]).maxPool1d(2),
      ShapeError,
      'maxPool1d: needs 2 or 3 axes, [batch, channels, 1 spatial ones]: [6] f32',
    ],
    ['maxPool1d', () => x1.maxPool1d(0), ValueError, 'maxPool1d: kernelSize must be integers ≥ 1, got [0]'],
    [
      'maxPool1d',
      () => x1.maxPool1d(7),
      ShapeError,
      'maxPool1d: a window of 7 does not fit a padded size of 6 (spatial axis 0): [2, 6] f32',
    ],
    [
      'maxPool1d',
      () => x1.maxPool1d(2, { dilation: 8, ceilMode: true }),
      ShapeError,
      'maxPool1d: a window of 9 does not fit',
    ],
    [
      'maxPool1d',
      () => x1.maxPool1d(2, { padding: 2 }),
      ValueError,
      'maxPool1d: padding 2 is more than half of a window of 2 (spatial axis 0)',
    ],
    [
      'maxPool2d',
      () => x2.maxPool2d([2, 2, 2]),
      ValueError,
      'maxPool2d: kernelSize needs one entry for each of 2 spatial axes, got 3',
    ],
    [
      'maxPool3d',
      () => x3.maxPool3d(2, { stride: 0.5 }),
      ValueError,
      'maxPool3d: stride must be integers ≥ 1',
    ],
    [
      'maxPool1dWithIndices',
      () => x1.maxPool1dWithIndices(7),
      ShapeError,
      'maxPool1dWithIndices: a window of 7',
    ],
    [
      'maxPool2dWithIndices',
      () => x1.maxPool2dWithIndices(2),
      ShapeError,
      'maxPool2dWithIndices: needs 3 or 4 axes',
    ],
    [
      'maxPool3dWithIndices',
      () => x3.maxPool3dWithIndices(2, { dilation: 0 }),
      ValueError,
      'maxPool3dWithIndices: dilation',
    ],
    [
      'avgPool1d',
      () => x1.avgPool1d(2, { divisorOverride: 0 }),
      ValueError,
      'avgPool1d: divisorOverride is 0',
    ],
    [
      'avgPool1d',
      () => x1.avgPool1d(3, { padding: 2 }),
      ValueError,
      'avgPool1d: padding 2 is more than half of a window of 3',
    ],
    ['avgPool2d', () => x3.unsqueeze(0).avgPool2d(2), ShapeError, 'avgPool2d: needs 3 or 4 axes'],
    [
      'avgPool3d',
      () => x3.avgPool3d([1, 2]),
      ValueError,
      'avgPool3d: kernelSize needs one entry for each of 3',
    ],
    ['lpPool1d', () => x1.lpPool1d(0, 2), ValueError, 'lpPool1d: needs a power > 0, got 0'],
    ['lpPool2d', () => x2.lpPool2d(2, 7), ShapeError, 'lpPool2d: a window of 7'],
    ['lpPool3d', () => x3.lpPool3d(NaN, 2), ValueError, 'lpPool3d: needs a power > 0, got NaN'],
    [
      'adaptiveAvgPool1d',
      () => x1.adaptiveAvgPool1d(0),
      ValueError,
      'adaptiveAvgPool1d: outputSize must be integers ≥ 1, got [0]',
    ],
    [
      'adaptiveAvgPool1d',
      () => of([2, 0]).adaptiveAvgPool1d(1),
      ShapeError,
      'adaptiveAvgPool1d: there is nothing to pool: [2, 0] f32',
    ],
    [
      'adaptiveAvgPool2d',
      () => x2.adaptiveAvgPool2d([1, 2, 3]),
      ValueError,
      'adaptiveAvgPool2d: outputSize needs one entry for each of 2',
    ],
    ['adaptiveAvgPool3d', () => x1.adaptiveAvgPool3d(1), ShapeError, 'adaptiveAvgPool3d: needs 4 or 5 axes'],
    ['adaptiveMaxPool1d', () => x3.adaptiveMaxPool1d(1), ShapeError, 'adaptiveMaxPool1d: needs 2 or 3 axes'],
    [
      'adaptiveMaxPool2d',
      () => x2.adaptiveMaxPool2d([2]),
      ValueError,
      'adaptiveMaxPool2d: outputSize needs one entry for each of 2',
    ],
    [
      'adaptiveMaxPool3d',
      () => x3.adaptiveMaxPool3d(1.5),
      ValueError,
      'adaptiveMaxPool3d: outputSize must be integers ≥ 1',
    ],
  ];
  it.each(rows)('%s %#', (...row) => expectRefused(row));
  it('every method has a row', () => expect(untried(poolingMethods, rows)).toEqual([]));
});
