/** Resizing: each element by its formula, in every layout; and what is refused. All modes are held against PyTorch beside autograd's tests. */
import { ShapeError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { interpolationMethods } from '../../src/compositions/interpolation.ts';
import { fromTensor, indices, naive, settled, type Naive } from '../naive.ts';
import {
  counted,
  expectRefused,
  expectSame,
  holds,
  untried,
  valuesOf,
  type ErrorRow,
} from './spatial-support.ts';

type List = readonly number[];

/** Where element i of m lies among n. */
const place = (i: number, n: number, m: number, corners: boolean): number => {
  if (corners) return m === 1 ? 0 : (i * (n - 1)) / (m - 1);
  return ((i + 0.5) * n) / m - 0.5;
};

/** Σ over all places of x of the value there times a weight for each axis. */
function weighted(x: Tensor, out: List, weight: (axis: number, i: number, p: number) => number): Naive {
  const values = fromTensor(x);
  const [size, lead] = [x.shape.slice(2), x.shape.slice(0, 2)];
  return settled(
    naive([...lead, ...out], (index) =>
      indices(size).reduce((sum, at) => {
        const factor = at.reduce((f, p, axis) => f * weight(axis, index[2 + axis]!, p), 1);
        return factor === 0 ? sum : sum + factor * values.at([...index.slice(0, 2), ...at]);
      }, 0),
    ),
  );
}

const linear = ['linear', 'bilinear', 'trilinear'] as const;

describe('interpolate', () => {
  it('takes the nearest element', () => {
    holds(({ int, per, draw }) => {
      const axes = int(1, 3);
      const [size, out] = [per(axes, 1, 4), per(axes, 1, 6)];
      const x = draw([1, 2, ...size]);
      const by = (shift: number): Naive =>
        weighted(x, out, (axis, i, p) =>
          Number(p === Math.floor(((i + shift) * size[axis]!) / out[axis]! + 1e-12)),
        );
      expectSame(x.interpolate({ size: out }), by(0), 0);
      expectSame(x.interpolate({ size: out, mode: 'nearest-exact' }), by(0.5), 0);
    });
  });
  it('draws straight lines between elements', () => {
    holds(({ int, per, bool, draw }) => {
      const axes = int(1, 3);
      const [size, out] = [per(axes, 1, 4), per(axes, 1, 6)];
      const x = draw([1, 2, ...size]);
      const alignCorners = bool();
      // A hat around where the element lies, which is not moved over the ends.
      const hat = (axis: number, i: number, p: number): number => {
        const n = size[axis]!;
        const at = Math.min(Math.max(place(i, n, out[axis]!, alignCorners), 0), n - 1);
        return Math.max(0, 1 - Math.abs(at - p));
      };
      expectSame(x.interpolate({ size: out, mode: linear[axes - 1]!, alignCorners }), weighted(x, out, hat));
    });
  });
  it('draws cubics between elements', () => {
    holds(({ per, draw }) => {
      const [size, out] = [per(2, 1, 5), per(2, 1, 7)];
      const x = draw([1, 1, ...size]);
      const cubic = (t: number): number => {
        const d = Math.abs(t);
        if (d <= 1) return 1.25 * d ** 3 - 2.25 * d ** 2 + 1;
        return d < 2 ? -0.75 * d ** 3 + 3.75 * d ** 2 - 6 * d + 3 : 0;
      };
      const weight = (axis: number, i: number, p: number): number => {
        const n = size[axis]!;
        const at = place(i, n, out[axis]!, false);
        // Elements beyond the ends are those at the ends.
        const from = p === 0 ? -9 : p;
        const to = p === n - 1 ? n + 9 : p;
        let sum = 0;
        for (let q = from; q <= to; q++) sum += cubic(at - q);
        return sum;
      };
      expectSame(x.interpolate({ size: out, mode: 'bicubic' }), weighted(x, out, weight), 1e-11);
    });
  });
  it('widens its filters where it is asked not to pass over elements', () => {
    // Halving an even size: the hat is two elements wide, 1 3 3 1 in eighths.
    const x = counted([1, 1, 1, 8]);
    const square = valuesOf(x.mul(x).interpolate({ size: [1, 4], mode: 'bilinear', antialias: true }));
    expect(square[1]).toBeCloseTo((1 * 1 + 3 * 4 + 3 * 9 + 1 * 16) / 8, 12);
    expect(square[2]).toBeCloseTo((1 * 9 + 3 * 16 + 3 * 25 + 1 * 36) / 8, 12);
    const plain = x.interpolate({ size: [1, 12], mode: 'bilinear' });
    expectSame(x.interpolate({ size: [1, 12], mode: 'bilinear', antialias: true }), fromTensor(plain));
    const ones = x.mul(0).add(1);
    for (const mode of ['bilinear', 'bicubic'] as const)
      expectSame(
        ones.interpolate({ size: [1, 3], mode, antialias: true }),
        fromTensor(zeros([1, 1, 1, 3]).add(1)),
      );
  });
  it('takes means over areas', () => {
    const x = counted([1, 1, 4, 6]);
    const means = x.adaptiveAvgPool2d([3, 4]);
    expectSame(x.interpolate({ size: [3, 4], mode: 'area' }), fromTensor(means));
    expect(valuesOf(x.interpolate({ scaleFactor: 0.5, mode: 'area' }))).toEqual([
      3.5, 5.5, 7.5, 15.5, 17.5, 19.5,
    ]);
  });
  it('multiplies sizes by factors, rounding down, and looks as far as they say', () => {
    const x = counted([1, 1, 5]);
    expect(x.interpolate({ scaleFactor: 1.7 }).shape).toEqual([1, 1, 8]);
    expect(valuesOf(x.interpolate({ scaleFactor: 2 }))).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    const [exact, recomputed] = [false, true].map((recomputeScaleFactor) =>
      valuesOf(x.interpolate({ scaleFactor: 1.7, mode: 'linear', recomputeScaleFactor })),
    ) as [number[], number[]];
    expect(exact[3]).toBeCloseTo(3.5 / 1.7 - 0.5, 12);
    expect(recomputed[3]).toBeCloseTo((3.5 * 5) / 8 - 0.5, 12);
  });
  it('keeps floating-point dtypes, and integers where it only picks', () => {
    const x = tensor([[[1, 2, 4]]], { dtype: 'i32' });
    expect(x.interpolate({ size: 6 }).dtype).toBe('i32');
    expect(x.interpolate({ size: 6, mode: 'linear' }).dtype).toBe('f32');
    for (const dtype of ['f32', 'f64'] as const)
      expect(x.cast(dtype).interpolate({ size: 6, mode: 'linear' }).dtype).toBe(dtype);
    // A NaN reaches the elements beside it alone.
    const holed = tensor([[[1, 2, NaN, 4, 5, 6]]]).interpolate({ size: 12, mode: 'linear' });
    expect(valuesOf(holed).map(Number.isNaN).filter(Boolean).length).toBe(4);
  });
});

describe('refused', () => {
  const x = zeros([1, 1, 4, 4]);
  const rows: ErrorRow[] = [
    [
      'interpolate',
      () => zeros([4, 4]).interpolate({ size: 2 }),
      ShapeError,
      'interpolate: needs [batch, channels, one to three spatial axes]: [4, 4] f32',
    ],
    ['interpolate', () => x.interpolate({}), ValueError, 'interpolate: needs either size or scaleFactor'],
    [
      'interpolate',
      () => x.interpolate({ size: 2, scaleFactor: 2 }),
      ValueError,
      'interpolate: needs either size or scaleFactor',
    ],
    [
      'interpolate',
      () => x.interpolate({ size: 0 }),
      ValueError,
      'interpolate: size must be integers ≥ 1, got [0, 0]',
    ],
    [
      'interpolate',
      () => x.interpolate({ size: [1] }),
      ValueError,
      'interpolate: size needs one entry for each of 2 spatial axes, got 1',
    ],
    [
      'interpolate',
      () => x.interpolate({ scaleFactor: -1 }),
      ValueError,
      'interpolate: scaleFactor needs a number > 0 for each of 2 spatial axes, got [-1, -1]',
    ],
    [
      'interpolate',
      () => x.interpolate({ scaleFactor: [2] }),
      ValueError,
      'interpolate: scaleFactor needs a number > 0 for each of 2',
    ],
    [
      'interpolate',
      () => x.interpolate({ scaleFactor: 0.1 }),
      ValueError,
      'interpolate: size must be integers ≥ 1, got [0, 0]',
    ],
    [
      'interpolate',
      () => x.interpolate({ size: 2, mode: 'cubic' as 'bicubic' }),
      ValueError,
      "interpolate: mode 'cubic' is not known",
    ],
    [
      'interpolate',
      () => x.interpolate({ size: 2, mode: 'linear' }),
      ValueError,
      "interpolate: mode 'linear' is for 1 spatial axes, not 2: [1, 1, 4, 4] f32",
    ],
    [
      'interpolate',
      () => x.interpolate({ size: 2, alignCorners: true }),
      ValueError,
      "interpolate: alignCorners has no meaning in mode 'nearest'",
    ],
    [
      'interpolate',
      () => x.interpolate({ size: 2, mode: 'area', antialias: true }),
      ValueError,
      'interpolate: antialias is for bilinear and bicubic, not for area',
    ],
    [
      'interpolate',
      () => zeros([1, 1, 0]).interpolate({ size: 2 }),
      ShapeError,
      'interpolate: there is nothing to resize: [1, 1, 0] f32',
    ],
  ];
  it.each(rows)('%s %#', (...row) => expectRefused(row));
  it('every method has a row', () => expect(untried(interpolationMethods, rows)).toEqual([]));
});
