/** Finding, counting and replacing elements: each against its meaning by plain loops, in every layout. */
import { fromData, range, tensor, withBackend, zeros, type DType, type Tensor } from '@infinigrad/tensor';
import { contiguousPlan, drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromTensor, indices, meet, positive, put, stretchedAt } from '../naive.ts';
import { runs } from '../support.ts';

interface Drawn {
  readonly x: Tensor;
  /** Its elements, row-major. */
  readonly values: readonly number[];
  readonly shape: readonly number[];
  readonly int: (min: number, max: number) => number;
  /** A tensor in any layout. */
  readonly tensor: (shape: readonly number[], value: (i: number) => number, dtype?: DType) => Tensor;
}

/** Tries a law on tensors of whole numbers between -4 and 4, of rank `minRank` to 3, some without elements. */
function holds(minRank: number, check: (drawn: Drawn) => void, dtype: DType = 'f64'): void {
  const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
  const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: minRank, maxLength: 3 });
  const law = fc.property(shapes, fc.gen(), (shape, g) => {
    const int = (min: number, max: number): number => g(between, min, max);
    const make: Drawn['tensor'] = (sizes, value, kind = 'f64') => {
      const plan = { ...drawLayout(g, sizes), repeats: contiguousPlan(sizes.length).repeats };
      return realise(
        indices(sizes).map((_, i) => value(i)),
        sizes,
        kind,
        plan,
      );
    };
    const x = make(shape, () => (dtype === 'u8' ? int(0, 4) : int(-4, 4)), dtype);
    check({ x, values: Array.from(x.dataSync()), shape, int, tensor: make });
  });
  fc.assert(law, { numRuns: runs });
}

const list = (x: Tensor): number[] => Array.from(x.dataSync());
const sized = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

describe('masks', () => {
  it('nonzero names the places of all that is not 0', () => {
    for (const dtype of ['f64', 'i32', 'u8'] as const)
      holds(
        0,
        ({ x, shape }) => {
          const values = fromTensor(x);
          const found = indices(shape).filter((index) => values.at(index) !== 0);
          const y = x.nonzero();
          expect([y.dtype, y.shape]).toEqual(['i32', [found.length, shape.length]]);
          expect(list(y)).toEqual(found.flat());
        },
        dtype,
      );
    expect(tensor([true, false, true]).nonzero().toArraySync()).toEqual([[0], [2]]);
    expect(tensor([0, NaN, -0]).nonzero().toArraySync()).toEqual([[1]]);
    expect(tensor(5).nonzero().shape).toEqual([1, 0]);
  });
  it('maskedSelect takes what a mask lets through; both broadcast', () => {
    holds(0, ({ x, shape, int, tensor: make }) => {
      const own = shape.slice(int(0, shape.length)).map((n) => (int(0, 2) === 0 ? 1 : n));
      const lead = own.length === shape.length && int(0, 3) === 0 ? [2] : [];
      const mask = make([...lead, ...own], () => int(0, 1), 'bool');
      const [values, seen] = [fromTensor(x), fromTensor(mask)];
      const whole = meet(shape, mask.shape);
      const expected = indices(whole)
        .filter((index) => stretchedAt(seen, index) === 1)
        .map((index) => stretchedAt(values, index));
      const y = x.maskedSelect(mask);
      expect(y.shape).toEqual([expected.length]);
      expect(list(y)).toEqual(expected);
    });
  });
  it('maskedFill puts a value where a mask holds', () => {
    holds(0, ({ x, shape, int, tensor: make }) => {
      const mask = make(shape.slice(int(0, shape.length)), () => int(0, 1), 'bool');
      const [values, seen] = [fromTensor(x), fromTensor(mask)];
      const expected = indices(shape).map((index) => (stretchedAt(seen, index) === 1 ? 9 : values.at(index)));
      for (const value of [9, tensor(9, { dtype: 'f64' })]) {
        expect(x.maskedFill(mask, value).shape).toEqual(shape);
        expect(list(x.maskedFill(mask, value))).toEqual(expected);
      }
    });
    // What is covered does not count.
    expect(list(tensor([NaN, 1]).maskedFill(tensor([true, false]), -Infinity))).toEqual([-Infinity, 1]);
  });
});

describe.each(['js', 'wasm'])('counting on %s', (backend) => {
  it('unique: each value once, where each element went, and how often it is there', () =>
    withBackend(backend, () => {
      for (const dtype of ['f64', 'i32', 'u8'] as const)
        holds(
          0,
          ({ x, values, shape }) => {
            const once = [...new Set(values)].toSorted((a, b) => a - b);
            const { values: found, inverse, counts } = x.unique();
            expect([found.dtype, inverse.dtype, counts.dtype]).toEqual([dtype, 'i32', 'i32']);
            expect(list(found)).toEqual(once);
            expect(inverse.shape).toEqual(shape);
            expect(list(inverse)).toEqual(values.map((value) => once.indexOf(value)));
            expect(list(counts)).toEqual(once.map((value) => values.filter((v) => v === value).length));
            // The whole is there again.
            expect(list(found.take(inverse))).toEqual(values);
          },
          dtype,
        );
      // PyTorch 2.13: torch.tensor([1, nan, nan, -0., 0.]).unique(return_inverse=True, return_counts=True)
      const { values, inverse, counts } = tensor([1, NaN, NaN, -0, 0]).unique();
      expect([list(values), list(inverse), list(counts)]).toEqual([
        [-0, 1, NaN, NaN],
        [1, 2, 3, 0, 0],
        [2, 1, 1, 1],
      ]);
      expect(list(tensor([true, false, true]).unique().values)).toEqual([0, 1]);
    }));
  it('bincount: how often each integer is there, or the sum of its weights', () =>
    withBackend(backend, () => {
      holds(1, ({ int, tensor: make }) => {
        const dtype = int(0, 1) === 0 ? 'i32' : 'u8';
        const n = int(0, 8);
        const x = make([n], () => int(0, 6), dtype);
        const weights = make([n], () => int(-3, 3));
        const least = int(0, 9);
        const [values, scales] = [list(x), list(weights)];
        const bins = Array.from({ length: Math.max(least, ...values.map((v) => v + 1)) }, (_, i) => i);
        const y = x.bincount(least);
        expect(y.dtype).toBe('i32');
        expect(list(y)).toEqual(bins.map((bin) => values.filter((v) => v === bin).length));
        expectAllClose(
          x.bincount(least, weights),
          bins.map((bin) => values.reduce((sum, v, i) => (v === bin ? sum + scales[i]! : sum), 0)),
        );
      });
      const many = zeros([300], { dtype: 'u8' });
      expect([list(many.bincount()), list(many.bincount(0, many.add(1)))]).toEqual([[300], [300]]);
      expect(many.bincount(0, many.add(1)).dtype).toBe('i32');
    }));
  it('histogram: what lies in each bin, the last with its upper edge', () =>
    withBackend(backend, () => {
      holds(0, ({ x, values, int }) => {
        const low = int(-4, 2);
        const edges = [low, low + int(0, 2), low + 2 + int(0, 3)];
        const inBin = (v: number, i: number, all: readonly number[]): boolean =>
          v >= all[i]! && (i === all.length - 2 ? v <= all[i + 1]! : v < all[i + 1]!);
        const count = (all: readonly number[]): number[] =>
          all.slice(1).map((_, i) => values.filter((v) => inBin(v, i, all)).length);
        const given = x.histogram(edges);
        expect([given.counts.dtype, given.edges.dtype]).toEqual(['i32', 'f64']);
        expect(list(given.edges)).toEqual(edges);
        expect(list(given.counts)).toEqual(count(edges));
        // Four bins over a range whose quarters are exact.
        const even = x.histogram(4, [low, low + 2]);
        expect(list(even.edges)).toEqual([low, low + 0.5, low + 1, low + 1.5, low + 2]);
        expect(list(even.counts)).toEqual(count(list(even.edges)));
        const all = x.histogram(5);
        expect(list(all.counts.sum())).toEqual([values.length]);
        // What an element counts is its square.
        const squares = edges.slice(1).map((_, i) => {
          const inside = values.filter((v) => inBin(v, i, edges));
          return inside.reduce((sum, v) => sum + v * v, 0);
        });
        const weighed = x.histogram(edges, null, { weights: x.square() });
        expect(weighed.counts.dtype).toBe('f64');
        expect(list(weighed.counts)).toEqual(squares);
        if (values.length === 0) return;
        const { counts, edges: found } = x.histogram(5, null, { density: true });
        expect(counts.dtype).toBe('f64');
        expect(counts.mul(found.diff()).sum().itemSync()).toBeCloseTo(1, 12);
        const [first, second] = [list(counts), list(all.counts)];
        first.forEach((v, i) =>
          expect(v).toBeCloseTo(second[i]! / values.length / (list(found)[1]! - list(found)[0]!), 10),
        );
      });
      expect(
        tensor([1, 2]).histogram(2, null, { weights: tensor([3, 4], { dtype: 'i32' }) }).counts.dtype,
      ).toBe('i32');
      expect(list(tensor([1, 2, 3], { dtype: 'i32' }).histogram(2).edges)).toEqual([1, 2, 3]);
      expect(tensor([1, 2, 3]).histogram().edges.dtype).toBe('f32');
      expect(tensor([1, 2, 3]).histogram().counts.size).toBe(10);
    }));
});

describe('places along an axis', () => {
  it('indexSet and indexFill write slices', () => {
    holds(1, ({ x, shape, int, tensor: make }) => {
      const axis = int(-shape.length, shape.length - 1);
      const at = positive(axis, shape.length);
      const size = shape[at]!;
      const count = size === 0 ? 0 : int(0, 3);
      const index = make([count], () => int(-size, size - 1), 'i32');
      const source = make(put(shape, at, count), (i) => 10 + i);
      const expected = (value: (index: readonly number[]) => number): number[] => {
        const all = new Map(indices(shape).map((place) => [place.join(), fromTensor(x).at(place)]));
        for (const place of indices(put(shape, at, count))) {
          const to = fromTensor(index).at([place[at]!]);
          all.set(put(place, at, to < 0 ? to + size : to).join(), value(place));
        }
        return [...all.values()];
      };
      const [set, fill] = [x.indexSet(axis, index, source), x.indexFill(axis, index, 7)];
      expect([set.shape, fill.shape]).toEqual([shape, shape]);
      expect(list(set)).toEqual(expected((place) => fromTensor(source).at(place)));
      expect(list(fill)).toEqual(expected(() => 7));
      expect(list(x.indexFill(axis, list(index), tensor(7)))).toEqual(list(fill));
    });
    expect(list(tensor([1, 2, 3]).indexFill(0, 1, 0))).toEqual([1, 0, 3]);
    expect(list(tensor([1, 2, 3]).indexSet(0, [0, -1], 0))).toEqual([0, 2, 0]);
  });
  it('scatter is the op that `reduce` names', () => {
    holds(1, ({ x, shape, int, tensor: make }) => {
      if (sized(shape) === 0) return;
      const axis = int(-shape.length, shape.length - 1);
      const at = positive(axis, shape.length);
      const places = shape.map((n, i) => (i === at ? int(0, 4) : int(1, n)));
      const index = make(places, () => int(0, shape[at]! - 1), 'i32');
      const source = make(places, () => int(-3, 3));
      const expected = {
        set: x.scatterSet(axis, index, source),
        add: x.scatterAdd(axis, index, source),
        mul: x.scatterMul(axis, index, source),
        max: x.scatterMax(axis, index, source),
        min: x.scatterMin(axis, index, source),
      };
      expect(list(x.scatter(axis, index, source))).toEqual(list(expected.set));
      for (const reduce of ['set', 'add', 'mul', 'max', 'min'] as const)
        expect(list(x.scatter(axis, index, source, { reduce }))).toEqual(list(expected[reduce]));
      const twos = make(places, () => 2);
      expect(list(x.scatter(axis, index, 2, { reduce: 'mul' }))).toEqual(
        list(x.scatterMul(axis, index, twos)),
      );
    });
    // PyTorch's first example of scatter_.
    const source = fromData(
      Float32Array.from({ length: 10 }, (_, i) => i + 1),
      [2, 5],
    );
    const index = tensor([[0, 1, 2, 0]], { dtype: 'i32' });
    expect(zeros([3, 5]).scatter(0, index, source.at('0:1', ':4').get()).toArraySync()).toEqual([
      [1, 0, 0, 4, 0],
      [0, 2, 0, 0, 0],
      [0, 0, 3, 0, 0],
    ]);
  });
});

describe('what meets in a place', () => {
  const meets: Record<string, (values: readonly number[]) => number> = {
    add: (values) => values.reduce((a, b) => a + b, 0),
    mul: (values) => values.reduce((a, b) => a * b, 1),
    max: (values) => Math.max(...values),
    min: (values) => Math.min(...values),
    mean: (values) => values.reduce((a, b) => a + b, 0) / values.length,
  };
  it.each(Object.entries(meets))('scatter with %s counts what was there, or does not', (reduce, f) => {
    holds(1, ({ x, shape, int, tensor: make }) => {
      if (sized(shape) === 0) return;
      const axis = int(0, shape.length - 1);
      const places = shape.map((n, i) => (i === axis ? int(0, 4) : int(1, n)));
      const index = make(places, () => int(0, shape[axis]! - 1), 'i32');
      const source = make(places, () => int(-3, 3));
      const [from, at] = [fromTensor(source), fromTensor(index)];
      for (const includeSelf of [true, false]) {
        const actual = x.scatter(axis, index, source, { reduce: reduce as 'mean', includeSelf });
        const expected = indices(shape).map((place) => {
          const arrived = indices(places).filter((i) =>
            i.every((n, k) => (k === axis ? at.at(i) : n) === place[k]),
          );
          const own = fromTensor(x).at(place);
          if (arrived.length === 0) return own;
          return f([...(includeSelf ? [own] : []), ...arrived.map((i) => from.at(i))]);
        });
        expect(list(actual).length).toBe(expected.length);
        list(actual).forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 12));
      }
    });
  });
  it('the mean of integers is in f32, the largest of them an integer', () => {
    const x = tensor([5, 6], { dtype: 'i32' });
    const index = tensor([0, 0], { dtype: 'i32' });
    const mean = x.scatter(0, index, x, { reduce: 'mean', includeSelf: false });
    expect([mean.dtype, list(mean)]).toEqual(['f32', [5.5, 6]]);
    const least = x.scatter(0, index, x.neg(), { reduce: 'max', includeSelf: false });
    expect([least.dtype, list(least)]).toEqual(['i32', [-5, 6]]);
  });
});

describe('places among boundaries', () => {
  it('bucketize counts the boundaries below', () =>
    holds(0, ({ x, values, int }) => {
      const boundaries = [int(-4, 0), int(0, 1), int(1, 4)];
      const given = tensor(boundaries, { dtype: 'f64' });
      const count = (below: (b: number, v: number) => boolean): number[] =>
        values.map((v) => boundaries.filter((b) => below(b, v)).length);
      expect(list(x.bucketize(given))).toEqual(count((b, v) => b < v));
      expect(list(x.bucketize(given, { right: true }))).toEqual(count((b, v) => b <= v));
      expect(x.bucketize(given).shape).toEqual(x.shape);
    }));
});

describe('places among all', () => {
  it('take reads by place in row-major order, and put writes there', () => {
    holds(0, ({ x, values, shape, int, tensor: make }) => {
      const n = values.length;
      const own = n === 0 ? [0] : Array.from({ length: int(0, 2) }, () => int(0, 3));
      const index = make(own, () => int(-n, n - 1), 'i32');
      const at = list(index).map((place) => (place < 0 ? place + n : place));
      const y = x.take(index);
      expect(y.shape).toEqual(own);
      expect(list(y)).toEqual(at.map((place) => values[place]!));
      const source = make(own, (i) => 10 + i);
      const [written, added] = [[...values], [...values]];
      at.forEach((place, i) => {
        written[place] = 10 + i;
        added[place]! += 10 + i;
      });
      expect(x.put(index, source).shape).toEqual(shape);
      expect(list(x.put(index, source))).toEqual(written);
      expect(list(x.put(index, source, { accumulate: true }))).toEqual(added);
    });
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect([x.take(-1).shape, x.take(-1).itemSync()]).toEqual([[], 4]);
    expect(x.take([[0], [3]]).toArraySync()).toEqual([[1], [4]]);
    expect(x.put([0, 1], 9).toArraySync()).toEqual([
      [9, 9],
      [3, 4],
    ]);
  });
});

describe('range', () => {
  it('says start, stop and step', () => {
    const x = tensor([0, 1, 2, 3, 4]);
    expect(list(x.at(range(2)).get())).toEqual([2, 3, 4]);
    expect(list(x.at(range(null, 2)).get())).toEqual([0, 1]);
    expect(list(x.at(range(-1, 0, -2)).get())).toEqual([4, 2]);
    expect(list(x.at(range()).get())).toEqual([0, 1, 2, 3, 4]);
  });
});
