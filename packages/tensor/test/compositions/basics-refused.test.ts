/** What compositions refuse. */
import {
  DTypeError,
  IndexError,
  InfinigradError,
  ShapeError,
  stack,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { basics } from '../../src/compositions/basics.ts';

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const x = zeros([2, 3]);
  const index = zeros([2], { dtype: 'i32' });
  const rows: Row[] = [
    [
      'transpose',
      () => x.transpose(0, 2),
      IndexError,
      'transpose: axis 2 is out of range for rank 2: [2, 3] f32',
    ],
    ['transpose', () => zeros([3]).transpose(), IndexError, 'transpose: axis -2 is out of range for rank 1'],
    ['moveAxis', () => x.moveAxis(-3, 0), IndexError, 'moveAxis: axis -3 is out of range'],
    ['moveAxis', () => x.moveAxis(0, 2), IndexError, 'moveAxis: axis 2 is out of range'],
    ['squeeze', () => x.squeeze(0), ShapeError, 'squeeze: axis 0 has size 2, not 1: [2, 3] f32'],
    ['squeeze', () => x.squeeze(5), IndexError, 'squeeze: axis 5 is out of range'],
    [
      'unsqueeze',
      () => x.unsqueeze(3),
      IndexError,
      'unsqueeze: axis 3 is out of range for rank 2 + 1: [2, 3] f32',
    ],
    ['unsqueeze', () => x.unsqueeze(-4), IndexError, 'unsqueeze: axis -4 is out of range'],
    ['unsqueeze', () => x.unsqueeze(0.5), IndexError, 'unsqueeze: axis 0.5 is out of range'],
    ['flatten', () => x.flatten(2), IndexError, 'flatten: axis 2 is out of range'],
    ['flip', () => x.flip(2), IndexError, 'flip: axis 2 is out of range'],
    ['flip', () => x.flip([0, -2]), ValueError, 'flip: axes [0, -2] name one axis twice'],
    [
      'select',
      () => x.select(1, 3),
      IndexError,
      'select: position 3 is out of range for axis 1 of size 3: [2, 3] f32',
    ],
    ['select', () => x.select(1, -4), IndexError, 'select: position -4 is out of range'],
    ['select', () => x.select(0, 0.5), IndexError, 'select: position 0.5 is out of range'],
    [
      'select',
      () => zeros([0]).select(0, 0),
      IndexError,
      'select: position 0 is out of range for axis 0 of size 0',
    ],
    [
      'narrow',
      () => x.narrow(1, 2, 2),
      IndexError,
      'narrow: 2 … 4 is not within axis 1 of size 3: [2, 3] f32',
    ],
    ['narrow', () => x.narrow(1, -1, 1), IndexError, 'narrow: -1 … 0 is not within'],
    ['narrow', () => x.narrow(1, 1, -1), IndexError, 'narrow: 1 … 0 is not within'],
    ['narrow', () => x.narrow(1, 0.5, 1), IndexError, 'narrow: 0.5 … 1.5 is not within'],
    ['split', () => x.split(0), ValueError, 'split: needs a size ≥ 1, got 0: [2, 3] f32'],
    ['split', () => x.split(1.5), ValueError, 'split: needs a size ≥ 1, got 1.5'],
    [
      'split',
      () => x.split([1, 1], 1),
      ShapeError,
      'split: sizes [1, 1] do not add up to 3 (axis 1): [2, 3] f32',
    ],
    ['split', () => x.split([4, -1], 1), IndexError, 'is not within axis 1 of size 3'],
    ['split', () => x.split(1, 2), IndexError, 'split: axis 2 is out of range'],
    ['variance', () => x.variance(2), IndexError, 'variance: axis 2 is out of range'],
    [
      'takeAlongAxis',
      () => x.takeAlongAxis(index, 0),
      ShapeError,
      'takeAlongAxis: index and tensor must have one rank: [2, 3] f32, [2] i32',
    ],
    [
      'takeAlongAxis',
      () => x.takeAlongAxis(zeros([4, 1], { dtype: 'i32' }), 1),
      ShapeError,
      'takeAlongAxis: shapes do not broadcast',
    ],
    ['takeAlongAxis', () => x.takeAlongAxis(zeros([2, 1]), 1), DTypeError, 'input 1 does not accept f32'],
    [
      'takeAlongAxis',
      () => x.takeAlongAxis(zeros([2, 1], { dtype: 'i32' }).add(3), 1),
      IndexError,
      'index 3 is out of range',
    ],
    [
      'takeAlongAxis',
      () => x.takeAlongAxis(zeros([2, 1], { dtype: 'i32' }), 2),
      IndexError,
      'takeAlongAxis: axis 2 is out of range',
    ],
    ['flatten', () => x.flatten(1, 0), ValueError, 'flatten: axis 1 comes after axis 0: [2, 3] f32'],
    ['oneHot', () => x.oneHot(3), DTypeError, 'oneHot: needs integer indices: [2, 3] f32'],
    ['oneHot', () => tensor([true]).oneHot(3), DTypeError, 'oneHot: needs integer indices: [1] bool'],
    ['oneHot', () => index.oneHot(0), ValueError, 'oneHot: needs classes ≥ 1, got 0'],
    ['oneHot', () => index.oneHot(1.5), ValueError, 'oneHot: needs classes ≥ 1, got 1.5'],
    ['triangleMask', () => zeros([3]).triangleMask(), ShapeError, 'triangleMask: needs two axes: [3] f32'],
    ['tril', () => zeros([3]).tril(), ShapeError, 'needs two axes'],
    ['triu', () => zeros([3]).triu(), ShapeError, 'needs two axes'],
    ['dot', () => x.dot(x), ShapeError, 'dot: needs two vectors: [2, 3] f32, [2, 3] f32'],
    ['dot', () => zeros([2]).dot(zeros([3])), ShapeError, 'dot: inner sizes differ (2 and 3)'],
    ['norm', () => x.norm(2), IndexError, 'norm: axis 2 is out of range'],
    ['std', () => x.std([0, 0]), ValueError, 'std: axes [0, 0] name one axis twice'],
    [
      'sumTo',
      () => x.sumTo([2]),
      ShapeError,
      "sumTo: [2] does not stretch to the tensor's shape: [2, 3] f32",
    ],
    ['sumTo', () => x.sumTo([1, 2, 3]), ShapeError, 'sumTo: [1, 2, 3] does not stretch'],
    ['stack', () => stack([]), ValueError, 'stack: needs at least one tensor'],
    [
      'stack',
      () => stack([x, zeros([3, 2])]),
      ShapeError,
      'stack: tensors differ in shape: [2, 3] f32, [3, 2] f32',
    ],
    ['stack', () => stack([x], 4), IndexError, 'axis 4 is out of range'],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every composition has a row', () => {
    const tried = new Set(rows.map(([name]) => name));
    expect(Object.keys(basics).filter((name) => !tried.has(name))).toEqual([]);
  });
});
