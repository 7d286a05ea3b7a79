/** Reading elements back: copies, in row-major order, at once or by waiting. */
import {
  dtypes,
  fromData,
  ShapeError,
  tensor,
  zeros,
  type NestedArray,
  type Tensor,
} from '@infinigrad/tensor';
import { realise, drawLayout } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indices } from './naive.ts';
import { runs } from './support.ts';

const kinds = {
  bool: Uint8Array,
  u8: Uint8Array,
  i32: Int32Array,
  f16: Float32Array,
  bf16: Float32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;
const matrix = (): Tensor =>
  tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);

describe('data', () => {
  it.each(dtypes)('is a typed array of the dtype, %s', async (dtype) => {
    const x = fromData(Float64Array.of(0, 1, 1, 0), [2, 2], { dtype });
    expect(await x.data()).toEqual(kinds[dtype].of(0, 1, 1, 0));
    expect(x.dataSync()).toEqual(kinds[dtype].of(0, 1, 1, 0));
    expect(x.dataSync()).toBeInstanceOf(kinds[dtype]);
  });
  it('is a copy each time', async () => {
    const x = matrix();
    x.dataSync()[0] = 99;
    (await x.data())[0] = 99;
    const row = x.select(0, 0);
    row.dataSync()[0] = 99;
    expect([...x.dataSync()]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...row.dataSync()]).toEqual([1, 2, 3]);
  });
  it('is in row-major order of the view, in any layout', async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 });
    const law = fc.asyncProperty(shapes, fc.gen(), async (shape, g) => {
      const values = indices(shape).map((_, i) => i);
      const x = realise(values, shape, 'f32', drawLayout(g, shape, { repeats: false }));
      expect([...x.dataSync()]).toEqual(values);
      expect([...(await x.data())]).toEqual(values);
      expect((await x.toArray()) as unknown).toEqual(x.toArraySync());
      expect([x.toArraySync()].flat(9)).toEqual(values);
    });
    await fc.assert(law, { numRuns: runs });
  });
  it('of nothing is empty, and of stretched elements repeats them', () => {
    expect(zeros([0, 3]).dataSync()).toEqual(new Float32Array(0));
    expect(
      matrix()
        .slice([[1, 1]])
        .dataSync().length,
    ).toBe(0);
    expect([...tensor([7]).expand([2, 2]).dataSync()]).toEqual([7, 7, 7, 7]);
  });
});

describe('item', () => {
  it('is the only element, of any rank', async () => {
    for (const x of [
      tensor(5),
      tensor([5]),
      tensor([[[5]]]),
      matrix().slice([
        [1, 2],
        [1, 2],
      ]),
    ]) {
      expect(x.itemSync()).toBe(5);
      expect(await x.item()).toBe(5);
    }
    expect(tensor(true).itemSync()).toBe(1);
    expect(tensor([-0], { dtype: 'f64' }).itemSync()).toBe(-0);
  });
  it.each([
    [
      'several',
      () => matrix(),
      'item: needs exactly one element, got 6: [2, 3] f32. Hint: data() reads them all',
    ],
    ['none', () => zeros([0]), 'item: needs exactly one element, got 0: [0] f32'],
  ])('of %s is refused', async (_, make, says) => {
    expect(() => make().itemSync()).toThrow(ShapeError);
    expect(() => make().itemSync()).toThrow(says);
    await expect(make().item()).rejects.toThrow(says);
  });
});

describe('toArray', () => {
  const rows: [string, Tensor, NestedArray][] = [
    ['a number', tensor(3), 3],
    ['a vector', tensor([1, 2]), [1, 2]],
    [
      'a matrix',
      matrix(),
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ],
    [
      'a view',
      matrix().transpose().flip(1),
      [
        [4, 1],
        [5, 2],
        [6, 3],
      ],
    ],
    ['truth values', tensor([[true], [false]]), [[true], [false]]],
    ['one truth value', tensor(true), true],
    ['bytes, which are no truth values', tensor([1, 0], { dtype: 'u8' }), [1, 0]],
    ['nothing in two rows', zeros([2, 0]), [[], []]],
    ['no rows', zeros([0, 2]), []],
  ];
  it.each(rows)('nests %s', async (_, x, expected) => {
    expect(x.toArraySync()).toEqual(expected);
    expect(await x.toArray()).toEqual(expected);
  });
});
