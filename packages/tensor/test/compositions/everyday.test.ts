/** Pieces, statistics, distances, signals and grids: against plain loops, and what is refused. */
import {
  blackmanWindow,
  hammingWindow,
  hannWindow,
  IndexError,
  InfinigradError,
  ShapeError,
  stack,
  tensor,
  ValueError,
  zeros,
  concat,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { distanceMethods } from '../../src/compositions/distances.ts';
import { gridSampleMethods } from '../../src/compositions/grid-sample.ts';
import { pieceMethods } from '../../src/compositions/pieces.ts';
import { signalMethods } from '../../src/compositions/signal.ts';
import { statisticsMethods } from '../../src/compositions/statistics.ts';
import { line, naive, put, range, type Naive } from '../naive.ts';
import { expectSame, holds, valuesOf } from './drawn.ts';

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => total(values) / values.length;
const along = (x: Tensor, axis: number, f: (values: number[]) => number): Naive =>
  naive(x.shape.toSpliced(axis, 1), (index) => f(line(valuesOf(x), axis, index.toSpliced(axis, 0, 0))));
const list = (x: Tensor): number[] => Array.from(x.dataSync());
const f64 = { dtype: 'f64' } as const;

describe('pieces', () => {
  it('chunk gives as many as there can be, which joined are x', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const axis = int(-x.rank, x.rank - 1);
      const count = int(1, 5);
      const pieces = x.chunk(count, axis);
      expectSame(concat(pieces, axis), valuesOf(x));
      const sizes = pieces.map((piece) => piece.shape.at(axis)!);
      expect(pieces.length).toBeLessThanOrEqual(count);
      expect(new Set(sizes.slice(0, -1)).size).toBeLessThanOrEqual(1);
      expect(Math.max(...sizes)).toBe(Math.ceil(x.shape.at(axis)! / count));
    }));
  it('of nothing are all empty', () =>
    expect(
      zeros([0, 2])
        .chunk(3)
        .map((piece) => piece.shape),
    ).toEqual([
      [0, 2],
      [0, 2],
      [0, 2],
    ]));
  it('unbind is undone by stack, unflatten by flatten', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(2, 3));
      const axis = int(0, x.rank - 1);
      expectSame(stack(x.unbind(axis), axis), valuesOf(x));
      const flat = x.flatten(0, 1);
      const sizes = x.shape.slice(0, 2);
      for (const given of [sizes, put(sizes, 0, -1), put(sizes, 1, -1)])
        expectSame(flat.unflatten(-flat.rank, given), valuesOf(x));
    }));
});

describe('statistics', () => {
  it('counts, sums and means pass over what does not count', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3), { min: -1, max: 1 });
      const axis = int(0, x.rank - 1);
      expectSame(
        x.countNonzero(axis),
        along(x, axis, (values) => values.filter((v) => v !== 0).length),
      );
      const holes = x.div(x).mul(x);
      const kept = (values: number[]): number[] => values.filter((v) => v !== 0);
      expectSame(
        holes.nanSum(axis - x.rank),
        along(x, axis, (values) => total(kept(values))),
      );
      expectSame(
        holes.nanMean(axis),
        along(x, axis, (values) => mean(kept(values))),
        1e-15,
      );
      expect(holes.nanMean(axis, true).shape).toEqual(x.shape.with(axis, 1));
    }));
  it('cov and corrcoef compare rows', () =>
    holds(({ tensor: draw, int }) => {
      const [n, m] = [int(1, 4), int(2, 5)];
      const x = draw([n, m]);
      const rows = range(n).map((i) => line(valuesOf(x), 1, [i, 0]));
      const product = (i: number, j: number, by: number): number => {
        const [a, b] = [rows[i]!, rows[j]!];
        return total(range(m).map((k) => (a[k]! - mean(a)) * (b[k]! - mean(b)))) / by;
      };
      const correction = int(0, 1);
      expectSame(
        x.cov({ correction }),
        naive([n, n], ([i, j]) => product(i!, j!, m - correction)),
        1e-13,
      );
      expectAllClose(x.select(0, 0).cov(), [product(0, 0, m - 1)], { rtol: 1e-13 });
      expectSame(
        x.corrcoef(),
        naive([n, n], ([i, j]) => product(i!, j!, 1) / Math.sqrt(product(i!, i!, 1) * product(j!, j!, 1))),
        1e-13,
      );
    }));
  it('isClose allows for rounding, not for infinities', () => {
    const x = tensor([1, 1, 1, Infinity, Infinity, -Infinity, NaN, 1e9], f64);
    const y = tensor([1, 1 + 5e-6, 1 + 5e-5, Infinity, 1, Infinity, NaN, 1e9 + 1e3], f64);
    expect(list(x.isClose(y))).toEqual([1, 1, 0, 1, 0, 0, 0, 1]);
    expect(list(x.isClose(y, { equalNaN: true })).at(6)).toBe(1);
    expect(list(x.isClose(y, { rtol: 0 }))).toEqual([1, 0, 0, 1, 0, 0, 0, 0]);
    expect(list(x.isClose(y, { rtol: 0, atol: 1e-4 })).slice(0, 3)).toEqual([1, 1, 1]);
    expect(list(x.isClose(1, { equalNaN: true }))).toEqual([1, 1, 1, 0, 0, 0, 0, 0]);
    // Neither end of i32 is near the other, though their difference wraps.
    const ends = tensor([-(2 ** 31), 2 ** 31 - 1], { dtype: 'i32' });
    expect(list(ends.isClose(ends.flip()))).toEqual([0, 0]);
  });
});

describe('distances', () => {
  const norm = (values: readonly number[]): number => Math.sqrt(total(values.map((v) => v * v)));
  it('normalize makes lengths 1, cosineSimilarity compares directions', () =>
    holds(({ tensor: draw, shape, int }) => {
      const sizes = shape(1, 3);
      const [x, y] = [draw(sizes), draw(sizes)];
      const axis = int(0, x.rank - 1);
      const lengths = (t: Tensor) => (index: readonly number[]) => norm(line(valuesOf(t), axis, index));
      expectSame(
        x.normalize(axis),
        naive(sizes, (index) => valuesOf(x).at(index) / (lengths(x)(index) || 1)),
        1e-15,
      );
      expectSame(
        x.cosineSimilarity(y, axis - x.rank),
        naive(sizes.toSpliced(axis, 1), (index) => {
          const whole = index.toSpliced(axis, 0, 0);
          const [a, b] = [line(valuesOf(x), axis, whole), line(valuesOf(y), axis, whole)];
          return total(a.map((v, i) => v * b[i]!)) / (norm(a) * norm(b) || 1);
        }),
        1e-14,
      );
    }));
  it('cdist is between all points of one and of the other', () =>
    holds(({ tensor: draw, int }) => {
      const [n, m, d] = [int(1, 4), int(1, 4), int(1, 3)];
      const [x, y] = [draw([2, n, d]), draw([m, d])];
      expectSame(
        x.cdist(y),
        naive([2, n, m], ([b, i, j]) =>
          norm(range(d).map((k) => valuesOf(x).at([b!, i!, k]) - valuesOf(y).at([j!, k]))),
        ),
        1e-15,
      );
      expectSame(
        x.cdist(y, 1),
        naive([2, n, m], ([b, i, j]) =>
          total(range(d).map((k) => Math.abs(valuesOf(x).at([b!, i!, k]) - valuesOf(y).at([j!, k])))),
        ),
        1e-15,
      );
    }));
});

describe('signals', () => {
  it('windows are sums of cosines', () => {
    expectAllClose(hannWindow(4, f64), [0, 0.5, 1, 0.5], { atol: 4e-16 });
    expectAllClose(hannWindow(5, { ...f64, periodic: false }), [0, 0.5, 1, 0.5, 0], { atol: 4e-16 });
    expectAllClose(hammingWindow(2, f64), [0.08, 1], { atol: 4e-16 });
    expectAllClose(blackmanWindow(4, f64), [0, 0.34, 1, 0.34], { atol: 1e-15 });
    expect([hannWindow(1), hammingWindow(1), blackmanWindow(1)].flatMap(list)).toEqual([1, 1, 1]);
    expect(hannWindow(0).shape).toEqual([0]);
    expect(hannWindow(3).dtype).toBe('f32');
  });
  it('dct is its sum of cosines, and idct its inverse', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const axis = int(0, x.rank - 1);
      const n = x.shape[axis]!;
      const sum = (index: readonly number[]): number => {
        const k = index[axis]!;
        const values = line(valuesOf(x), axis, index);
        return 2 * total(values.map((v, j) => v * Math.cos((Math.PI * k * (2 * j + 1)) / (2 * n))));
      };
      expectSame(x.dct(axis), naive(x.shape, sum), 1e-13);
      const scale = (k: number): number => Math.sqrt(1 / ((k === 0 ? 4 : 2) * n));
      const ortho = x.dct(axis - x.rank, 'ortho');
      expectSame(
        ortho,
        naive(x.shape, (index) => sum(index) * scale(index[axis]!)),
        1e-13,
      );
      expectSame(x.dct(axis).idct(axis), valuesOf(x), 1e-13);
      expectSame(ortho.idct(axis, 'ortho'), valuesOf(x), 1e-13);
    }));
  it('trapezoid adds up trapezoids', () =>
    holds(({ tensor: draw, shape, int }) => {
      const y = draw(shape(1, 3));
      const axis = int(0, y.rank - 1);
      const n = y.shape[axis]!;
      const places = draw([n]);
      const area = (at: (i: number) => number) => (values: number[]) =>
        total(range(n - 1).map((i) => ((at(i + 1) - at(i)) * (values[i]! + values[i + 1]!)) / 2));
      expectSame(
        y.trapezoid(0.5, axis),
        along(
          y,
          axis,
          area((i) => i / 2),
        ),
      );
      const given = along(
        y,
        axis,
        area((i) => list(places)[i]!),
      );
      expectSame(y.trapezoid(places, axis - y.rank), given);
      const whole = places.reshape(y.shape.map((_, i) => (i === axis ? n : 1))).expand(y.shape);
      expectSame(y.trapezoid(whole, axis), given);
    }));
});

describe('grids', () => {
  const image = tensor(
    [
      [
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      ],
    ],
    f64,
  );
  it('the identity map reads the image as it is, in every mode', () => {
    const same = tensor(
      [
        [
          [1, 0, 0],
          [0, 1, 0],
        ],
      ],
      f64,
    );
    for (const alignCorners of [false, true])
      for (const mode of ['bilinear', 'nearest'] as const)
        for (const padding of ['zeros', 'border', 'reflection'] as const) {
          const grid = same.affineGrid([3, 2], { alignCorners });
          expect(grid.shape).toEqual([1, 3, 2, 2]);
          expectSame(image.gridSample(grid, { mode, padding, alignCorners }), valuesOf(image), 1e-14);
        }
  });
  it('bilinear is the interpolation of the four neighbours, with zeros outside', () =>
    holds(({ tensor: draw, int }) => {
      const [h, w] = [int(1, 4), int(1, 4)];
      const x = draw([2, 2, h, w]);
      // In eighths of the image, from before it to behind it.
      const grid = draw([2, 3, 2, 2], { min: -12, max: 12 }).div(8);
      const values = valuesOf(x);
      const element = (n: number, c: number, i: number, j: number): number =>
        i < 0 || j < 0 || i >= h || j >= w ? 0 : values.at([n, c, i, j]);
      expectSame(
        x.gridSample(grid),
        naive([2, 2, 3, 2], ([n, c, i, j]) => {
          const [gx, gy] = [0, 1].map((k) => valuesOf(grid).at([n!, i!, j!, k])) as [number, number];
          const [px, py] = [((gx + 1) * w - 1) / 2, ((gy + 1) * h - 1) / 2];
          return total(
            [0, 1].flatMap((a) =>
              [0, 1].map((b) => {
                const [down, across] = [Math.floor(py) + a, Math.floor(px) + b];
                const weight = (1 - Math.abs(py - down)) * (1 - Math.abs(px - across));
                return weight * element(n!, c!, down, across);
              }),
            ),
          );
        }),
        1e-13,
      );
    }));
  it('what lies outside is what padding says', () => {
    const far = tensor(
      [
        [
          [
            [-1.5, -1],
            [1.5, 1],
          ],
        ],
      ],
      f64,
    );
    const read = (padding: 'zeros' | 'border' | 'reflection'): number[] =>
      list(image.gridSample(far, { mode: 'nearest', padding, alignCorners: true }));
    expect(read('border')).toEqual([1, 6]);
    // ± 3/4 beyond the middle of the outermost elements, a quarter inside of their mirror image
    expect(list(image.gridSample(far, { padding: 'reflection', alignCorners: true }))).toEqual([1.25, 5.75]);
    expect(list(image.gridSample(far, { alignCorners: true }))).toEqual([0.75, 4.5]);
    expect(read('zeros')).toEqual([1, 6]);
  });
});

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const loose = (value: unknown): never => value as never;
  const x = zeros([2, 3]);
  const image = zeros([1, 1, 2, 2]);
  const rows: Row[] = [
    ['chunk', () => x.chunk(0), ValueError, 'chunk: needs a count ≥ 1, got 0: [2, 3] f32'],
    ['chunk', () => x.chunk(1, 2), IndexError, 'chunk: axis 2 is out of range'],
    ['unbind', () => x.unbind(2), IndexError, 'unbind: axis 2 is out of range'],
    [
      'unflatten',
      () => x.unflatten(1, [2, 2]),
      ShapeError,
      'unflatten: axis 1 of size 3 is not [2, 2]: [2, 3] f32',
    ],
    ['unflatten', () => x.unflatten(1, [-1, -1]), ShapeError, 'is not [-1, -1]'],
    ['unflatten', () => x.unflatten(1, [2, -1]), ShapeError, 'is not [2, -1]'],
    ['unflatten', () => x.unflatten(1, [-3, -1]), ShapeError, 'is not [-3, -1]'],
    ['unflatten', () => x.unflatten(1, loose(3)), ValueError, 'unflatten: the sizes must come in an array'],
    ['countNonzero', () => x.countNonzero(2), IndexError, 'countNonzero: axis 2 is out of range'],
    ['nanSum', () => x.nanSum(2), IndexError, 'nanSum: axis 2 is out of range'],
    ['nanMean', () => x.nanMean(2), IndexError, 'nanMean: axis 2 is out of range'],
    ['cov', () => image.cov(), ShapeError, 'cov: needs one variable a row: [1, 1, 2, 2] f32'],
    ['corrcoef', () => tensor(1).corrcoef(), ShapeError, 'corrcoef: needs one variable a row: [] f32'],
    ['isClose', () => x.isClose(zeros([2])), ShapeError, 'isClose: shapes do not broadcast'],
    ['isClose', () => x.isClose(x, { rtol: -1 }), ValueError, 'isClose: needs tolerances ≥ 0, got rtol -1'],
    ['isClose', () => x.isClose(x, { atol: NaN }), ValueError, 'atol NaN'],
    ['normalize', () => x.normalize(2), IndexError, 'normalize: axis 2 is out of range'],
    ['normalize', () => x.normalize(0, { eps: -1 }), ValueError, 'normalize: needs eps ≥ 0, got -1'],
    ['normalize', () => x.normalize(0, { order: NaN }), ValueError, 'normalize: '],
    ['cosineSimilarity', () => x.cosineSimilarity(zeros([4])), ShapeError, 'cosineSimilarity: shapes do not'],
    [
      'cosineSimilarity',
      () => x.cosineSimilarity(x, 2),
      IndexError,
      'cosineSimilarity: axis 2 is out of range',
    ],
    ['cosineSimilarity', () => x.cosineSimilarity(x, 0, { eps: NaN }), ValueError, 'needs eps ≥ 0'],
    ['cdist', () => x.cdist(zeros([2, 2])), ShapeError, 'cdist: needs points [n, d] and [m, d]'],
    [
      'cdist',
      () => zeros([3]).cdist(x),
      ShapeError,
      'cdist: needs points [n, d] and [m, d]: [3] f32, [2, 3] f32',
    ],
    ['cdist', () => zeros([2, 1, 3]).cdist(zeros([3, 1, 3])), ShapeError, 'cdist: shapes do not broadcast'],
    ['dct', () => x.dct(2), IndexError, 'dct: axis 2 is out of range'],
    [
      'dct',
      () => x.dct(0, loose('forward')),
      ValueError,
      "dct: 'forward' is not a norm. Hint: backward or ortho",
    ],
    ['dct', () => zeros([2, 0]).dct(), ValueError, 'dct: no transform of 0 points'],
    ['idct', () => x.idct(2), IndexError, 'idct: axis 2 is out of range'],
    ['idct', () => zeros([2, 0]).idct(), ValueError, 'idct: no transform of 0 points'],
    ['trapezoid', () => x.trapezoid(1, 2), IndexError, 'trapezoid: axis 2 is out of range'],
    ['trapezoid', () => x.trapezoid(zeros([2])), ShapeError, 'trapezoid: '],
    [
      'gridSample',
      () => image.gridSample(x),
      ShapeError,
      'gridSample: needs an image [N, C, H, W] and a grid',
    ],
    ['gridSample', () => image.gridSample(zeros([2, 1, 1, 2])), ShapeError, 'gridSample: needs an image'],
    [
      'gridSample',
      () => zeros([1, 1, 0, 2]).gridSample(zeros([1, 1, 1, 2])),
      ShapeError,
      'the image is empty',
    ],
    [
      'gridSample',
      () => image.gridSample(zeros([1, 1, 1, 2]), { mode: loose('cubic') }),
      ValueError,
      "gridSample: mode 'cubic' is not known. Hint: bilinear, nearest",
    ],
    [
      'gridSample',
      () => image.gridSample(zeros([1, 1, 1, 2]), { padding: loose('wrap') }),
      ValueError,
      "gridSample: padding 'wrap' is not known. Hint: zeros, border, reflection",
    ],
    ['affineGrid', () => x.affineGrid([2, 2]), ShapeError, 'affineGrid: needs maps [N, 2, 3]: [2, 3] f32'],
    [
      'affineGrid',
      () => zeros([1, 2, 3]).affineGrid([0, 2]),
      ValueError,
      'needs a height and a width ≥ 1, got [0, 2]',
    ],
    ['affineGrid', () => zeros([1, 2, 3]).affineGrid(loose(2)), ValueError, 'got [2]'],
    ['hannWindow', () => hannWindow(-1), ValueError, 'hannWindow: needs a size ≥ 0, got -1'],
    ['hammingWindow', () => hammingWindow(0.5), ValueError, 'hammingWindow: needs a size ≥ 0, got 0.5'],
    ['blackmanWindow', () => blackmanWindow(NaN), ValueError, 'blackmanWindow: needs a size ≥ 0, got NaN'],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every method has a row', () => {
    const tried = new Set(rows.map(([name]) => name));
    const all = [pieceMethods, statisticsMethods, distanceMethods, signalMethods, gridSampleMethods];
    expect(all.flatMap(Object.keys).filter((name) => !tried.has(name))).toEqual([]);
  });
});
