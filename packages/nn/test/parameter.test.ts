/** Parameters: leaves that own their elements. */
import { Parameter } from '@infinigrad/nn';
import {
  arange,
  DTypeError,
  full,
  GradientError,
  isContiguous,
  ones,
  ShapeError,
  tensor,
  zeros,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from './support.ts';

const matrix = () =>
  tensor(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    { dtype: 'f64' },
  );

describe('a new parameter', () => {
  test('is a leaf that requires a gradient, whatever the history of its value', () => {
    const source = matrix().requireGrad();
    const p = new Parameter(source.mul(2));
    expect([p.isLeaf, p.requiresGrad, p.grad]).toEqual([true, true, null]);
    p.mul(3).sum().backward();
    expect(numbers(p.grad!)).toEqual([3, 3, 3, 3, 3, 3]);
    expect(source.grad).toBeNull();
  });

  test.each([
    ['stretched by stride 0', full([2, 3], 7), [7, 7, 7, 7, 7, 7], 24],
    ['of one stretched element', full([1, 1], 7), [7], 4],
    ['transposed', matrix().transpose(), [1, 4, 2, 5, 3, 6], 48],
    ['a window on a larger buffer', arange(0, 100, 1, { dtype: 'f32' }).narrow(0, 10, 3), [10, 11, 12], 12],
    ['the start of a larger buffer', arange(0, 100, 1, { dtype: 'f32' }).narrow(0, 0, 2), [0, 1], 8],
    ['empty', zeros([0, 3]), [], 0],
  ])('owns a row-major copy of a value that is %s', (_, value, elements, bytes) => {
    const p = new Parameter(value);
    expect(numbers(p)).toEqual(elements);
    expect(isContiguous(p.layout)).toBe(true);
    expect(p.layout.strides.every((stride) => stride > 0)).toBe(true);
    expect(p.storage.bytes).toBe(bytes);
  });

  test('is refused for integers', () => expect(() => new Parameter(arange(3))).toThrow(DTypeError));
});

describe('assign', () => {
  test('replaces the elements of every later use, and of no tensor taken before', () => {
    const p = new Parameter(matrix());
    const before = p.detach();
    p.assign(full([2, 3], 9, { dtype: 'f64' }));
    expect(numbers(p)).toEqual([9, 9, 9, 9, 9, 9]);
    expect(numbers(before)).toEqual([1, 2, 3, 4, 5, 6]);
    expect([p.version, p.requiresGrad, p.storage.bytes]).toEqual([1, true, 48]);
  });

  test.each([
    ['shape', ones([3, 2], { dtype: 'f64' }), ShapeError, '[2, 3] f64, [3, 2] f64'],
    ['dtype', ones([2, 3]), DTypeError, '[2, 3] f64, [2, 3] f32'],
  ])('refuses another %s and changes nothing', (_, value, type, says) => {
    const p = new Parameter(matrix());
    expect(() => p.assign(value)).toThrow(type);
    expect(() => p.assign(value)).toThrow(says);
    expect([numbers(p), p.version]).toEqual([[1, 2, 3, 4, 5, 6], 0]);
  });

  test('between forward and backward is noticed', () => {
    const p = new Parameter(matrix());
    const y = p.square().sum();
    p.assign(p.detach().mul(2));
    expect(() => y.backward()).toThrow(GradientError);
  });
});
