/** Shapes and strides: the arithmetic that views and broadcasting stand on, against plain loops. */
import {
  broadcastLayout,
  broadcastShapes,
  checkShape,
  contiguousLayout,
  IndexError,
  isContiguous,
  normalizeAxes,
  normalizeAxis,
  reducedShape,
  reshapeLayout,
  rowMajorStrides,
  sameShape,
  ShapeError,
  sizeOf,
  ValueError,
  type Layout,
  type Shape,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indices, meet } from './naive.ts';
import { runs } from './support.ts';

const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const filled = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
const operand = (shape: Shape) => ({ shape, dtype: 'f32' });

/** Where the elements lie, in row-major order. */
const places = ({ shape, strides, offset }: Layout): number[] =>
  indices(shape).map((index) => index.reduce((at, i, axis) => at + i * strides[axis]!, offset));

/** Layouts of views: permuted, sliced, flipped and stretched ones of a row-major buffer. */
const layouts = filled.chain((shape) =>
  fc
    .record({
      order: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length, maxLength: shape.length },
      ),
      steps: fc.array(fc.constantFrom(1, 1, 2, -1, 0), { minLength: shape.length, maxLength: shape.length }),
      offset: fc.nat(3),
    })
    .map(({ order, steps, offset }): Layout => {
      const base = rowMajorStrides(shape.map((n, i) => n * Math.max(1, Math.abs(steps[i]!))));
      return {
        shape: order.map((axis) => shape[axis]!),
        strides: order.map((axis) => base[axis]! * steps[axis]!),
        offset,
      };
    }),
);

describe('sizes', () => {
  it('are products; nothing multiplied is 1', () => {
    expect([sizeOf([]), sizeOf([3]), sizeOf([2, 3, 4]), sizeOf([2, 0, 4])]).toEqual([1, 3, 24, 0]);
  });
  it('are compared one by one', () => {
    expect([
      sameShape([2, 3], [2, 3]),
      sameShape([], []),
      sameShape([2], [2, 1]),
      sameShape([2, 3], [3, 2]),
    ]).toEqual([true, true, false, false]);
  });
  it('must be integers from 0 on', () => {
    checkShape('op', [0, 5]);
    for (const shape of [[-1], [1.5], [NaN], [Infinity], [2, -0.5]])
      expect(() => checkShape('op', shape)).toThrow(
        new ShapeError('op', `sizes must be integers ≥ 0, got [${shape.join(', ')}]`),
      );
  });
});

describe('row-major layouts', () => {
  it('count up from 0', () => {
    const law = fc.property(shapes, (shape) => {
      expect(places(contiguousLayout(shape))).toEqual(Array.from({ length: sizeOf(shape) }, (_, i) => i));
    });
    fc.assert(law, { numRuns: runs });
  });
  it('are told from others by their places alone, offset aside', () => {
    const law = fc.property(layouts, (layout) => {
      const expected = places(layout).every((at, i) => at === layout.offset + i);
      expect(isContiguous(layout)).toBe(expected);
    });
    fc.assert(law, { numRuns: 5 * runs });
    expect(isContiguous({ shape: [2, 0], strides: [99, 7], offset: 3 })).toBe(true);
    expect(isContiguous({ shape: [], strides: [], offset: 3 })).toBe(true);
  });
});

describe('axes', () => {
  it('count from either end', () => {
    const x = operand([4, 5, 6]);
    expect([0, 2, -1, -3].map((axis) => normalizeAxis('op', axis, x))).toEqual([0, 2, 2, 0]);
    expect(normalizeAxes('op', undefined, x)).toEqual([0, 1, 2]);
    expect(normalizeAxes('op', -1, x)).toEqual([2]);
    expect(normalizeAxes('op', [-1, 0], x)).toEqual([0, 2]);
    expect(normalizeAxes('op', [], x)).toEqual([]);
    expect(normalizeAxes('op', undefined, operand([]))).toEqual([]);
  });
  it('out of range are refused, with the range', () => {
    for (const axis of [3, -4, 0.5, NaN])
      expect(() => normalizeAxis('op', axis, operand([4, 5, 6]))).toThrow(
        new IndexError('op', `axis ${axis} is out of range for rank 3`, {
          operands: [operand([4, 5, 6])],
          hint: 'axes run from -3 to 2',
        }),
      );
    expect(() => normalizeAxis('op', 0, operand([]))).toThrow(
      'op: axis 0 is out of range for rank 0: [] f32',
    );
    expect(() => normalizeAxes('op', [0, 7], operand([2]))).toThrow(IndexError);
  });
  it('named twice are refused', () => {
    expect(() => normalizeAxes('op', [0, -2], operand([2, 3]))).toThrow(
      new ValueError('op', 'axes [0, -2] name one axis twice', { operands: [operand([2, 3])] }),
    );
  });
  it('reduced go away, or stay at size 1', () => {
    expect(reducedShape([2, 3, 4], [0, 2], false)).toEqual([3]);
    expect(reducedShape([2, 3, 4], [0, 2], true)).toEqual([1, 3, 1]);
    expect(reducedShape([2, 3], [], false)).toEqual([2, 3]);
    expect(reducedShape([], [], true)).toEqual([]);
  });
});

describe('broadcasting', () => {
  it('meets in the larger size of each axis, aligned at the right', () => {
    const parts = filled.chain((whole) =>
      fc.tuple(
        ...[0, 1, 2].map(() =>
          fc
            .tuple(fc.nat(whole.length), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
            .map(([cut, ones]) => whole.slice(cut).map((n, i) => (ones[i] ? 1 : n))),
        ),
      ),
    );
    const law = fc.property(parts, (list) => {
      const shape = broadcastShapes('op', list.map(operand));
      expect(shape).toEqual(meet(...list));
      // In any order, and again with the result itself.
      expect(broadcastShapes('op', list.toReversed().map(operand))).toEqual(shape);
      expect(broadcastShapes('op', [...list, shape].map(operand))).toEqual(shape);
    });
    fc.assert(law, { numRuns: runs });
    expect(broadcastShapes('op', [operand([0]), operand([3, 1])])).toEqual([3, 0]);
    expect(broadcastShapes('op', [])).toEqual([]);
  });
  it('refuses sizes that differ, naming axis and sizes', () => {
    expect(() => broadcastShapes('op', [operand([2, 3]), operand([4])])).toThrow(
      new ShapeError('op', 'shapes do not broadcast (sizes 3 and 4 meet at axis -1)', {
        operands: [operand([2, 3]), operand([4])],
        hint: 'aligned at the right, sizes must be equal or 1',
      }),
    );
    expect(() => broadcastShapes('op', [operand([5, 1]), operand([4, 1, 2]), operand([3, 2])])).toThrow(
      'sizes 5 and 3 meet at axis -2',
    );
    expect(() => broadcastShapes('op', [operand([0]), operand([2])])).toThrow('sizes 0 and 2');
  });
  it('stretched layouts read every element where it came from', () => {
    const law = fc.property(layouts, shapes, (layout, lead) => {
      const stretched = layout.shape.map((n) => (n === 1 ? 3 : n));
      const shape = [...lead, ...stretched];
      const wide = broadcastLayout(layout, shape);
      const own = places(layout);
      const strides = rowMajorStrides(layout.shape);
      expect(wide.shape).toEqual(shape);
      expect(places(wide)).toEqual(
        indices(shape).map((index) => {
          const tail = index.slice(lead.length);
          return own[
            tail.reduce((at, i, axis) => at + (layout.shape[axis] === 1 ? 0 : i) * strides[axis]!, 0)
          ];
        }),
      );
    });
    fc.assert(law, { numRuns: runs });
  });
});

describe('reshaping without a copy', () => {
  /** A shape of as many elements. */
  const factored = (size: number): fc.Arbitrary<number[]> =>
    fc.infiniteStream(fc.nat()).map((stream) => {
      const shape: number[] = [];
      let rest = size;
      for (const n of stream) {
        const divisors = Array.from({ length: rest }, (_, i) => i + 1).filter((d) => rest % d === 0);
        const d = divisors[n % divisors.length]!;
        shape.push(d);
        rest /= d;
        if (shape.length > 5 || (rest === 1 && n % 2 === 0)) break;
      }
      return rest === 1 ? shape : [...shape, rest];
    });

  it('gives a layout that reads the same elements in the same order, or none', () => {
    let views = 0;
    const law = fc.property(
      layouts.chain((layout) => fc.tuple(fc.constant(layout), factored(sizeOf(layout.shape)))),
      ([layout, shape]) => {
        const seen = reshapeLayout(layout, shape);
        if (!seen) {
          expect(isContiguous(layout)).toBe(false);
          return;
        }
        views++;
        expect(seen.shape).toEqual(shape);
        expect(places(seen)).toEqual(places(layout));
      },
    );
    fc.assert(law, { numRuns: 5 * runs });
    expect(views).toBeGreaterThan(runs);
  });
  it('gives one wherever there is one', () => {
    // Whether any strides at all read the same places.
    const possible = (layout: Layout, shape: Shape): boolean => {
      const all = places(layout);
      const unit = rowMajorStrides(shape);
      const strides = shape.map((n, axis) => (n === 1 ? 0 : all[unit[axis]!]! - all[0]!));
      return places({ shape, strides, offset: all[0]! }).every((at, i) => at === all[i]);
    };
    const law = fc.property(
      layouts.chain((layout) => fc.tuple(fc.constant(layout), factored(sizeOf(layout.shape)))),
      ([layout, shape]) => {
        expect(reshapeLayout(layout, shape) !== null).toBe(possible(layout, shape));
      },
    );
    fc.assert(law, { numRuns: 5 * runs });
  });
  it('of nothing is always possible', () => {
    const none: Layout = { shape: [2, 0, 3], strides: [1, 5, 7], offset: 4 };
    expect(reshapeLayout(none, [0, 9])?.shape).toEqual([0, 9]);
  });
});
