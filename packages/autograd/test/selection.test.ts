/** Gradients through indexing and scattering, where places repeat, values are equal and factors are zero. */
import { gradcheck } from '@infinigrad/autograd';
import { fromData, tensor, type IndexItem, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { gradientOf, leaf, list, spread, t } from './support.ts';

const i32 = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { dtype: 'i32' });

describe('selections, to second order', () => {
  const mask = tensor([
    [true, false, true, true],
    [false, false, true, false],
    [true, false, false, true],
  ]);
  const indices: [string, IndexItem[]][] = [
    ['a place', [1]],
    ['ranges and a new axis', ['::-2', null, '1:3']],
    ['places in an array, one of them twice', [[2, 0, 2]]],
    ['places in tensors that broadcast', [i32([[0], [2]]), i32([1, -1, 1])]],
    ['a place beside a range and an array', [0, '...', [1, 1, 3]]],
    ['a range beside an array', ['1:', [0, 0, 2]]],
    ['a mask', [mask]],
    ['a mask of one axis', [':', [true, false, true, false]]],
  ];
  // No two numbers are equal, so that extremes have derivatives; the value is squared, so that there is a second order.
  const x = spread([3, 4]);
  describe.each(indices)('%s', (_, items) => {
    const value = spread(x.at(...items).shape, 1);
    it('get', () =>
      gradcheck(
        (y) =>
          y!
            .at(...items)
            .get()
            .square(),
        [x],
        { order: 2 },
      ));
    it.each(['set', 'add', 'mul', 'max', 'min'] as const)('%s', (change) => {
      const changed = (y: Tensor, v: Tensor): Tensor => {
        const selection = y.at(...items);
        return selection[change](v).square();
      };
      gradcheck((y, v) => changed(y!, v!), [x, value], { order: 2 });
      gradcheck((y, v) => changed(y!, v!), [x, spread([], 2)], { order: 2 });
    });
  });
  it('elements by mask, by place and each once', () => {
    gradcheck((y) => y!.maskedSelect(mask).square(), [x], { order: 2 });
    gradcheck((y, v) => y!.maskedFill(mask, v!).square(), [x, spread([], 1)], { order: 2 });
    gradcheck(
      (y) =>
        y!
          .take([
            [3, 3],
            [-1, 0],
          ])
          .square(),
      [x],
      { order: 2 },
    );
    gradcheck((y, v) => y!.put([3, 3, -1], v!).square(), [x, spread([3], 1)], { order: 2 });
    gradcheck((y) => y!.unique().values.square(), [x], { order: 2 });
    gradcheck((y, v) => y!.indexSet(1, [0, 2], v!).square(), [x, spread([3, 2], 1)], { order: 2 });
    gradcheck((w) => i32([0, 2, 2]).bincount(4, w).square(), [spread([3])], { order: 2 });
  });
});

describe('repeated places', () => {
  it('of scatterSet, the last in row-major order alone has a gradient', () => {
    const [x, source] = [leaf([1, 2, 3]), leaf([4, 5, 6, 7])];
    const y = x.scatterSet(0, i32([2, 0, 2, 2]), source);
    expect(list(y)).toEqual([5, 2, 7]);
    y.mul(t([1, 10, 100]))
      .sum()
      .backward();
    expect(gradientOf(x)).toEqual([0, 10, 0]);
    expect(gradientOf(source)).toEqual([0, 1, 0, 100]);
  });
  // What PyTorch 2.13 gives for scatter_reduce with amax and amin.
  it('of scatterMax and scatterMin, all that are equal share, what was there included', () => {
    for (const [name, sign] of [
      ['scatterMax', 1],
      ['scatterMin', -1],
    ] as const) {
      const [x, source] = [leaf([1 * sign, 2 * sign]), leaf([1, 1, 3].map((v) => v * sign))];
      x[name](0, i32([0, 0, 1]), source)
        .sum()
        .backward();
      expect(gradientOf(x)).toEqual([1 / 3, 0]);
      expect(gradientOf(source)).toEqual([1 / 3, 1 / 3, 1]);
    }
  });
  it('of scatterMul, the product of the others: exact where one, two or all are zero', () => {
    const rows: [x: number, source: number[], dx: number, dSource: number[]][] = [
      [2, [3, 5, 7], 105, [70, 42, 30]],
      [2, [3, 0, 7], 0, [0, 42, 0]],
      [2, [0, 0, 7], 0, [0, 0, 0]],
      [0, [3, 5, 7], 105, [0, 0, 0]],
      [0, [3, 0, 7], 0, [0, 0, 0]],
    ];
    for (const [first, factors, dx, dSource] of rows) {
      const [x, source] = [leaf([first, 11]), leaf(factors)];
      x.scatterMul(0, i32([0, 0, 0]), source)
        .sum()
        .backward();
      expect(gradientOf(x)).toEqual([dx, 1]);
      expect(gradientOf(source)).toEqual(dSource);
    }
  });
  it('of scatterMul, many for a place: each the product of all others', () => {
    for (const count of [4, 5, 8, 9, 17]) {
      const values = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? 2 : i % 3 === 1 ? -1 : 0.5));
      const places = values.map((_, i) => (i === 2 ? 0 : 1));
      const source = leaf(values);
      t([3, 4]).scatterMul(0, i32(places), source).sum().backward();
      expect(gradientOf(source)).toEqual(
        values.map((_, i) =>
          values.reduce((a, v, j) => (j !== i && places[j] === places[i] ? a * v : a), 3 + places[i]!),
        ),
      );
    }
  });
  it('of scatterMul with two zeros for a place, the second derivative is that of the two', () => {
    const index = fromData(Int32Array.of(1, 0, 1, 1), [4]);
    gradcheck((x, s) => x!.scatterMul(0, index, s!), [t([2, 3]), t([0, 4, 5, 0])], { order: 2 });
    gradcheck((x, s) => x!.scatterMul(0, index, s!), [t([2, 0]), t([0, 4, 5, 0])], { order: 2 });
  });
});
