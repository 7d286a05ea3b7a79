/** Repeating, rolling, turning and combining: against plain loops in every layout, and what is refused. (PyTorch's answers: sorting.test.ts.) */
import {
  arange,
  cartesianProd,
  concat,
  eye,
  IndexError,
  InfinigradError,
  meshgrid,
  ShapeError,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { rearrangingMethods } from '../../src/compositions/rearranging.ts';
import { flat, fromValues, naive, put, range, type Naive } from '../naive.ts';
import { expectSame, holds, valuesOf } from './drawn.ts';

const modulo = (i: number, n: number): number => ((i % n) + n) % n;

describe('rolling and repeating', () => {
  it('roll brings back at one end what leaves at the other', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const values = valuesOf(x);
      const axis = int(0, x.rank - 1);
      const shift = int(-6, 6);
      const rolled = (source: Naive, by: number, along: number): Naive =>
        naive(source.shape, (index) =>
          source.at(put(index, along, modulo(index[along]! - by, source.shape[along]!))),
        );
      expectSame(x.roll(shift, axis - x.rank), rolled(values, shift, axis));
      const other = int(0, x.rank - 1);
      expectSame(x.roll([shift, 2], [axis, other]), rolled(rolled(values, shift, axis), 2, other));
      const all = fromValues(flat(values), [x.size]);
      expect(Array.from(x.roll(shift).dataSync())).toEqual(flat(rolled(all, shift, 0)));
      expectSame(x.roll(shift, axis).roll(-shift, axis), values);
    }));
  it('tile and repeat lay x beside itself', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(0, 3));
      const counts = Array.from({ length: int(0, 4) }, () => int(0, 3));
      const rank = Math.max(x.rank, counts.length);
      const sizes = [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
      const times = [...new Array<number>(rank - counts.length).fill(1), ...counts];
      const values = fromValues(flat(valuesOf(x)), sizes);
      const expected = naive(
        sizes.map((n, i) => n * times[i]!),
        (index) => values.at(index.map((at, i) => at % sizes[i]!)),
      );
      expectSame(x.tile(counts), expected);
      if (counts.length >= x.rank) expectSame(x.repeat(counts), expected);
    }));
  it('repeatInterleave has each element many times in a row', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const axis = int(0, x.rank - 1);
      const counts = range(x.shape[axis]!).map(() => int(0, 3));
      const places = counts.flatMap((count, i) => new Array<number>(count).fill(i));
      expectSame(
        x.repeatInterleave(counts, axis),
        naive(put(x.shape, axis, places.length), (index) =>
          valuesOf(x).at(put(index, axis, places[index[axis]!]!)),
        ),
      );
      const count = int(0, 3);
      expectSame(
        x.repeatInterleave(count, axis - x.rank),
        valuesOf(
          x.repeatInterleave(
            range(x.shape[axis]!).map(() => count),
            axis,
          ),
        ),
      );
      expectSame(x.repeatInterleave(count), valuesOf(x.reshape([-1]).repeatInterleave(count, 0)));
    }));
});

describe('diagonals', () => {
  it('diagEmbed writes what diagonal reads', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3), { min: 1 });
      const offset = int(-3, 3);
      const rank = x.rank + 1;
      const a = int(0, rank - 1);
      const b = (a + int(1, rank - 1)) % rank;
      const whole = x.diagEmbed(offset, a - rank, b);
      const n = x.shape.at(-1)! + Math.abs(offset);
      expect([whole.shape[a], whole.shape[b]]).toEqual([n, n]);
      expectSame(whole.diagonal(offset, a, b), valuesOf(x));
      // And nothing else.
      expect(whole.ne(0).sum().itemSync()).toBe(x.size);
    }));
  it('diag goes either way', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(2, 2));
      const offset = int(-4, 4);
      const [m, n] = x.shape as [number, number];
      const values = valuesOf(x);
      const places = range(m).flatMap((i) => (i + offset >= 0 && i + offset < n ? [i] : []));
      expectSame(
        x.diag(offset),
        naive([places.length], ([k]) => values.at([places[k!]!, places[k!]! + offset])),
      );
      const vector = x.select(0, 0);
      expectSame(
        vector.diag(offset),
        naive([n + Math.abs(offset), n + Math.abs(offset)], ([i, j]) =>
          offset === j! - i! ? values.at([0, Math.min(i!, j!)]) : 0,
        ),
      );
    }));
  it('diagonal shares the elements of what it is called on', () => {
    const x = zeros([3, 4]).clone();
    expect(x.diagonal(1).storage).toBe(x.storage);
    expect(x.diagonal(9).shape).toEqual([0]);
    expect(tensor([]).diagEmbed().shape).toEqual([0, 0]);
  });
  it('trace sums along the last two axes', () =>
    holds(({ tensor: draw, shape }) => {
      const x = draw(shape(2, 4));
      const [m, n] = x.shape.slice(-2) as [number, number];
      const values = valuesOf(x);
      expectSame(
        x.trace(),
        naive(x.shape.slice(0, -2), (lead) =>
          range(Math.min(m, n)).reduce((sum, i) => sum + values.at([...lead, i, i]), 0),
        ),
      );
    }));
});

describe('products', () => {
  it('outer multiplies each with each', () =>
    holds(({ tensor: draw, int }) => {
      const [x, y] = [draw([int(1, 4)]), draw([int(1, 4)])];
      const [a, b] = [valuesOf(x), valuesOf(y)];
      expectSame(
        x.outer(y),
        naive([x.size, y.size], ([i, j]) => a.at([i!]) * b.at([j!])),
      );
    }));
  it('kron puts a whole y in the place of each element', () =>
    holds(({ tensor: draw, shape }) => {
      const [x, y] = [draw(shape(0, 3)), draw(shape(0, 3))];
      const rank = Math.max(x.rank, y.rank);
      const filled = (t: typeof x): Naive =>
        fromValues(flat(valuesOf(t)), [...new Array<number>(rank - t.rank).fill(1), ...t.shape]);
      const [a, b] = [filled(x), filled(y)];
      expectSame(
        x.kron(y),
        naive(
          a.shape.map((n, i) => n * b.shape[i]!),
          (index) =>
            a.at(index.map((at, i) => Math.floor(at / b.shape[i]!))) *
            b.at(index.map((at, i) => at % b.shape[i]!)),
        ),
      );
    }));
  it('meshgrid spreads vectors over the grid, without a copy', () =>
    holds(({ tensor: draw, int }) => {
      const vectors = range(int(1, 3)).map(() => draw([int(1, 4)]));
      const sizes = vectors.map(({ size }) => size);
      const swapped = <T>(items: readonly T[]): T[] =>
        items.length < 2 ? [...items] : [items[1]!, items[0]!, ...items.slice(2)];
      for (const [indexing, order] of [
        ['ij', <T>(items: readonly T[]): T[] => [...items]],
        ['xy', swapped],
      ] as const)
        meshgrid(vectors, { indexing }).forEach((grid, i) => {
          expect(grid.storage).toBe(vectors[i]!.storage);
          expectSame(
            grid,
            naive(order(sizes), (index) => valuesOf(vectors[i]!).at([order(index)[i]!])),
          );
        });
    }));
  it('cartesianProd lists all choices, the last running fastest', () =>
    holds(({ tensor: draw, int }) => {
      const vectors = range(int(2, 3)).map(() => draw([int(1, 3)]));
      const rows = vectors.reduce<number[][]>(
        (found, x) => found.flatMap((row) => Array.from(x.dataSync(), (v) => [...row, v])),
        [[]],
      );
      expect(cartesianProd(vectors).toArraySync()).toEqual(rows);
      expect(cartesianProd([vectors[0]!])).toBe(vectors[0]);
    }));
});

describe('turning', () => {
  it('rot90 takes the first axis toward the second', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(2, 3));
      const a = int(0, x.rank - 1);
      const b = (a + int(1, x.rank - 1)) % x.rank;
      const once = x.rot90(1, [a, b - x.rank]);
      const values = valuesOf(x);
      // The element at (i, j) goes to (n - 1 - j, i).
      const n = x.shape[b]!;
      expectSame(
        once,
        naive(put(put(x.shape, a, n), b, x.shape[a]!), (index) =>
          values.at(put(put(index, a, index[b]!), b, n - 1 - index[a]!)),
        ),
      );
      const k = int(-5, 5);
      let turned = x;
      for (let i = 0; i < modulo(k, 4); i++) turned = turned.rot90(1, [a, b]);
      expectSame(x.rot90(k, [a, b]), valuesOf(turned));
    }));
  it('fliplr and flipud run backwards', () => {
    const x = arange(6).reshape([2, 3]);
    expect(x.fliplr().toArraySync()).toEqual([
      [2, 1, 0],
      [5, 4, 3],
    ]);
    expect(x.flipud().toArraySync()).toEqual([
      [3, 4, 5],
      [0, 1, 2],
    ]);
  });
  it('diff undoes running sums', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const axis = int(0, x.rank - 1);
      const n = int(0, 2);
      let summed = x;
      for (let i = 0; i < n; i++)
        summed = concat([zeros(put(x.shape, axis, 1), { dtype: 'f64' }), summed.cumsum(axis)], axis);
      expectSame(summed.diff(n, axis - x.rank), valuesOf(x));
      expect(x.diff(7, axis).size).toBe(0);
    }));
  it('diff takes what stands before and after', () =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw(shape(1, 3));
      const axis = int(0, x.rank - 1);
      const beside = draw(put(x.shape, axis, int(0, 2)));
      const parts = concat([beside, x, beside], axis);
      expectSame(
        x.diff(1, axis - x.rank, { prepend: beside, append: beside }),
        valuesOf(parts.diff(1, axis)),
      );
      const zero = zeros(put(x.shape, axis, 1), { dtype: 'f64' });
      // Running sums come back whole.
      expectSame(x.cumsum(axis).diff(1, axis, { prepend: 0 }), valuesOf(x));
      expectSame(x.diff(2, axis, { append: 0 }), valuesOf(concat([x, zero], axis).diff(2, axis)));
    }));
});

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const x = zeros([2, 3]);
  const v = zeros([3]);
  const rows: Row[] = [
    ['roll', () => x.roll(1, 2), IndexError, 'roll: axis 2 is out of range for rank 2: [2, 3] f32'],
    ['roll', () => x.roll(0.5), ValueError, 'roll: shifts must be integers, got 0.5'],
    ['roll', () => x.roll([1, 2], 0), ShapeError, 'roll: 2 shifts for 1 axes: [2, 3] f32'],
    ['roll', () => x.roll([1, 2]), ShapeError, 'roll: 2 shifts without axes'],
    ['tile', () => x.tile([-1]), ValueError, 'tile: counts must be integers ≥ 0, got -1: [2, 3] f32'],
    ['repeat', () => x.repeat([2]), ShapeError, 'repeat: 1 counts for rank 2: [2, 3] f32. Hint: tile()'],
    ['repeat', () => x.repeat([2, 0.5]), ValueError, 'repeat: counts must be integers ≥ 0, got 0.5'],
    [
      'repeatInterleave',
      () => x.repeatInterleave([1, 2], 1),
      ShapeError,
      'repeatInterleave: 2 counts for 3 elements (axis 1): [2, 3] f32',
    ],
    ['repeatInterleave', () => x.repeatInterleave(-1), ValueError, 'counts must be integers ≥ 0, got -1'],
    [
      'repeatInterleave',
      () => x.repeatInterleave(1, 2),
      IndexError,
      'repeatInterleave: axis 2 is out of range',
    ],
    ['diag', () => zeros([2, 2, 2]).diag(), ShapeError, 'diag: needs a vector or a matrix: [2, 2, 2] f32'],
    ['diag', () => x.diag(0.5), ValueError, 'diag: the offset must be an integer, got 0.5'],
    ['diagEmbed', () => tensor(1).diagEmbed(), ShapeError, 'diagEmbed: needs at least one axis: [] f32'],
    ['diagEmbed', () => x.diagEmbed(0, 1, -2), ValueError, 'diagEmbed: needs two axes, got 1 twice'],
    ['diagEmbed', () => x.diagEmbed(0, 0, 3), IndexError, 'diagEmbed: axis 3 is out of range for rank 3'],
    ['diagEmbed', () => x.diagEmbed(0.5), ValueError, 'diagEmbed: the offset must be an integer'],
    ['trace', () => v.trace(), ShapeError, 'trace: needs two axes: [3] f32'],
    ['outer', () => x.outer(v), ShapeError, 'outer: needs two vectors: [2, 3] f32, [3] f32'],
    ['rot90', () => x.rot90(0.5), ValueError, 'rot90: k must be an integer, got 0.5'],
    ['rot90', () => x.rot90(1, [0, -2]), ValueError, 'rot90: needs two axes, got [0, -2]: [2, 3] f32'],
    ['rot90', () => v.rot90(), IndexError, 'rot90: axis 1 is out of range for rank 1'],
    ['fliplr', () => v.fliplr(), ShapeError, 'fliplr: needs two axes: [3] f32'],
    ['flipud', () => tensor(1).flipud(), ShapeError, 'flipud: needs an axis: [] f32'],
    ['diff', () => x.diff(-1), ValueError, 'diff: n must be an integer ≥ 0, got -1'],
    ['diff', () => x.diff(1, 2), IndexError, 'diff: axis 2 is out of range'],
    ['diff', () => x.diff(1, 1, { prepend: zeros([3, 1]) }), ShapeError, 'diff: sizes differ outside axis 1'],
    ['meshgrid', () => meshgrid([]), ValueError, 'meshgrid: needs at least one vector'],
    ['meshgrid', () => meshgrid([v, x]), ShapeError, 'meshgrid: needs vectors: [3] f32, [2, 3] f32'],
    [
      'meshgrid',
      () => meshgrid([v], { indexing: 'yx' as 'xy' }),
      ValueError,
      "must be 'ij' or 'xy', got 'yx'",
    ],
    ['cartesianProd', () => cartesianProd([]), ValueError, 'cartesianProd: needs at least one vector'],
    ['cartesianProd', () => cartesianProd([x]), ShapeError, 'cartesianProd: needs vectors: [2, 3] f32'],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every method has a row, but kron, which takes all shapes', () => {
    const tried = new Set([...rows.map(([name]) => name), 'kron']);
    expect(Object.keys(rearrangingMethods).filter((name) => !tried.has(name))).toEqual([]);
    expect(eye(2).kron(tensor(2)).shape).toEqual([2, 2]);
  });
});
