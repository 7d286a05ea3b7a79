/** Printing: one notation for all elements, columns aligned, long axes shortened, nothing hidden. */
import { inspect } from 'node:util';
import { arange, full, tensor, zeros, type DType, type NestedArray } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from './support.ts';

const text = (values: NestedArray, dtype: DType = 'f64'): string => tensor(values, { dtype }).format();
/** The elements without the head. */
const body = (values: NestedArray, dtype: DType = 'f64'): string =>
  text(values, dtype).replace(/^Tensor.*?\][\n ]/, '');

describe('the head', () => {
  it('says dtype and shape', () => {
    expect(text([[1, 2, 3]], 'f32').split('\n')[0]).toBe('Tensor f32 [1, 3]');
    expect(text(1, 'i32')).toBe('Tensor i32 [] 1');
    expect(text(1.5)).toBe('Tensor f64 [] 1.5000');
    expect(text(true, 'bool')).toBe('Tensor bool [] true');
  });
  it('stands alone before nothing', () => {
    expect(text([])).toBe('Tensor f64 [0] []');
    expect(zeros([3, 0, 2]).format()).toBe('Tensor f32 [3, 0, 2] []');
  });
});

describe('numbers', () => {
  it('whole ones end in a point', () => {
    expect(body([1, -2, 0, 999999])).toBe('[     1.,     -2.,      0., 999999.]');
    expect(body([-0, 0])).toBe('[-0.,  0.]');
  });
  it('others have four digits after it', () => {
    expect(body([1.5, -0.25, 100])).toBe('[  1.5000,  -0.2500, 100.0000]');
    expect(body([1 / 3])).toBe('[0.3333]');
  });
  it('very large or small ones, or both together, go into exponents, all of them', () => {
    expect(body([1e6, 1])).toBe('[1.0000e+6, 1.0000e+0]');
    expect(body([0.00001, 0.001])).toBe('[1.0000e-5, 1.0000e-3]');
    expect(body([1e-7, 5])).toBe('[1.0000e-7, 5.0000e+0]');
    expect(body([-1.5e300, 2e-300])).toBe('[-1.5000e+300, 2.0000e-300]'.replace(' 2', '  2'));
    // A range of six digits fits.
    expect(body([0.001, 999.5])).toBe('[  0.0010, 999.5000]');
    // Zeros have no size.
    expect(body([0, 0.5])).toBe('[0.0000, 0.5000]');
  });
  it('special ones are spelled out, and do not decide the notation of the rest', () => {
    expect(body([NaN, Infinity, -Infinity, 1])).toBe('[ NaN,  inf, -inf,   1.]');
    expect(body([NaN, 0.5])).toBe('[   NaN, 0.5000]');
    expect(body([NaN])).toBe('[NaN]');
    expect(body([Infinity, 1e-9])).toBe('[      inf, 1.0000e-9]');
  });
  it('integers are plain, truth values words', () => {
    expect(body([1, -20, 300], 'i32')).toBe('[  1, -20, 300]');
    expect(body([7, 255], 'u8')).toBe('[  7, 255]');
    expect(body([true, false], 'bool')).toBe('[ true, false]');
    expect(body([2 ** 31 - 1, -(2 ** 31)], 'i32')).toBe('[ 2147483647, -2147483648]');
  });
});

describe('columns', () => {
  it('are aligned over all rows', () => {
    expect(
      body([
        [1, 20],
        [-300, 4],
      ]),
    ).toBe('[[   1.,   20.],\n [-300.,    4.]]');
  });
  it('matrices stand apart by an empty line, deeper blocks by more', () => {
    expect(
      body(
        [
          [[1], [2]],
          [[3], [4]],
        ],
        'i32',
      ),
    ).toBe('[[[1],\n  [2]],\n\n [[3],\n  [4]]]');
    expect(
      body(
        [
          [[[1]], [[2]]],
          [[[3]], [[4]]],
        ],
        'i32',
      ),
    ).toBe('[[[[1]],\n\n  [[2]]],\n\n\n [[[3]],\n\n  [[4]]]]');
  });
});

describe('long tensors', () => {
  it('up to a thousand elements are printed whole', () => {
    const lines = arange(1000).reshape([50, 20]).format().split('\n');
    expect(lines.length).toBe(51);
    expect(lines.join('')).not.toContain('…');
    expect(lines[50]).toBe(` [${Array.from({ length: 20 }, (_, i) => 980 + i).join(', ')}]]`);
  });
  it('longer ones keep three at either end of each long axis', () => {
    expect(arange(1001).format()).toBe('Tensor i32 [1001]\n[   0,    1,    2, …,  998,  999, 1000]');
    expect(arange(2002).reshape([1001, 2]).format()).toBe(
      [
        'Tensor i32 [1001, 2]',
        '[[   0,    1],',
        ' [   2,    3],',
        ' [   4,    5],',
        ' …,',
        ' [1996, 1997],',
        ' [1998, 1999],',
        ' [2000, 2001]]',
      ].join('\n'),
    );
    expect(arange(1200).reshape([6, 200]).format().split('\n').slice(1, 3)).toEqual([
      '[[   0,    1,    2, …,  197,  198,  199],',
      ' [ 200,  201,  202, …,  397,  398,  399],',
    ]);
    expect(arange(1200).reshape([6, 200]).format().split('\n').length).toBe(7);
  });
  it('the notation is that of what is shown', () => {
    const values = Array.from({ length: 1500 }, (_, i) => (i === 700 ? 1e9 : i % 2));
    expect(body(values)).toBe('[0., 1., 0., …, 1., 0., 1.]');
  });
  it('in every axis that is long', () => {
    const lines = full([9, 4, 40], 0.5).format().split('\n');
    expect(
      lines.filter((line) => line.includes('0.5000, 0.5000, 0.5000, …, 0.5000, 0.5000, 0.5000')).length,
    ).toBe(24);
    expect(lines.filter((line) => line.trim() === '…,').length).toBe(1);
  });
});

describe('everywhere', () => {
  it('toString, inspect and format agree', () => {
    const x = tensor([[1.5, 2]]);
    expect(String(x)).toBe(x.format());
    expect(`${x.transpose()}`).toBe('Tensor f32 [2, 1]\n[[1.5000],\n [2.0000]]');
    expect(inspect(x)).toBe(x.format());
    expect(inspect({ x })).toContain('Tensor f32 [1, 2]');
  });
  it('views print what they show', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(x.transpose().format()).toBe('Tensor f32 [2, 2]\n[[1., 3.],\n [2., 4.]]');
    expect(x.select(0, 1).flip().format()).toBe('Tensor f32 [2]\n[4., 3.]');
    expect(tensor([7]).expand([2, 2]).format()).toBe('Tensor f32 [2, 2]\n[[7., 7.],\n [7., 7.]]');
  });
  it('shows every element of a small tensor, in order, to the digits it promises', () => {
    const value = fc.oneof(
      fc.double({ min: -1e3, max: 1e3, noNaN: true }),
      fc.integer({ min: -1e6, max: 1e6 }),
      fc.constantFrom(NaN, Infinity, -Infinity, 0),
      fc.double({ min: -1e300, max: 1e300 }),
    );
    const law = fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 6 }), (rows) => {
      const shown = body(rows)
        .match(/-?(?:inf|NaN|[\d.]+(?:e[+-]\d+)?)/g)!
        .map((word) => Number(word.replace('inf', 'Infinity')));
      const values = rows.flat();
      expect(shown.length).toBe(values.length);
      const exponents = /e[+-]\d/.test(body(rows));
      shown.forEach((v, i) => {
        const exact = values[i]!;
        if (Number.isFinite(exact))
          expect(Math.abs(v - exact)).toBeLessThanOrEqual(exponents ? Math.abs(exact) * 5.1e-5 : 5.1e-5);
        else expect(v).toBe(exact);
      });
      // All lines are equally long, but for the brackets that open and close the whole.
      const widths = body(rows)
        .split('\n')
        .map((line) => line.replace(/^\[\[| \[/, '').replace(/[\],]*$/, '').length);
      expect(new Set(widths).size).toBe(1);
    });
    fc.assert(law, { numRuns: runs });
  });
});

describe('the elements that are shown', () => {
  it('are those of a copy, in any layout', () => {
    const x = arange(2 * 40 * 30).reshape([2, 40, 30]);
    const views = [x.permute([2, 0, 1]), x.flip(), x.slice([null, [1, null, 3], [null, null, 2]])];
    for (const view of views) expect(view.format()).toBe(view.clone().format());
    expect(x.transpose().format()).toContain('1170');
  });
  it('are all that is read: the rest of a stretched tensor is never written out', () => {
    const size = 1e7;
    expect(zeros([size, size]).format()).toBe(
      zeros([size, size])
        .slice([[null, null, -1]])
        .format(),
    );
    expect(full([size, size], 2).format().split('\n')[1]).toBe('[[2., 2., 2., …, 2., 2., 2.],');
  });
});
