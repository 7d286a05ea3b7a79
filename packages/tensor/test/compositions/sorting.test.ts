/** Sorting and order statistics: against plain loops on lines with ties, against PyTorch where there are NaN, and what is refused. */
import { readFileSync } from 'node:fs';
import {
  fromData,
  IndexError,
  InfinigradError,
  ops,
  ShapeError,
  tensor,
  Tensor,
  ValueError,
  withBackend,
  zeros,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { sortingMethods } from '../../src/compositions/sorting.ts';
import { line, naive, put, range } from '../naive.ts';
import { expectSame, holds, valuesOf } from './drawn.ts';

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

/** Tries a law on the lines of tensors with many ties: what is found in place of each line, once more from its values alone. */
function alongLines(
  run: (x: Tensor, axis: number, int: (min: number, max: number) => number) => Tensor,
  expected: (values: readonly number[], i: number) => number,
  tolerance = 0,
): void {
  holds(({ tensor: draw, shape, int }) => {
    const sizes = shape(1, 3);
    const x = draw(sizes, { min: -2, max: 2 });
    const axis = int(0, sizes.length - 1);
    const actual = run(x, int(0, 1) === 0 ? axis : axis - sizes.length, int);
    const values = valuesOf(x);
    expectSame(
      actual,
      naive(put(sizes, axis, actual.shape[axis]!), (index) =>
        expected(line(values, axis, index), index[axis]!),
      ),
      tolerance,
    );
  });
}

/** Values and indices tell the same. */
const consistent = (
  x: Tensor,
  axis: number,
  { values, indices }: { values: Tensor; indices: Tensor },
): Tensor => {
  expect(indices.dtype).toBe('i32');
  expect(values.dtype).toBe(x.dtype);
  expectAllClose(x.takeAlongAxis(indices, axis), values);
  return values;
};

describe('orders', () => {
  it.each([false, true])('sort puts lines in order, descending: %s', (descending) =>
    alongLines(
      (x, axis) => consistent(x, axis, x.sort(axis, descending)),
      (values, i) => (descending ? ascending(values).toReversed() : ascending(values))[i]!,
    ),
  );
  it('sort is stable', () =>
    alongLines(
      (x, axis) => x.sort(axis).indices,
      (values, i) => range(values.length).toSorted((a, b) => values[a]! - values[b]!)[i]!,
    ));
  it.each([true, false])('topK gives the best, largest: %s', (largest) => {
    alongLines(
      (x, axis, int) => consistent(x, axis, x.topK(int(1, x.shape.at(axis)!), axis, { largest })),
      (values, i) => (largest ? ascending(values).toReversed() : ascending(values))[i]!,
    );
    alongLines(
      (x, axis, int) => {
        const k = int(1, x.shape.at(axis)!);
        const { indices } = x.topK(k, axis, { largest, sorted: false });
        // The same elements, by position.
        expectSame(indices.sort(axis).values, valuesOf(indices));
        return consistent(x, axis, { indices, values: x.takeAlongAxis(indices, axis) }).sort(axis, largest)
          .values;
      },
      (values, i) => (largest ? ascending(values).toReversed() : ascending(values))[i]!,
    );
  });
  it('topK of few among many, by another way, is the same', () =>
    holds(({ int }) => {
      const n = int(50, 200);
      const values = Float64Array.from({ length: n }, () => (int(0, 20) === 0 ? NaN : int(0, 30)));
      const x = fromData(values, [n]);
      const k = int(0, 5);
      for (const largest of [true, false])
        expect([...x.topK(k, 0, { largest }).indices.dataSync()]).toEqual([
          ...x.argSort(0, largest).narrow(0, 0, k).dataSync(),
        ]);
    }));
  it('kthValue and median pick one', () => {
    let k = 0;
    alongLines(
      (x, axis, int) => {
        k = int(1, x.shape.at(axis)!);
        return consistent(x, axis, x.kthValue(k, axis, true));
      },
      (values) => ascending(values)[k - 1]!,
    );
    alongLines(
      (x, axis) => consistent(x, axis, x.median(axis, true)),
      (values) => ascending(values)[Math.floor((values.length - 1) / 2)]!,
    );
  });
  it('quantile lies between two', () => {
    let q = 0;
    alongLines(
      (x, axis, int) => {
        q = int(0, 10) / 10;
        return x.quantile(q, axis, true);
      },
      (values) => {
        const place = q * (values.length - 1);
        const [low, high] = [Math.floor(place), Math.ceil(place)].map((i) => ascending(values)[i]!) as [
          number,
          number,
        ];
        return low * (1 - (place % 1)) + high * (place % 1);
      },
      1e-14,
    );
    const several = tensor([4, 1, 3, 2]).quantile([0, 0.5, 1]);
    expect(several.toArraySync()).toEqual([1, 2.5, 4]);
    expect(
      tensor([4, 1, 3, 2])
        .quantile(tensor([0, 0.5, 1]))
        .toArraySync(),
    ).toEqual([1, 2.5, 4]);
    expect(tensor([4, 1, 3, 2]).quantile(tensor(0.5)).toArraySync()).toEqual(2.5);
    expect(zeros([2, 3]).quantile([0, 0.5, 1], 1, true).shape).toEqual([3, 2, 1]);
    expect(tensor([3, 5], { dtype: 'i32' }).quantile(0.5).dtype).toBe('f32');
  });
  it('mode is the most frequent, the smallest of several, where it stands last', () => {
    const count = (values: readonly number[], v: number): number => values.filter((w) => w === v).length;
    const frequent = (values: readonly number[]): number =>
      ascending(values).reduce((best, v) => (count(values, v) > count(values, best) ? v : best));
    alongLines((x, axis) => consistent(x, axis, x.mode(axis, true)), frequent);
    alongLines(
      (x, axis) => x.mode(axis, true).indices,
      (values) => values.lastIndexOf(frequent(values)),
    );
  });
});

describe('over all elements', () => {
  it.each([
    ['kthValue', (x: Tensor, keep: boolean) => x.kthValue(2, undefined, keep)],
    ['median', (x: Tensor, keep: boolean) => x.median(undefined, keep)],
    ['mode', (x: Tensor, keep: boolean) => x.mode(undefined, keep)],
  ] as const)('%s counts them as one line', (_, run) =>
    holds(({ tensor: draw, shape, int }) => {
      const x = draw([...shape(0, 2), int(2, 4)]);
      const flat = x.reshape([-1]);
      for (const keep of [false, true]) {
        const { values, indices } = run(x, keep);
        const one = run(flat, false);
        expect(values.shape).toEqual(keep ? x.shape.map(() => 1) : []);
        expect(indices.shape).toEqual(values.shape);
        expect([values.itemSync(), indices.itemSync()]).toEqual([
          one.values.itemSync(),
          one.indices.itemSync(),
        ]);
      }
    }),
  );
  it('quantile does too', () => {
    const x = tensor([
      [4, 1],
      [3, 2],
    ]);
    expect(x.quantile(0.5).itemSync()).toBe(2.5);
    expect(x.quantile(0.5, undefined, true).shape).toEqual([1, 1]);
  });
  it('without an axis of its own, a number', () => {
    const x = tensor(3);
    expect(x.median().values.itemSync()).toBe(3);
    expect(x.quantile(0.3).itemSync()).toBe(3);
  });
});

describe('running', () => {
  it('cummax and cummin keep the best so far, the latest of equal ones', () => {
    const soFar = (values: readonly number[], i: number): number[] => values.slice(0, i + 1);
    alongLines(
      (x, axis) => consistent(x, axis, x.cummax(axis)),
      (values, i) => Math.max(...soFar(values, i)),
    );
    alongLines(
      (x, axis) => consistent(x, axis, x.cummin(axis)),
      (values, i) => Math.min(...soFar(values, i)),
    );
    alongLines(
      (x, axis) => x.cummax(axis).indices,
      (values, i) => soFar(values, i).lastIndexOf(Math.max(...soFar(values, i))),
    );
  });
  it('logCumSumExp neither overflows nor loses what it has', () => {
    const x = tensor([-Infinity, -Infinity, 1000, 1000, -Infinity, Infinity, 0], { dtype: 'f64' });
    expect([...x.logCumSumExp().dataSync()]).toEqual([
      -Infinity,
      -Infinity,
      1000,
      1000 + Math.LN2,
      1000 + Math.LN2,
      Infinity,
      Infinity,
    ]);
    expect([...tensor([1, NaN, 2], { dtype: 'f64' }).logCumSumExp().dataSync()].slice(1)).toEqual([NaN, NaN]);
    expect([...tensor([-1e30, 1]).logCumSumExp().dataSync()]).toEqual([Math.fround(-1e30), 1]);
  });
  it('cumprod of integers stays whole; of nothing there is nothing', () => {
    expect(tensor([2, 3, 4], { dtype: 'u8' }).cumprod().dtype).toBe('i32');
    expect([...tensor([2, 3, 200], { dtype: 'u8' }).cumprod().dataSync()]).toEqual([2, 6, 1200]);
    expect(zeros([2, 0]).cumprod().shape).toEqual([2, 0]);
    expect(total([...zeros([0]).logCumSumExp().dataSync()])).toBe(0);
  });
});

describe('large lines', () => {
  it('agree with the language on 10,000 elements', () => {
    const values = Float64Array.from({ length: 10_000 }, (_, i) => Math.sin(i * i) * 100);
    const x = fromData(values, [values.length]);
    const sorted = Array.from(values).toSorted((a, b) => a - b);
    expect(Array.from(x.sort().values.dataSync())).toEqual(sorted);
    expect(Array.from(x.sort(0, true).values.dataSync())).toEqual(sorted.toReversed());
    expect(Array.from(x.topK(100).values.dataSync())).toEqual(sorted.slice(-100).toReversed());
  });
  it('empty lines have an order, and no middle', () => {
    expect(zeros([2, 0]).sort().values.shape).toEqual([2, 0]);
    expect(zeros([0, 3]).topK(2).values.shape).toEqual([0, 2]);
    expect(zeros([2, 3]).topK(0).values.shape).toEqual([2, 0]);
    expect(zeros([2, 0]).cummax().indices.shape).toEqual([2, 0]);
  });
});

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}
interface Fixture {
  readonly method: string;
  readonly input: Plain;
  readonly other?: Plain;
  readonly rest: readonly unknown[];
  readonly output: Plain;
  readonly indices?: Plain;
}

describe('as PyTorch does it', () => {
  const rows = JSON.parse(
    readFileSync(new URL('../fixtures/sorting.json', import.meta.url), 'utf8'),
  ) as Fixture[];
  const numbers = ({ data }: Plain): number[] =>
    data.map((v) => (typeof v === 'number' ? v : { nan: NaN, inf: Infinity, '-inf': -Infinity }[v]!));
  const made = (plain: Plain): Tensor => fromData(Float64Array.from(numbers(plain)), plain.shape);
  it.each(rows.map((row) => [row.method, JSON.stringify(row.rest), row] as const))('%s %s', (_, __, row) => {
    for (const backend of ['js', 'wasm'])
      withBackend(backend, () => {
        const x = made(row.input);
        const rest = [...(row.other ? [made(row.other)] : []), ...row.rest];
        const method = (x as unknown as Record<string, (...args: unknown[]) => unknown>)[row.method]!;
        const result = method.apply(x, rest) as Tensor | { values: Tensor; indices: Tensor };
        const output = result instanceof Tensor ? result : result.values;
        expect(output.shape).toEqual(row.output.shape);
        expectAllClose(output, numbers(row.output), { rtol: 1e-14, atol: 1e-14 });
        if (row.indices) expectAllClose((result as { indices: Tensor }).indices, numbers(row.indices));
      });
  });
});

describe('NaN counts as largest', () => {
  const x = tensor([2, NaN, 1, NaN], { dtype: 'f64' });
  const list = (y: Tensor): number[] => [...y.dataSync()];
  it('in every order', () => {
    expect(list(x.argSort())).toEqual([2, 0, 1, 3]);
    expect(list(x.argSort(-1, true))).toEqual([1, 3, 0, 2]);
    expect(list(x.topK(3).indices)).toEqual([1, 3, 0]);
    expect(list(x.topK(2, -1, { largest: false }).indices)).toEqual([2, 0]);
    expect(x.kthValue(2).values.itemSync()).toBe(2);
  });
  it('and spoils what all elements have a part in', () => {
    expect(list(x.median().values)).toEqual([NaN]);
    expect(x.median().indices.itemSync()).toBe(1);
    expect(x.quantile(0).itemSync()).toBe(NaN);
    expect(list(x.argCumMax())).toEqual([0, 1, 1, 3]);
    expect(list(x.argCumMin())).toEqual([0, 1, 1, 3]);
  });
});

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const x = zeros([2, 3]);
  const rows: Row[] = [
    ['sort', () => x.sort(2), IndexError, 'sort: axis 2 is out of range for rank 2: [2, 3] f32'],
    ['sort', () => tensor(1).sort(), IndexError, 'sort: axis -1 is out of range for rank 0'],
    ['topK', () => x.topK(1, 2), IndexError, 'topK: axis 2 is out of range'],
    [
      'topK',
      () => x.topK(4),
      ValueError,
      'topK: k must be an integer from 0 to 3 (axis 1), got 4: [2, 3] f32',
    ],
    ['topK', () => x.topK(1.5), ValueError, 'got 1.5'],
    ['topK', () => ops.argTopK(x, -1), ValueError, 'argTopK: k must be an integer from 0 to 3'],
    [
      'kthValue',
      () => x.kthValue(0),
      ValueError,
      'kthValue: k must be an integer from 1 to 6, got 0: [2, 3] f32',
    ],
    ['kthValue', () => x.kthValue(3, 0), ValueError, 'kthValue: k must be an integer from 1 to 2, got 3'],
    ['kthValue', () => x.kthValue(1, 5), IndexError, 'kthValue: axis 5 is out of range'],
    ['median', () => x.median(-3), IndexError, 'median: axis -3 is out of range'],
    ['median', () => zeros([2, 0]).median(1), ValueError, 'median: no value for an empty range: [2, 0] f32'],
    ['quantile', () => x.quantile(1.5), ValueError, 'quantile: q must be from 0 to 1, got 1.5: [2, 3] f32'],
    ['quantile', () => x.quantile([0, NaN]), ValueError, 'quantile: q must be from 0 to 1, got NaN'],
    ['quantile', () => x.quantile([]), ValueError, 'quantile: needs at least one q'],
    ['quantile', () => x.quantile(x), ShapeError, 'quantile: needs a number or a vector of them'],
    ['quantile', () => x.quantile(tensor([2])), ValueError, 'quantile: q must be from 0 to 1, got 2'],
    ['quantile', () => zeros([0]).quantile(0.5), ValueError, 'quantile: no value for an empty range'],
    ['mode', () => zeros([0]).mode(), ValueError, 'mode: no value for an empty range'],
    ['mode', () => x.mode(2), IndexError, 'mode: axis 2 is out of range'],
    ['cummax', () => x.cummax(2), IndexError, 'cummax: axis 2 is out of range'],
    ['cummin', () => x.cummin(2), IndexError, 'cummin: axis 2 is out of range'],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every method has a row', () => {
    const tried = new Set(rows.map(([name]) => name));
    expect(Object.keys(sortingMethods).filter((name) => !tried.has(name))).toEqual([]);
  });
});
