/** Convolutions, patches, frames and pixels, each by plain loops, in every layout; and what each refuses. */
import { compositions, ShapeError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { convolutionMethods } from '../../src/compositions/convolution.ts';
import { interpolationMethods } from '../../src/compositions/interpolation.ts';
import { paddingMethods } from '../../src/compositions/padding.ts';
import { patchMethods } from '../../src/compositions/patches.ts';
import { poolingMethods } from '../../src/compositions/pooling.ts';
import { fromTensor, indices, naive, range, settled, type Naive } from '../naive.ts';
import {
  counted,
  expectRefused,
  expectSame,
  holds,
  untried,
  valuesOf,
  zeroes,
  type Choices,
  type ErrorRow,
} from './spatial-support.ts';

type List = readonly number[];
interface Call {
  readonly axes: number;
  readonly x: Tensor;
  readonly w: Tensor;
  readonly bias: Tensor | undefined;
  readonly stride: List;
  readonly dilation: List;
  readonly padding: (readonly [number, number])[];
  readonly groups: number;
}

/** A convolution whose weight has `first` as its first axis (outputs, or for the transpose inputs). */
function drawCall({ int, per, bool, draw }: Choices, transposed: boolean): Call {
  const axes = int(1, 3);
  const groups = int(1, 2);
  const [inGroup, outGroup, kernel] = [int(1, 2), int(1, 2), per(axes, 1, axes > 2 ? 2 : 3)];
  const padding = range(axes).map((): [number, number] => [int(0, 1), int(0, 1)]);
  const [stride, dilation] = [per(axes, 1, 3), per(axes, 1, 2)];
  const size = kernel.map(
    (k, i) => Math.max(1, dilation[i]! * (k - 1) + 1 - padding[i]![0] - padding[i]![1]) + int(0, 2),
  );
  const x = draw([...(bool() ? [int(1, 2)] : []), groups * inGroup, ...size]);
  const w = draw(
    transposed ? [groups * inGroup, outGroup, ...kernel] : [groups * outGroup, inGroup, ...kernel],
  );
  const bias = bool() ? draw([groups * outGroup]) : undefined;
  return { axes, x, w, bias, stride, dilation, padding, groups };
}

/** x with a batch axis; and a result with it taken off again where x has none. */
function withBatch({ x, axes }: Call, body: (x: Naive) => Naive): Naive {
  const own = fromTensor(x);
  if (x.rank === axes + 2) return body(own);
  const y = body(naive([1, ...x.shape], (index) => own.at(index.slice(1))));
  return naive(y.shape.slice(1), (index) => y.at([0, ...index]));
}

function convolved(call: Call): Naive {
  const { w, bias, stride, dilation, padding, groups } = call;
  const weight = fromTensor(w);
  return withBatch(call, (x) => {
    const out = x.shape.slice(2).map((n, i) => {
      const span = dilation[i]! * (w.shape[2 + i]! - 1) + 1;
      return range(n + padding[i]![0] + padding[i]![1]).filter(
        (at) => 0 === at % stride[i]! && at + span <= n + padding[i]![0] + padding[i]![1],
      ).length;
    });
    return naive([x.shape[0]!, w.shape[0]!, ...out], ([n, o, ...at]) => {
      let sum = bias ? fromTensor(bias).at([o!]) : 0;
      const group = Math.floor((o! * groups) / w.shape[0]!);
      for (const [c, ...k] of indices(w.shape.slice(1))) {
        const place = k.map((j, i) => at[i]! * stride[i]! + j * dilation[i]! - padding[i]![0]);
        if (place.every((p, i) => p >= 0 && p < x.shape[2 + i]!))
          sum += weight.at([o!, c!, ...k]) * x.at([n!, group * w.shape[1]! + c!, ...place]);
      }
      return sum;
    });
  });
}

const conv = (axes: number): 'conv1d' | 'conv2d' | 'conv3d' =>
  (['conv1d', 'conv2d', 'conv3d'] as const)[axes - 1]!;
const convTranspose = (axes: number): 'convTranspose1d' | 'convTranspose2d' | 'convTranspose3d' =>
  (['convTranspose1d', 'convTranspose2d', 'convTranspose3d'] as const)[axes - 1]!;

describe('convolution', () => {
  it('multiplies and sums over every window', () => {
    holds((choices) => {
      const call = drawCall(choices, false);
      const { axes, x, w, ...options } = call;
      expectSame(x[conv(axes)](w, options), settled(convolved(call)));
    });
  });
  it("keeps sizes with padding 'same', and takes none with 'valid'", () => {
    holds((choices) => {
      const drawn = drawCall(choices, false);
      const { axes, x, w, bias, dilation, groups } = drawn;
      const same = w.shape.slice(2).map((k, i): [number, number] => {
        const total = dilation[i]! * (k - 1);
        return [Math.floor(total / 2), total - Math.floor(total / 2)];
      });
      const stride = zeroes(axes).map(() => 1);
      const y = x[conv(axes)](w, { bias, dilation, groups, padding: 'same' });
      expect(y.shape.slice(-axes)).toEqual(x.shape.slice(-axes));
      expectSame(y, settled(convolved({ ...drawn, stride, padding: same })));
      const wide = x.pad([...zeroes(x.rank - axes).map(() => [0, 0] as const), ...same]);
      expectSame(wide[conv(axes)](w, { bias, dilation, groups, padding: 'valid' }), fromTensor(y));
    }, 30);
  });
  it('takes one number for all axes', () => {
    const [x, w] = [counted([1, 2, 7, 8]), counted([4, 1, 2, 2])];
    expect(valuesOf(x.conv2d(w, { stride: 2, padding: 1, dilation: 3, groups: 2 }))).toEqual(
      valuesOf(x.conv2d(w, { stride: [2, 2], padding: [1, [1, 1]], dilation: [3, 3], groups: 2 })),
    );
  });
  it('transposed adds windows up where convolution reads them', () => {
    holds((choices) => {
      const call = drawCall(choices, true);
      const { axes, x, w, bias, stride, dilation, padding, groups } = call;
      const outputPadding = stride.map((s, i) => choices.int(0, Math.max(s, dilation[i]!) - 1));
      const whole = x.shape
        .slice(-axes)
        .map((n, i) => (n - 1) * stride[i]! + dilation[i]! * (w.shape[2 + i]! - 1) + 1);
      const size = whole.map((n, i) => n - padding[i]![0] - padding[i]![1] + outputPadding[i]!);
      const run = (): Tensor =>
        x[convTranspose(axes)](w, { bias, stride, dilation, padding, groups, outputPadding });
      const reach = whole.map((n, i) => n - padding[i]![0] - Math.max(0, padding[i]![1] - outputPadding[i]!));
      if (reach.some((n) => n < 1)) return expect(run).toThrow(ShapeError);
      const weight = fromTensor(w);
      const expected = withBatch(call, (all) => {
        const channels = groups * w.shape[1]!;
        const sums = new Map<string, number>();
        for (const [n, c, ...at] of indices(all.shape))
          for (const [o, ...k] of indices(w.shape.slice(1))) {
            const group = Math.floor((c! * groups) / w.shape[0]!);
            const place = at.map((p, i) => p * stride[i]! + k[i]! * dilation[i]! - padding[i]![0]);
            const key = [n, group * w.shape[1]! + o!, ...place].join();
            sums.set(key, (sums.get(key) ?? 0) + all.at([n!, c!, ...at]) * weight.at([c!, o!, ...k]));
          }
        return naive(
          [all.shape[0]!, channels, ...size],
          (index) => (sums.get(index.join()) ?? 0) + (bias ? fromTensor(bias).at([index[1]!]) : 0),
        );
      });
      expectSame(run(), settled(expected));
    });
  });
  it('of integers is in f32, of f64 in f64', () => {
    const [x, w] = [tensor([[1, 2, 3]], { dtype: 'i32' }), tensor([[[1, 1]]], { dtype: 'u8' })];
    expect(x.conv1d(w).dtype).toBe('f32');
    expect(valuesOf(x.conv1d(w))).toEqual([3, 5]);
    expect(x.conv1d(w.cast('f64')).dtype).toBe('f64');
  });
});

describe('patches and pixels', () => {
  it('unfold lays windows out as columns; fold adds them up again', () => {
    holds(({ int, per, bool, draw }) => {
      const [kernel, stride, padding, dilation] = [per(2, 1, 3), per(2, 1, 2), per(2, 0, 1), per(2, 1, 2)];
      const size = kernel.map(
        (k, i) => Math.max(1, dilation[i]! * (k - 1) + 1 - 2 * padding[i]!) + int(0, 2),
      );
      const lead = bool() ? [int(1, 2)] : [];
      const x = draw([...lead, 2, ...size]);
      const out = size.map(
        (n, i) => Math.floor((n + 2 * padding[i]! - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1,
      );
      const [area, all] = [kernel[0]! * kernel[1]!, out[0]! * out[1]!];
      /** Where a row and a column of the result come from. */
      const place = (row: number, column: number): { c: number; at: number[] } => {
        const k = [Math.floor((row % area) / kernel[1]!), row % kernel[1]!];
        const window = [Math.floor(column / out[1]!), column % out[1]!];
        const at = window.map((p, i) => p * stride[i]! + k[i]! * dilation[i]! - padding[i]!);
        return { c: Math.floor(row / area), at };
      };
      const inside = (at: List): boolean => at.every((p, i) => p >= 0 && p < size[i]!);
      const options = { stride, padding, dilation };
      const columns = x.unfold(kernel, options);
      const values = fromTensor(x);
      expectSame(
        columns,
        naive([...lead, 2 * area, all], (index) => {
          const { c, at } = place(index.at(-2)!, index.at(-1)!);
          return inside(at) ? values.at([...index.slice(0, -2), c, ...at]) : 0;
        }),
      );
      const y = draw(columns.shape);
      const [sums, ys] = [new Map<string, number>(), fromTensor(y)];
      for (const index of indices(y.shape)) {
        const { c, at } = place(index.at(-2)!, index.at(-1)!);
        const key = [...index.slice(0, -2), c, ...at].join();
        sums.set(key, (sums.get(key) ?? 0) + ys.at(index));
      }
      expectSame(
        y.fold(size, kernel, options),
        naive(x.shape, (index) => sums.get(index.join()) ?? 0),
      );
    });
  });
  it('pixelShuffle takes pixels from channels; pixelUnshuffle puts them back', () => {
    holds(({ int, bool, draw }) => {
      const [r, c, h, w] = [int(1, 3), int(1, 2), int(1, 3), int(1, 3)];
      const lead = bool() ? [int(1, 2)] : [];
      const x = draw([...lead, c * r * r, h, w]);
      const values = fromTensor(x);
      const y = x.pixelShuffle(r);
      expectSame(
        y,
        naive([...lead, c, h * r, w * r], (index) => {
          const [channel, i, j] = index.slice(-3) as [number, number, number];
          const from = channel * r * r + (i % r) * r + (j % r);
          return values.at([...index.slice(0, -3), from, Math.floor(i / r), Math.floor(j / r)]);
        }),
      );
      expectSame(y.pixelUnshuffle(r), values);
    });
  });
  it('padWith frames a tensor with its own elements', () => {
    const line = tensor([1, 2, 3], { dtype: 'i32' });
    expect(valuesOf(line.padWith('reflect', [[2, 1]]))).toEqual([3, 2, 1, 2, 3, 2]);
    expect(valuesOf(line.padWith('replicate', [[2, 4]]))).toEqual([1, 1, 1, 2, 3, 3, 3, 3, 3]);
    expect(valuesOf(line.padWith('circular', [[2, 3]]))).toEqual([2, 3, 1, 2, 3, 1, 2, 3]);
    expect(valuesOf(line.padWith('constant', [[1, 1]]))).toEqual([0, 1, 2, 3, 0]);
    expect(line.padWith('reflect', []).shape).toEqual([3]);
    holds(({ int, per, draw }) => {
      const size = per(2, 2, 4);
      const x = draw(size);
      const values = fromTensor(x);
      const widths = size.map((n): [number, number] => [int(0, n - 1), int(0, n - 1)]);
      const framed = (from: (i: number, n: number) => number): Naive =>
        naive(
          size.map((n, i) => n + widths[i]![0] + widths[i]![1]),
          (index) => values.at(index.map((at, i) => from(at - widths[i]![0], size[i]!))),
        );
      // Back and forth between the ends, counted from the first element.
      const bounce = (i: number, n: number): number => {
        const turn = Math.abs(i) % (2 * (n - 1));
        return turn < n ? turn : 2 * (n - 1) - turn;
      };
      expectSame(x.padWith('reflect', widths), framed(bounce));
      expectSame(
        x.padWith('replicate', widths),
        framed((i, n) => (i < 0 ? 0 : i >= n ? n - 1 : i)),
      );
      expectSame(
        x.padWith('circular', widths),
        framed((i, n) => (i + 5 * n) % n),
      );
    });
  });
});

describe('refused', () => {
  const [x1, x2, x3] = [zeros([2, 4, 6]), zeros([2, 4, 6, 6]), zeros([2, 4, 6, 6, 6])];
  const [w1, w2, w3] = [zeros([3, 4, 3]), zeros([3, 4, 3, 3]), zeros([3, 4, 3, 3, 3])];
  const v1 = zeros([4, 3, 3]);
  const rows: ErrorRow[] = [
    [
      'conv1d',
      () => x2.conv1d(w1),
      ShapeError,
      'conv1d: needs 2 or 3 axes, [batch, channels, 1 spatial ones]: [2, 4, 6, 6] f32',
    ],
    [
      'conv1d',
      () => x1.conv1d(w2),
      ShapeError,
      'conv1d: the weight needs 3 axes: [2, 4, 6] f32, [3, 4, 3, 3] f32',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { bias: zeros([4]) }),
      ShapeError,
      'conv1d: the bias needs shape [3]: [4] f32',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { stride: 0 }),
      ValueError,
      'conv1d: stride must be integers ≥ 1, got [0]',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { dilation: [1, 1] }),
      ValueError,
      'conv1d: dilation needs one entry for each of 1 spatial axes, got 2',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { padding: -1 }),
      ValueError,
      'conv1d: padding must be integers ≥ 0, got [-1, -1]',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { padding: 'same', stride: 2 }),
      ValueError,
      "conv1d: padding 'same' needs stride 1, got [2]",
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { padding: 'full' as 'same' }),
      ValueError,
      "conv1d: padding 'full' is not known",
    ],
    ['conv1d', () => x1.conv1d(w1, { groups: 2 }), ShapeError, '3 channels do not part into 2 groups'],
    [
      'conv1d',
      () => x1.conv1d(zeros([3, 3, 3])),
      ShapeError,
      'channels of the input: 4, not 3: [2, 4, 6] f32, [3, 3, 3] f32',
    ],
    [
      'conv1d',
      () => x1.conv1d(w1, { dilation: 3 }),
      ShapeError,
      'a kernel over 7 elements does not fit a padded size of 6',
    ],
    [
      'conv2d',
      () => x2.conv2d(w2, { padding: [1] }),
      ValueError,
      'conv2d: padding needs one entry for each of 2 spatial axes, got 1',
    ],
    ['conv2d', () => zeros([6, 6]).conv2d(w2), ShapeError, 'conv2d: needs 3 or 4 axes'],
    [
      'conv3d',
      () => x3.conv3d(w3, { stride: [1, 2] }),
      ValueError,
      'conv3d: stride needs one entry for each of 3 spatial axes, got 2',
    ],
    ['convTranspose1d', () => x1.convTranspose1d(w1), ShapeError, 'channels of the first operand: 4, not 3'],
    [
      'convTranspose1d',
      () => x1.convTranspose1d(v1, { outputPadding: 1 }),
      ValueError,
      'convTranspose1d: outputPadding 1 is not less than stride or dilation (spatial axis 0)',
    ],
    [
      'convTranspose1d',
      () => x1.convTranspose1d(v1, { padding: 4 }),
      ShapeError,
      'convTranspose1d: nothing is left of a result of sizes [0]: [2, 4, 6] f32, [4, 3, 3] f32',
    ],
    ['convTranspose2d', () => x2.convTranspose2d(w1), ShapeError, 'convTranspose2d: the weight needs 4 axes'],
    [
      'convTranspose3d',
      () => x3.convTranspose3d(zeros([4, 2, 1, 1, 1]), { bias: zeros([4]) }),
      ShapeError,
      'convTranspose3d: the bias needs shape [2]',
    ],
    [
      'unfold',
      () => x1.unfold([1, 1, 1]),
      ValueError,
      'unfold: kernelSize needs one entry for each of 2 spatial axes, got 3',
    ],
    ['unfold', () => zeros([3, 3]).unfold(1), ShapeError, 'unfold: needs 3 or 4 axes'],
    ['unfold', () => x1.unfold(7), ShapeError, 'a window of 7 does not fit axis 2 of size 4'],
    [
      'fold',
      () => x2.fold(4, 2),
      ShapeError,
      'fold: needs columns of patches, [batch, channels · kernel, patches]: [2, 4, 6, 6] f32',
    ],
    [
      'fold',
      () => x1.fold(4, 2),
      ShapeError,
      'fold: needs a multiple of 4 rows and 3 · 3 columns: [2, 4, 6] f32',
    ],
    [
      'fold',
      () => zeros([3, 9]).fold(4, 2),
      ShapeError,
      'fold: needs a multiple of 4 rows and 3 · 3 columns',
    ],
    [
      'fold',
      () => zeros([4, 1]).fold(1, 2),
      ShapeError,
      'fold: needs a multiple of 4 rows and 0 · 0 columns',
    ],
    [
      'pixelShuffle',
      () => x2.pixelShuffle(3),
      ShapeError,
      'pixelShuffle: needs [..., a multiple of 9 channels, H, W]: [2, 4, 6, 6] f32',
    ],
    [
      'pixelShuffle',
      () => x2.pixelShuffle(0),
      ValueError,
      'pixelShuffle: the factor must be integers ≥ 1, got [0]',
    ],
    [
      'pixelUnshuffle',
      () => x2.pixelUnshuffle(4),
      ShapeError,
      'pixelUnshuffle: needs [..., C, H, W] with H and W multiples of 4: [2, 4, 6, 6] f32',
    ],
    ['pixelUnshuffle', () => zeros([2, 2]).pixelUnshuffle(2), ShapeError, 'pixelUnshuffle: needs'],
    [
      'padWith',
      () => x1.padWith('mirror' as 'reflect', []),
      ValueError,
      "padWith: mode 'mirror' is not known",
    ],
    [
      'padWith',
      () => x1.padWith('reflect', [[2, 0]]),
      ShapeError,
      'padWith: a frame of 2 and 0 is too wide for axis 0 of size 2 in mode reflect: [2, 4, 6] f32',
    ],
    [
      'padWith',
      () => x1.padWith('circular', [[0, 3]]),
      ShapeError,
      'padWith: a frame of 0 and 3 is too wide',
    ],
    [
      'padWith',
      () => zeros([0]).padWith('replicate', [[1, 0]]),
      ShapeError,
      'padWith: a frame of 1 and 0 is too wide for axis 0 of size 0',
    ],
    ['padWith', () => x1.padWith('reflect', [[-1, 0]]), ValueError, 'padWith: widths must be integers ≥ 0'],
    [
      'padWith',
      () =>
        zeros([2]).padWith('reflect', [
          [0, 0],
          [0, 0],
        ]),
      ShapeError,
      'padWith: 2 widths for rank 1',
    ],
  ];
  it.each(rows)('%s %#', (...row) => expectRefused(row));
  it('every method has a row, here or in the tests of its family', () => {
    const elsewhere = { ...poolingMethods, ...interpolationMethods };
    const here = Object.keys(convolutionMethods).filter((name) => !Object.hasOwn(elsewhere, name));
    expect(untried(Object.fromEntries(here.map((name) => [name, 0])), rows)).toEqual([]);
    expect(here).toEqual(
      expect.arrayContaining([...Object.keys(patchMethods), ...Object.keys(paddingMethods)]),
    );
    expect(Object.keys(compositions)).toEqual(expect.arrayContaining(Object.keys(convolutionMethods)));
  });
});
