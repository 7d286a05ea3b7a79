/** Arbitraries draw what they say, all of it, and shrink to the least. */
import { broadcastShapes, dtypes, isFloat } from '@infinigrad/tensor';
import {
  axesOf,
  axisSetsOf,
  broadcastableShapes,
  domains,
  dtypesIn,
  indexSets,
  layoutKinds,
  layoutOf,
  layoutsOf,
  places,
  shapes,
  tensorFrom,
  tensors,
} from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

const numRuns = runs;
const sampled = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { numRuns: 500, seed: 1 });

describe('shapes', () => {
  it('keep to their limits and reach them', () => {
    const drawn = sampled(shapes({ minRank: 1, maxRank: 2, minSize: 2, maxSize: 3 }));
    expect(new Set(drawn.map(({ length }) => length))).toEqual(new Set([1, 2]));
    expect(new Set(drawn.flat())).toEqual(new Set([2, 3]));
  });
  it('that broadcast together do', () => {
    fc.assert(
      fc.property(broadcastableShapes(3), (list) => {
        expect(list).toHaveLength(3);
        broadcastShapes(
          'test',
          list.map((shape) => ({ shape, dtype: 'f32' })),
        );
      }),
      { numRuns },
    );
    expect(sampled(broadcastableShapes(2)).some(([a, b]) => a!.join() !== b!.join())).toBe(true);
  });
});

describe('axes', () => {
  it('reach every axis from both ends', () => {
    expect(new Set(sampled(axesOf(3)))).toEqual(new Set([-3, -2, -1, 0, 1, 2]));
  });
  it('in sets name no axis twice', () => {
    fc.assert(
      fc.property(axisSetsOf(4), (axes) => {
        const places = axes.map((axis) => (axis < 0 ? axis + 4 : axis));
        expect(new Set(places).size).toBe(axes.length);
        expect(places.every((axis) => axis >= 0 && axis < 4)).toBe(true);
      }),
      { numRuns },
    );
    expect(new Set(sampled(axisSetsOf(4)).map(({ length }) => length)).size).toBe(5);
  });
});

describe('index sets', () => {
  it('stay below the size, repeat unless told', () => {
    const drawn = sampled(indexSets(3, { minLength: 1, maxLength: 5 }));
    expect(drawn.flat().every((i) => Number.isInteger(i) && i >= 0 && i < 3)).toBe(true);
    expect(drawn.some((list) => new Set(list).size < list.length)).toBe(true);
    expect(drawn.every(({ length }) => length >= 1 && length <= 5)).toBe(true);
    expect(sampled(indexSets(3, { unique: true })).every((list) => new Set(list).size === list.length)).toBe(
      true,
    );
  });
});

describe('layouts', () => {
  it.each(layoutKinds)('%s: each element has a place of its own, or shares it along stride 0', (kind) => {
    fc.assert(
      fc.property(
        shapes().chain((shape) => layoutsOf(shape, kind).map((plan) => ({ shape, plan }))),
        ({ shape, plan }) => {
          const { layout, length } = layoutOf(shape, plan);
          const at = places(layout);
          expect(at.every((p) => p >= 0 && p < length)).toBe(true);
          const own = shape.reduce((n, size, axis) => n * (plan.repeats[axis] ? 1 : size), 1);
          expect(new Set(at).size).toBe(own);
        },
      ),
      { numRuns },
    );
  });
  it('are what their kind says', () => {
    const shape = [2, 3];
    const strides = (kind: (typeof layoutKinds)[number]): string[] =>
      sampled(layoutsOf(shape, kind)).map((plan) => layoutOf(shape, plan).layout.strides.join());
    expect(new Set(strides('contiguous'))).toEqual(new Set(['3,1']));
    expect(new Set(strides('permuted'))).toEqual(new Set(['3,1', '1,2']));
    expect(strides('stretched').every((text) => /\b0\b/.test(text))).toBe(true);
    expect(strides('spaced').some((text) => text.includes('-'))).toBe(true);
    expect(strides('spaced').some((text) => text.includes('6'))).toBe(true);
    expect(new Set(strides('any')).size).toBeGreaterThan(10);
  });
});

describe('tensors', () => {
  it('lie in their domain, as their dtype holds them, whatever the layout', () => {
    fc.assert(
      fc.property(
        dtypesIn(['f32', 'f64']).chain((dtype) => tensors({ dtype, domain: domains.positive })),
        (drawn) => {
          const x = tensorFrom(drawn);
          expect(x.dtype).toBe(drawn.dtype);
          expect(x.shape).toEqual(drawn.shape);
          expect(Array.from(x.dataSync())).toEqual(drawn.values);
          expect(drawn.values.every((v) => v >= 0.249 && v <= 3)).toBe(true);
        },
      ),
      { numRuns },
    );
  });
  it('take a shape, or shapes drawn', () => {
    expect(sampled(tensors({ shape: [2, 2] })).every(({ shape }) => shape.join() === '2,2')).toBe(true);
    const ranks = sampled(tensors({ shape: shapes({ minRank: 3 }) })).map(({ shape }) => shape.length);
    expect(new Set(ranks)).toEqual(new Set([3]));
  });
  it('shrink to a single zero', () => {
    const found = fc.check(fc.property(tensors(), (x) => !isFloat(x.dtype)));
    expect(found.counterexample![0]).toMatchObject({ shape: [], values: [0] });
  });
  it('dtypes are all of them unless told', () => {
    expect(new Set(sampled(dtypesIn()))).toEqual(new Set(dtypes));
  });
});
