/** What finding, counting and replacing refuse. */
import {
  DTypeError,
  IndexError,
  InfinigradError,
  range,
  ShapeError,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor } from '../naive.ts';
import { selectingMethods } from '../../src/compositions/selecting.ts';

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const x = zeros([2, 3]);
  const index = zeros([2], { dtype: 'i32' });
  const mask = zeros([2], { dtype: 'bool' });
  const loose = (item: unknown): never => item as never;
  const rows: Row[] = [
    [
      'at',
      () => x.at(2),
      IndexError,
      'at: index 2 is out of range for axis 0 of size 2: [2, 3] f32. Hint: places run from -2 to 1',
    ],
    ['at', () => x.at('...', -4), IndexError, 'at: index -4 is out of range for axis 1 of size 3'],
    ['at', () => x.at(':', [0, 3]), IndexError, 'at: index 3 is out of range for axis 1 of size 3'],
    [
      'at',
      () => x.at(':', tensor([-4, 0], { dtype: 'i32' })).get(),
      IndexError,
      'at: index -4 is out of range for axis 1 of size 3',
    ],
    [
      'at',
      () => x.at(tensor([0, 2], { dtype: 'u8' })).set(1),
      IndexError,
      'at: index 2 is out of range for axis 0 of size 2',
    ],
    ['at', () => zeros([0]).at(0), IndexError, 'at: index 0 is out of range for axis 0 of size 0: [0] f32'],
    ['at', () => x.at(0, 0, 0), IndexError, 'at: 3 axes indexed of a tensor of rank 2: [2, 3] f32'],
    ['at', () => x.at(zeros([2, 3], { dtype: 'bool' }), 0), IndexError, 'at: 3 axes indexed'],
    ['at', () => x.at('...', '...'), IndexError, "at: '...' may stand once among the items, not 2 times"],
    [
      'at',
      () => x.at(':', mask),
      IndexError,
      'at: a mask of size 2 does not fit axis 1 of size 3: [2, 3] f32, [2] bool',
    ],
    ['at', () => x.at([true, false, true]), IndexError, 'at: a mask of size 3 does not fit axis 0 of size 2'],
    ['at', () => x.at(0.5), ValueError, 'at: 0.5 is no place of an axis: [2, 3] f32'],
    ['at', () => x.at([0, 0.5]), ValueError, 'at: 0.5 is no place of an axis'],
    ['at', () => x.at(loose([0, true])), ValueError, 'at: an index holds places or truth values, not both'],
    ['at', () => x.at([[0], [0, 1]]), ShapeError, 'tensor: ragged nesting'],
    ['at', () => x.at(loose('1')), ValueError, "at: '1' is no range: [2, 3] f32. Hint: 'start:stop:step'"],
    ['at', () => x.at('0:a'), ValueError, "at: '0:a' is no range"],
    ['at', () => x.at('::0'), ValueError, 'at: step 0 (axis 0)'],
    [
      'at',
      () => x.at(loose({ start: 0.5, stop: null, step: 1 })),
      ValueError,
      'at: 0.5 is not an integer (axis 0)',
    ],
    ['at', () => x.at(zeros([2])), DTypeError, 'at: no index is f32: [2, 3] f32, [2] f32'],
    [
      'at',
      () => x.at([0, 1], [0, 1, 2]).get(),
      ShapeError,
      'at: shapes do not broadcast (sizes 2 and 3 meet at axis -1): [2] i32, [3] i32',
    ],
    [
      'at',
      () => x.at(0).set(zeros([2])),
      ShapeError,
      'at: the value does not broadcast to the selected shape [3]: [2, 3] f32, [2] f32',
    ],
    [
      'at',
      () => x.at([0]).add(zeros([1, 1, 3])),
      ShapeError,
      'does not broadcast to the selected shape [1, 3]',
    ],
    ['at', () => x.at(mask).mul(zeros([4])), ShapeError, 'does not broadcast to the selected shape [0, 3]'],
    ['range', () => range(0.5), ValueError, 'range: 0.5 is not an integer'],
    ['range', () => range(null, NaN), ValueError, 'range: NaN is not an integer'],
    ['range', () => range(0, 1, 0), ValueError, 'range: step 0'],
    ['maskedSelect', () => x.maskedSelect(index), DTypeError, 'maskedSelect: needs a mask of truth values'],
    ['maskedSelect', () => x.maskedSelect(mask), ShapeError, 'maskedSelect: shapes do not broadcast'],
    ['maskedFill', () => x.maskedFill(x, 0), DTypeError, 'maskedFill: needs a mask of truth values'],
    ['maskedFill', () => x.maskedFill(mask, 0), ShapeError, 'shapes do not broadcast'],
    ['bincount', () => x.bincount(), DTypeError, 'bincount: needs integers: [2, 3] f32'],
    ['bincount', () => x.cast('i32').bincount(), ShapeError, 'bincount: needs a vector: [2, 3] i32'],
    ['bincount', () => index.sub(1).bincount(), ValueError, 'bincount: needs integers ≥ 0, got -1: [2] i32'],
    ['bincount', () => index.bincount(-1), ValueError, 'bincount: needs minLength ≥ 0, got -1'],
    ['bincount', () => index.bincount(1.5), ValueError, 'bincount: needs minLength ≥ 0, got 1.5'],
    [
      'bincount',
      () => index.bincount(0, zeros([3])),
      ShapeError,
      'bincount: needs one weight for each element: [2] i32, [3] f32',
    ],
    ['histogram', () => x.histogram(0), ValueError, 'histogram: needs bins ≥ 1, got 0: [2, 3] f32'],
    ['histogram', () => x.histogram(2.5), ValueError, 'histogram: needs bins ≥ 1, got 2.5'],
    ['histogram', () => x.histogram(2, [1, 0]), ValueError, 'histogram: no finite range: 1 … 0'],
    ['histogram', () => tensor([1, NaN]).histogram(2), ValueError, 'histogram: no finite range: NaN … NaN'],
    ['histogram', () => tensor([1, Infinity]).histogram(2), ValueError, 'no finite range: 1 … Infinity'],
    [
      'histogram',
      () => x.histogram([1, 0]),
      ValueError,
      'histogram: edges must ascend, two at least, got [1, 0]',
    ],
    ['histogram', () => x.histogram([0]), ValueError, 'histogram: edges must ascend, two at least, got [0]'],
    ['histogram', () => x.histogram([0, NaN]), ValueError, 'edges must ascend'],
    ['indexSet', () => x.indexSet(2, index, 0), IndexError, 'indexSet: axis 2 is out of range for rank 2'],
    [
      'indexSet',
      () => x.indexSet(1, index.add(3), 0),
      IndexError,
      'indexSet: index 3 is out of range for axis 1 of size 3: [2, 3] f32',
    ],
    ['indexSet', () => x.indexSet(0, mask, 0), DTypeError, 'indexSet: needs places, not a mask'],
    [
      'indexSet',
      () => x.indexSet(0, index, zeros([3, 3])),
      ShapeError,
      'indexSet: the value does not broadcast',
    ],
    ['indexFill', () => x.indexFill(-3, index, 0), IndexError, 'indexFill: axis -3 is out of range'],
    [
      'indexFill',
      () => x.indexFill(0, index, zeros([3])),
      ShapeError,
      'indexFill: needs a single value: [2, 3] f32, [3] f32. Hint: indexSet() takes slices',
    ],
    ['take', () => x.take(6), IndexError, 'take: index 6 is out of range for axis 0 of size 6: [6] f32'],
    ['take', () => x.take(x), DTypeError, 'take: no index is f32'],
    [
      'take',
      () => x.take(mask),
      DTypeError,
      'take: needs places, not a mask: [2, 3] f32, [2] bool. Hint: at() takes masks',
    ],
    ['put', () => x.put([-7], 0), IndexError, 'put: index -7 is out of range for axis 0 of size 6'],
    ['put', () => x.put(index, zeros([3])), ShapeError, 'put: the value does not broadcast'],
    [
      'scatter',
      () => x.scatter(0, zeros([2, 3], { dtype: 'i32' }), 0, { reduce: loose('sum') }),
      ValueError,
      "scatter: reduce must be one of set, add, mul, max, min, mean, got 'sum'",
    ],
    ['bucketize', () => x.bucketize(x), ShapeError, 'bucketize: needs a vector of boundaries: [2, 3] f32'],
    [
      'histogram',
      () => x.histogram(2, null, { weights: zeros([3]) }),
      ShapeError,
      'histogram: needs one weight for each element: [2, 3] f32, [3] f32',
    ],
    ['scatter', () => x.scatter(0, index, 0), ShapeError, 'scatter: the index must have rank 2'],
    [
      'scatter',
      () => x.scatter(1, zeros([2, 3], { dtype: 'i32' }).add(3), 0),
      IndexError,
      'scatter: index 3 is out of range for an axis of size 3',
    ],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every composition has a row, or nothing to refuse (but where it cannot read: selection/laws.test.ts)', () => {
    const tried = new Set([...rows.map(([name]) => name), 'nonzero', 'unique']);
    expect(Object.keys(selectingMethods).filter((name) => !tried.has(name))).toEqual([]);
  });
  it('and nothing has been changed', () => expect(flat(fromTensor(x))).toEqual([0, 0, 0, 0, 0, 0]));
});
