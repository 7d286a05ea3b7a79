/** Making tensors of a number, a range, an identity: what comes out, and what is refused. */
import {
  arange,
  backendNames,
  eye,
  full,
  fullLike,
  linspace,
  memoryStats,
  ones,
  onesLike,
  ShapeError,
  tensor,
  ValueError,
  withBackend,
  zeros,
  zerosLike,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from './support.ts';
import { expectRefused, facts, list } from './creation-support.ts';

describe('full, zeros, ones and their likes', () => {
  it('hold one value throughout', () => {
    expect(facts(full([2, 2], 7))).toEqual(['f32', [2, 2], [7, 7, 7, 7]]);
    expect(facts(full([], -0, { dtype: 'f64' }))).toEqual(['f64', [], [-0]]);
    expect(facts(full([2], true))).toEqual(['bool', [2], [1, 1]]);
    expect(facts(full([2], true, { dtype: 'i32' }))).toEqual(['i32', [2], [1, 1]]);
    expect(facts(full([2], 3, { dtype: 'bool' }))).toEqual(['bool', [2], [1, 1]]);
    expect(facts(full([0, 3], 1))).toEqual(['f32', [0, 3], []]);
    expect(facts(zeros([3]))).toEqual(['f32', [3], [0, 0, 0]]);
    expect(facts(ones([2], { dtype: 'u8' }))).toEqual(['u8', [2], [1, 1]]);
  });
  it('like another: its shape, dtype and backend, whatever its layout', () => {
    for (const name of backendNames()) {
      const x = withBackend(name, () => tensor([[1, 2, 3]], { dtype: 'f64' })).transpose();
      const made = [zerosLike(x), onesLike(x), fullLike(x, 2.5)];
      expect(made.map(facts)).toEqual([0, 1, 2.5].map((v) => ['f64', [3, 1], [v, v, v]]));
      expect(made.map(({ backend }) => backend.name)).toEqual([name, name, name]);
    }
    expect(facts(fullLike(tensor([true]), 5))).toEqual(['bool', [1], [1]]);
  });
  it('take the memory of one element until something writes them out', () => {
    full([1], 123.5);
    const before = memoryStats().allocatedBytes;
    const x = full([1000, 1000], 123.5);
    expect(memoryStats().allocatedBytes - before).toBeLessThan(100);
    expect(x.sum(0).shape).toEqual([1000]);
    expect(x.clone().size).toBe(1e6);
    expect(memoryStats().allocatedBytes - before).toBeGreaterThanOrEqual(4e6);
  });
  it('do not share their elements with what is made of them', () => {
    const x = zeros([2, 2]);
    const y = x.add(1);
    expect([list(x), list(y)]).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
  });
  it('refuse shapes that are none', () => {
    for (const make of [(s: number[]) => full(s, 1), zeros, ones])
      for (const shape of [[-1], [0.5], [NaN], [2, Infinity]])
        expectRefused(() => make(shape), ShapeError, `sizes must be integers ≥ 0, got [${shape.join(', ')}]`);
  });
});

describe('arange', () => {
  it('counts from 0, from a start, by a step', () => {
    expect(facts(arange(4))).toEqual(['i32', [4], [0, 1, 2, 3]]);
    expect(facts(arange(2, 5))).toEqual(['i32', [3], [2, 3, 4]]);
    expect(facts(arange(0, 7, 3))).toEqual(['i32', [3], [0, 3, 6]]);
    expect(facts(arange(3, 0, -1))).toEqual(['i32', [3], [3, 2, 1]]);
    expect(facts(arange(0, 1, 0.25))).toEqual(['f32', [4], [0, 0.25, 0.5, 0.75]]);
    expect(facts(arange(0.5, 3))).toEqual(['f32', [3], [0.5, 1.5, 2.5]]);
    expect(facts(arange(3, undefined, 2, { dtype: 'f64' }))).toEqual(['f64', [2], [0, 2]]);
    expect(facts(arange(2, 4, 1, { dtype: 'u8' }))).toEqual(['u8', [2], [2, 3]]);
  });
  it('is empty where the step leads away', () => {
    for (const x of [arange(0), arange(-3), arange(5, 2), arange(2, 5, -1), arange(1, 1, 0.1)])
      expect(x.shape).toEqual([0]);
  });
  it('stops before the end, at multiples of the step', () => {
    const number = fc.integer({ min: -40, max: 40 }).map((n) => n / 4);
    const law = fc.property(
      number,
      number,
      number.filter((n) => n !== 0),
      (from, to, step) => {
        const expected: number[] = [];
        for (let i = 0; step > 0 ? from + i * step < to : from + i * step > to; i++)
          expected.push(from + i * step);
        const x = arange(from, to, step, { dtype: 'f64' });
        expect(x.shape).toEqual([expected.length]);
        expect(list(x)).toEqual(expected);
        expect(arange(from, to, step).dtype).toBe([from, to, step].every(Number.isInteger) ? 'i32' : 'f32');
      },
    );
    fc.assert(law, { numRuns: runs });
  });
  it('refuses a step of 0 and what is not finite', () => {
    expectRefused(
      () => arange(0, 3, 0),
      ValueError,
      'arange: needs finite bounds and a step other than 0, got 0, 3, 0',
    );
    for (const [from, to, step] of [
      [NaN, 1, 1],
      [0, Infinity, 1],
      [0, 1, NaN],
    ] as const)
      expectRefused(() => arange(from, to, step), ValueError, `got ${from}, ${to}, ${step}`);
  });
});

describe('linspace', () => {
  it('goes from start to stop in even steps', () => {
    expect(facts(linspace(0, 1, 5))).toEqual(['f32', [5], [0, 0.25, 0.5, 0.75, 1]]);
    expect(facts(linspace(2, -2, 3, { dtype: 'f64' }))).toEqual(['f64', [3], [2, 0, -2]]);
    expect(facts(linspace(3, 9, 1))).toEqual(['f32', [1], [3]]);
    expect(facts(linspace(0, 9, 4, { dtype: 'i32' }))).toEqual(['i32', [4], [0, 3, 6, 9]]);
    const law = fc.property(
      fc.integer({ min: -50, max: 50 }),
      fc.integer({ min: -50, max: 50 }),
      fc.integer({ min: 2, max: 20 }),
      (start, stop, count) => {
        const x = list(linspace(start, stop, count, { dtype: 'f64' }));
        expect([x.length, x[0], x.at(-1)]).toEqual([count, start, stop]);
        x.forEach((v, i) => expect(v).toBeCloseTo(start + ((stop - start) * i) / (count - 1), 12));
      },
    );
    fc.assert(law, { numRuns: runs });
  });
  it('refuses counts that are none', () => {
    for (const count of [0, -1, 2.5, NaN])
      expectRefused(() => linspace(0, 1, count), ValueError, `linspace: needs a count ≥ 1, got ${count}`);
  });
});

describe('eye', () => {
  it('has ones where row and column meet', () => {
    expect(facts(eye(2))).toEqual(['f32', [2, 2], [1, 0, 0, 1]]);
    expect(eye(2, 3).toArraySync()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(eye(3, 1, { dtype: 'bool' }).toArraySync()).toEqual([[true], [false], [false]]);
    expect(eye(0).shape).toEqual([0, 0]);
    expect(eye(2, 0).shape).toEqual([2, 0]);
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([list(eye(2).matmul(x)), list(x.matmul(eye(3)))]).toEqual([list(x), list(x)]);
  });
  it('refuses sizes that are none', () => {
    expectRefused(() => eye(-1), ShapeError, 'eye: sizes must be integers ≥ 0, got [-1, -1]');
    expectRefused(() => eye(2, 0.5), ShapeError, 'got [2, 0.5]');
  });
});
