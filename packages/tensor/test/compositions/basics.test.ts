/** Compositions: each against its meaning by plain loops, in every layout. */
import { dtypes, fromData, stack, tensor, zeros, type DType, type Tensor } from '@infinigrad/tensor';
import { drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  flat,
  fromTensor,
  indices,
  meet,
  naive,
  positive,
  put,
  range,
  stretchedAt,
  type Naive,
} from '../naive.ts';
import { runs } from '../support.ts';

/** A tensor of distinct numbers in any layout, and a source of further choices. */
interface Drawn {
  readonly x: Tensor;
  readonly values: Naive;
  readonly rank: number;
  /** An integer between two, both included. */
  readonly int: (min: number, max: number) => number;
  /** An axis, counted from either end. */
  readonly axis: () => number;
}

/** Tries a law on many tensors of rank `minRank` and more. */
function holds(minRank: number, check: (drawn: Drawn) => void, dtype: DType = 'f64'): void {
  const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: minRank, maxLength: 4 });
  const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
  const law = fc.property(shapes, fc.gen(), (shape, g) => {
    const values = indices(shape).map((_, i) => (dtype === 'f64' ? i * 1.5 - 7 : i - 3));
    const x = realise(values, shape, dtype, drawLayout(g, shape, { repeats: false }));
    const int = (min: number, max: number): number => g(between, min, max);
    check({
      x,
      values: fromTensor(x),
      rank: shape.length,
      int,
      axis: () => int(-shape.length, shape.length - 1),
    });
  });
  fc.assert(law, { numRuns: runs });
}

function expectSame(actual: Tensor, expected: Naive, tolerance = 0): void {
  expect(actual.shape).toEqual(expected.shape);
  expectAllClose(actual, flat(expected), { rtol: tolerance, atol: tolerance });
}

const without = (shape: readonly number[], axis: number): number[] => shape.toSpliced(axis, 1);

describe('moving axes', () => {
  it('transpose swaps two, the last two unless told', () => {
    holds(2, ({ x, values, rank, axis }) => {
      const [a, b] = [axis(), axis()];
      const swapped = (i: number, j: number): Naive => {
        const change = (index: readonly number[]): number[] => {
          const out = [...index];
          [out[i], out[j]] = [index[j]!, index[i]!];
          return out;
        };
        return naive(change(values.shape), (index) => values.at(change(index)));
      };
      expectSame(x.transpose(a, b), swapped(positive(a, rank), positive(b, rank)));
      expectSame(x.transpose(), swapped(rank - 2, rank - 1));
    });
  });
  it('moveAxis takes one to another place, the others keep their order', () => {
    holds(1, ({ x, values, rank, axis }) => {
      const [from, to] = [axis(), axis()];
      const [i, j] = [positive(from, rank), positive(to, rank)];
      const moved = <T>(items: readonly T[]): T[] => {
        const rest = items.toSpliced(i, 1);
        return rest.toSpliced(j, 0, items[i]!);
      };
      const back = <T>(items: readonly T[]): T[] => items.toSpliced(j, 1).toSpliced(i, 0, items[j]!);
      expectSame(
        x.moveAxis(from, to),
        naive(moved(values.shape), (index) => values.at(back(index))),
      );
    });
  });
  it('flip runs backwards along some axes, or all', () => {
    holds(1, ({ x, values, rank, axis }) => {
      const a = axis();
      const reversed = (axes: readonly number[]): Naive =>
        naive(values.shape, (index) =>
          values.at(index.map((i, k) => (axes.includes(k) ? values.shape[k]! - 1 - i : i))),
        );
      expectSame(x.flip(a), reversed([positive(a, rank)]));
      expectSame(x.flip(), reversed(range(rank)));
      expectSame(x.flip([]), values);
    });
    expect(zeros([0, 2]).flip().shape).toEqual([0, 2]);
  });
});

describe('axes of size 1', () => {
  it('unsqueeze adds one at a place counted in the result; squeeze takes it away', () => {
    holds(0, ({ x, values, rank, int }) => {
      const at = int(-rank - 1, rank);
      const place = at < 0 ? at + rank + 1 : at;
      const wide = x.unsqueeze(at);
      expectSame(
        wide,
        naive(values.shape.toSpliced(place, 0, 1), (index) => values.at(without(index, place))),
      );
      expectSame(wide.squeeze(place), values);
      expectSame(wide.squeeze([place]), values);
    });
  });
  it('squeeze without axes takes all', () => {
    holds(0, ({ x, values }) => {
      const kept = values.shape.flatMap((n, i) => (n === 1 ? [] : [i]));
      expectSame(
        x.squeeze(),
        naive(
          kept.map((i) => values.shape[i]!),
          (index) => values.at(values.shape.map((_, i) => (kept.includes(i) ? index[kept.indexOf(i)]! : 0))),
        ),
      );
    });
    expect(zeros([1, 0, 1]).squeeze().shape).toEqual([0]);
    expect(zeros([1, 3, 1]).squeeze([0, -1]).shape).toEqual([3]);
  });
  it('flatten merges neighbours into one', () => {
    holds(1, ({ x, values, rank, int }) => {
      const i = int(0, rank - 1);
      const j = int(i, rank - 1);
      const merged = values.shape.slice(i, j + 1).reduce((a, b) => a * b, 1);
      const shape = [...values.shape.slice(0, i), merged, ...values.shape.slice(j + 1)];
      for (const y of [x.flatten(i, j), x.flatten(i - rank, j - rank)]) {
        expect(y.shape).toEqual(shape);
        expectAllClose(y, flat(values));
      }
      expect(x.flatten().shape).toEqual([x.size]);
    });
    expect(tensor(3).flatten().shape).toEqual([1]);
    expect(zeros([2, 0, 3]).flatten(1).shape).toEqual([2, 0]);
  });
});

describe('pieces', () => {
  it('select takes one slice, and the axis goes away', () => {
    holds(1, ({ x, values, rank, axis, int }) => {
      const a = axis();
      const at = positive(a, rank);
      const size = values.shape[at]!;
      const position = int(-size, size - 1);
      const i = position < 0 ? position + size : position;
      expectSame(
        x.select(a, position),
        naive(without(values.shape, at), (index) => values.at(index.toSpliced(at, 0, i))),
      );
    });
  });
  it('narrow takes a run of them', () => {
    holds(1, ({ x, values, rank, axis, int }) => {
      const a = axis();
      const at = positive(a, rank);
      const start = int(0, values.shape[at]!);
      const length = int(0, values.shape[at]! - start);
      expectSame(
        x.narrow(a, start, length),
        naive(put(values.shape, at, length), (index) => values.at(put(index, at, index[at]! + start))),
      );
    });
  });
  it('split cuts all of it: at a size, or at sizes', () => {
    holds(1, ({ x, values, rank, axis, int }) => {
      const a = axis();
      const at = positive(a, rank);
      const total = values.shape[at]!;
      const size = int(1, total + 1);
      const sizes: number[] = [];
      for (let left = total; left > 0; left -= sizes.at(-1)!) {
        // Pieces may be empty. (They are not all so when choices shrink.)
        if (int(0, 3) === 3) sizes.push(0);
        sizes.push(int(1, left));
      }
      const even = range(Math.ceil(total / size)).map((k) => Math.min(size, total - k * size));
      for (const [pieces, list] of [
        [x.split(size, a), even],
        [x.split(sizes, a), sizes],
      ] as const) {
        expect(pieces.length).toBe(list.length);
        let start = 0;
        pieces.forEach((piece, k) => {
          const from = start;
          expectSame(
            piece,
            naive(put(values.shape, at, list[k]!), (index) => values.at(put(index, at, index[at]! + from))),
          );
          start += list[k]!;
        });
        expect(start).toBe(total);
      }
    });
    expect(
      tensor([1, 2, 3])
        .split(2)
        .map(({ size }) => size),
    ).toEqual([2, 1]);
    expect(zeros([0]).split(2)).toEqual([]);
  });
  it('stack lays tensors side by side along a new axis', () => {
    holds(0, ({ x, values, rank, int }) => {
      const at = int(-rank - 1, rank);
      const place = at < 0 ? at + rank + 1 : at;
      const all = [x, x.mul(2), x.neg()];
      expectSame(
        stack(all, at),
        naive(
          values.shape.toSpliced(place, 0, 3),
          (index) => values.at(without(index, place)) * [1, 2, -1][index[place]!]!,
        ),
      );
    });
    expect(stack([tensor(1), tensor(2)]).toArraySync()).toEqual([1, 2]);
    expect(stack([tensor([1]), tensor([2], { dtype: 'f64' })]).dtype).toBe('f64');
  });
});

describe('picking by index', () => {
  it('takeAlongAxis picks along one axis; index and tensor broadcast on the others', () => {
    holds(1, ({ x, values, rank, axis, int }) => {
      const a = axis();
      const at = positive(a, rank);
      const count = int(1, 3);
      // Sizes of 1 on either side stretch.
      const narrowed = values.shape.map((n, i) => (i !== at && int(0, 2) === 0 ? 1 : n));
      const source = x.slice(narrowed.map((n) => [0, n]));
      const shape = values.shape.map((n, i) => (i === at ? count : int(0, 2) === 0 ? 1 : n));
      const picked = indices(shape).map(() => int(0, values.shape[at]! - 1));
      const index = fromData(Int32Array.from(picked), shape);
      const whole = put(meet(put(narrowed, at, 1), put(shape, at, 1)), at, count);
      expectSame(
        source.takeAlongAxis(index, a),
        naive(whole, (place) => {
          const row = stretchedAt(fromTensor(index), place);
          return fromTensor(source).at(
            put(place, at, row).map((i, k) => (narrowed[k] === 1 && k !== at ? 0 : i)),
          );
        }),
      );
    });
    // Sorting by argument: NumPy's first example of take_along_axis.
    const rows = tensor([
      [10, 30, 20],
      [60, 40, 50],
    ]);
    expect(rows.takeAlongAxis(rows.argMax(1, true), 1).toArraySync()).toEqual([[30], [60]]);
  });
  it('oneHot is 1 at the index and 0 elsewhere; indices outside give zeros', () => {
    holds(
      0,
      ({ x, values, int }) => {
        const classes = int(1, 6);
        expectSame(
          x.oneHot(classes),
          naive([...values.shape, classes], (index) =>
            Number(values.at(index.slice(0, -1)) === index.at(-1)),
          ),
        );
      },
      'i32',
    );
    expect([
      tensor([1], { dtype: 'u8' }).oneHot(2).dtype,
      tensor([1], { dtype: 'i32' }).oneHot(2, 'bool').dtype,
    ]).toEqual(['f32', 'bool']);
    expect(tensor([299], { dtype: 'i32' }).oneHot(300).sum().itemSync()).toBe(1);
    expect(tensor([255], { dtype: 'u8' }).oneHot(300).argMax().itemSync()).toBe(255);
  });
});

describe('triangles', () => {
  it('mask, lower and upper part are split by the diagonal', () => {
    holds(2, ({ x, values, int }) => {
      const diagonal = int(-5, 5);
      const low = (index: readonly number[]): boolean => index.at(-1)! <= index.at(-2)! + diagonal;
      const mask = x.triangleMask(diagonal);
      expect(mask.dtype).toBe('bool');
      expectSame(
        mask,
        naive(values.shape.slice(-2), (index) => Number(low(index))),
      );
      expectSame(
        x.tril(diagonal),
        naive(values.shape, (index) => (low(index) ? values.at(index) : 0)),
      );
      expectSame(
        x.triu(diagonal),
        naive(values.shape, (index) => (index.at(-1)! >= index.at(-2)! + diagonal ? values.at(index) : 0)),
      );
      // The two overlap on the diagonal alone.
      expectSame(x.tril(diagonal - 1).add(x.triu(diagonal)), values);
    });
    expect(zeros([3, 3]).triangleMask().toArraySync()).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ]);
    expect(zeros([0, 3]).triangleMask().shape).toEqual([0, 3]);
  });
  it.each(dtypes)('keep the dtype, %s', (dtype) => {
    const x = tensor([[1, 1]], { dtype });
    expect([x.tril().dtype, x.triu().dtype]).toEqual([dtype, dtype]);
    expect(x.tril().toArraySync()).toEqual([dtype === 'bool' ? [true, false] : [1, 0]]);
  });
});

describe('statistics', () => {
  /** Reduces over axes by a function of the values met. */
  const over = (
    values: Naive,
    axes: readonly number[],
    keepDims: boolean,
    f: (all: number[]) => number,
  ): Naive => {
    const kept = values.shape.map((n, i) => (axes.includes(i) ? 1 : n));
    const shape = keepDims ? kept : values.shape.filter((_, i) => !axes.includes(i));
    const inner = values.shape.map((n, i) => (axes.includes(i) ? n : 1));
    return naive(shape, (index) => {
      let next = 0;
      const base = keepDims ? index : values.shape.map((_, i) => (axes.includes(i) ? 0 : index[next++]!));
      return f(indices(inner).map((step) => values.at(base.map((i, k) => i + step[k]!))));
    });
  };
  const mean = (all: number[]): number => all.reduce((a, b) => a + b, 0) / all.length;
  const variance =
    (correction: number) =>
    (all: number[]): number => {
      const m = mean(all);
      return all.reduce((total, v) => total + (v - m) ** 2, 0) / Math.max(0, all.length - correction);
    };

  it('variance and std: about the mean, by count - correction', () => {
    holds(1, ({ x, values, rank, int }) => {
      const axes = range(rank).filter(() => int(0, 1) === 1);
      const keepDims = int(0, 1) === 1;
      for (const correction of [0, 1, 2]) {
        const expected = over(values, axes, keepDims, variance(correction));
        expectSame(x.variance(axes, { correction, keepDims }), expected, 1e-12);
        expectSame(
          x.std(axes, { correction, keepDims }),
          naive(expected.shape, (index) => Math.sqrt(expected.at(index))),
          1e-12,
        );
      }
      expectSame(x.variance(), over(values, range(rank), false, variance(1)), 1e-12);
      expectSame(
        x.std(-1),
        over(values, [rank - 1], false, (all) => Math.sqrt(variance(1)(all))),
        1e-12,
      );
    });
  });
  it('of one value without a mean to spare are NaN, of the population 0', () => {
    expect(tensor([3]).variance().itemSync()).toBeNaN();
    expect(tensor([3]).variance(0, { correction: 0 }).itemSync()).toBe(0);
    expect(tensor([]).std().itemSync()).toBeNaN();
  });
  it('of integers are f32, and do not wrap', () => {
    const x = tensor([2 ** 30, -(2 ** 30)], { dtype: 'i32' });
    expect(x.std(0, { correction: 0 }).dtype).toBe('f32');
    expect(x.std(0, { correction: 0 }).itemSync()).toBe(2 ** 30);
  });
  it('survive a large common part in f64', () => {
    const x = tensor([1e9, 1e9 + 1, 1e9 + 2], { dtype: 'f64' });
    expect(x.variance().itemSync()).toBe(1);
  });
  it('norm is the root of the sum of squares', () => {
    holds(1, ({ x, values, rank, axis }) => {
      const a = axis();
      const size = (all: number[]): number => Math.sqrt(all.reduce((total, v) => total + v * v, 0));
      expectSame(x.norm(), over(values, range(rank), false, size), 1e-12);
      expectSame(x.norm(a), over(values, [positive(a, rank)], false, size), 1e-12);
      expectSame(x.norm(a, true), over(values, [positive(a, rank)], true, size), 1e-12);
    });
    expect(tensor([3, 4]).norm().itemSync()).toBe(5);
  });
  it('dot multiplies vectors', () => {
    holds(1, ({ x, values }) => {
      const row = x.flatten();
      const all = flat(values);
      expectAllClose(row.dot(row.add(1)), [all.reduce((total, v) => total + v * (v + 1), 0)], {
        rtol: 1e-12,
        atol: 1e-12,
      });
    });
    expect(tensor([1, 2]).dot(tensor([3, 4])).shape).toEqual([]);
    expect(tensor([]).dot(tensor([])).itemSync()).toBe(0);
  });
  it('sumTo adds up what broadcasting would have stretched', () => {
    holds(0, ({ x, values, rank, int }) => {
      const cut = int(0, rank);
      const target = values.shape.slice(cut).map((n) => (int(0, 1) === 0 ? 1 : n));
      const expected = new Map<string, number>();
      for (const index of indices(values.shape)) {
        const name = String(index.slice(cut).map((i, k) => (target[k] === 1 ? 0 : i)));
        expected.set(name, (expected.get(name) ?? 0) + values.at(index));
      }
      expectSame(
        x.sumTo(target),
        naive(target, (index) => expected.get(String(index))!),
        1e-12,
      );
    });
    expect(zeros([0, 3]).sumTo([1, 3]).toArraySync()).toEqual([[0, 0, 0]]);
  });
});

describe('views cost nothing', () => {
  it.each(['transpose', 'moveAxis', 'squeeze', 'unsqueeze', 'flip', 'select', 'narrow', 'split'] as const)(
    '%s shares the elements of what it is called on',
    (name) => {
      const x = zeros([2, 1, 3]).clone();
      const made = {
        transpose: () => [x.transpose(0, 2)],
        moveAxis: () => [x.moveAxis(0, 2)],
        squeeze: () => [x.squeeze()],
        unsqueeze: () => [x.unsqueeze(0)],
        flip: () => [x.flip()],
        select: () => [x.select(0, 1)],
        narrow: () => [x.narrow(2, 1, 2)],
        split: () => x.split(2, 2),
      }[name]();
      for (const y of made) expect(y.storage).toBe(x.storage);
    },
  );
});
