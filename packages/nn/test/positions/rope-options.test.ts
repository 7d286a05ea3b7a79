/** Rotary positions: of each row, interleaved, of a part of each head, scaled, where they cannot be read at once; errors. */
import fc from 'fast-check';
import { positionIds, ropeFrequencies, RotaryEmbedding, type RopeScaling } from '@infinigrad/nn';
import { DTypeError, Key, ShapeError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;
const normal = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape, { dtype });

describe('RotaryEmbedding', () => {
  const x = normal([2, 3, 4, 8], 1);
  test('positions of each row are those positions, one by one; starts below 0 stand at 0', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -3, max: 300 }), { minLength: 2, maxLength: 2 }),
        fc.boolean(),
        fc.constantFrom(4, 8),
        (starts, interleaved, rotaryDim) => {
          const rope = new RotaryEmbedding(8, { interleaved, rotaryDim });
          const y = rope.apply(x, starts);
          starts.forEach((start, b) => {
            for (let t = 0; t < 4; t++) {
              const alone = rope.apply(x.select(0, b).narrow(1, t, 1), Math.max(0, start + t));
              expectNumbers(numbers(y.select(0, b).narrow(1, t, 1)), numbers(alone));
            }
          });
          const ids = positionIds(starts, 4, x.backend);
          expect(numbers(rope.apply(x, ids))).toEqual(numbers(y));
        },
      ),
    ));
  test('a tensor [T] serves all rows', () => {
    const rope = new RotaryEmbedding(8);
    const ids = tensor([7, 1, 0, 2], { dtype: 'i32' });
    const y = rope.apply(x, ids);
    for (const [t, position] of [7, 1, 0, 2].entries())
      expectNumbers(numbers(y.narrow(2, t, 1)), numbers(rope.apply(x.narrow(2, t, 1), position)));
  });
  test('interleaved is halves with the dimensions in another order', () => {
    const order = tensor([0, 2, 4, 6, 1, 3, 5, 7], { dtype: 'i32' });
    const [pairs, halves] = [new RotaryEmbedding(8, { interleaved: true }), new RotaryEmbedding(8)];
    const parted = (y: Tensor): Tensor => y.indexSelect(-1, order);
    expectNumbers(numbers(parted(pairs.apply(x, 3))), numbers(halves.apply(parted(x), 3)));
  });
  test('partial: the first dimensions are turned as a head of that size, the others stay', () => {
    const [some, small] = [new RotaryEmbedding(8, { rotaryDim: 6 }), new RotaryEmbedding(6)];
    const y = some.apply(x, 9);
    expect(numbers(y.narrow(-1, 0, 6))).toEqual(numbers(small.apply(x.narrow(-1, 0, 6), 9)));
    expect(numbers(y.narrow(-1, 6, 2))).toEqual(numbers(x.narrow(-1, 6, 2)));
  });
  test('far positions, beyond the kept tables, of each row', () => {
    const rope = new RotaryEmbedding(8);
    const y = rope.apply(x, [70000, 3]);
    expectNumbers(numbers(y.select(0, 0)), numbers(rope.apply(x.select(0, 0), 70000)));
    expectNumbers(numbers(y.select(0, 1)), numbers(rope.apply(x.select(0, 1), 3)));
  });

  test('where positions cannot be read at once they are turned where they lie', () => {
    const waiting = x.backend as { synchronous: boolean };
    const ids = tensor([7, 1, 0, 2], { dtype: 'i32' });
    const scaling = { type: 'yarn', factor: 4, originalMaxPositions: 6 } as const;
    const dynamic = new RotaryEmbedding(8, { scaling: { type: 'dynamic', factor: 2, maxPositions: 6 } });
    const results = [null, scaling].map((one) => {
      const rope = new RotaryEmbedding(8, { scaling: one });
      const expected = numbers(rope.apply(x, ids));
      waiting.synchronous = false;
      try {
        return { expected, actual: rope.apply(x, ids), twice: rope.apply(x, ids.expand([2, 4])) };
      } finally {
        waiting.synchronous = true;
      }
    });
    for (const { expected, actual, twice } of results) {
      expectNumbers(numbers(actual), expected);
      expectNumbers(numbers(twice), expected);
    }
    waiting.synchronous = false;
    try {
      expect(() => dynamic.apply(x, ids)).toThrow("the scaling 'dynamic' needs to know the length");
      expect(dynamic.apply(x, ids, 8).shape).toEqual(x.shape);
    } finally {
      waiting.synchronous = true;
    }
  });

  const scalings: [string, RopeScaling][] = [
    ['linear', { type: 'linear', factor: 2 }],
    ['dynamic', { type: 'dynamic', factor: 2, maxPositions: 6 }],
    ['yarn', { type: 'yarn', factor: 4, originalMaxPositions: 6 }],
    [
      'longrope',
      {
        type: 'longrope',
        factor: 4,
        originalMaxPositions: 6,
        shortFactor: [1, 1, 2, 2],
        longFactor: [1, 2, 3, 4],
      },
    ],
    ['llama3', { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 6 }],
  ];
  test.each(scalings)(
    'scaled, %s: turns by its frequencies, of the length at hand, and back again',
    (_, scaling) => {
      const rope = new RotaryEmbedding(8, { scaling });
      const one = normal([1, 8], 5);
      const [v] = lines(one) as [number[]];
      for (const position of [2, 20, 5, 6, 2]) {
        const { frequencies, attentionFactor } = ropeFrequencies(8, 10000, scaling, position + 1);
        const expected = v.map((__, i) => {
          const angle = position * frequencies[i % 4]!;
          const [c, s] = [Math.cos(angle), Math.sin(angle)].map((y) => attentionFactor * y) as [
            number,
            number,
          ];
          return i < 4 ? v[i]! * c - v[i + 4]! * s : v[i]! * c + v[i - 4]! * s;
        });
        expectNumbers(numbers(rope.apply(one, position)), expected, 1e-11);
        expectNumbers(numbers(rope.apply(one.unsqueeze(0), [position])), expected, 1e-11);
      }
      // The length can be told.
      expectNumbers(
        numbers(rope.apply(one, 2, 21)),
        numbers(new RotaryEmbedding(8, { scaling }).apply(one.expand([19, 8]), 2).narrow(0, 0, 1)),
        1e-11,
      );
    },
  );

  describe('errors', () => {
    const rope = new RotaryEmbedding(8);
    const scaled = (scaling: unknown) => (): RotaryEmbedding =>
      new RotaryEmbedding(8, { scaling: scaling as RopeScaling });
    const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
      [
        'an odd part',
        () => new RotaryEmbedding(8, { rotaryDim: 3 }),
        ValueError,
        'rotaryDim must be an even integer from 2 to 8, got 3',
      ],
      ['a part beyond the whole', () => new RotaryEmbedding(8, { rotaryDim: 10 }), ValueError, 'got 10'],
      ['starts for another batch', () => rope.apply(x, [1]), ShapeError, '1 starts for a batch of 2'],
      ['starts without a batch', () => rope.apply(zeros([4, 8]), [1]), ShapeError, 'a batch of none'],
      [
        'starts that are no integers',
        () => rope.apply(x, [1, 0.5]),
        ValueError,
        'starts must be integers, got 0.5',
      ],
      [
        'positions of another number',
        () => rope.apply(x, tensor([1, 2], { dtype: 'i32' })),
        ShapeError,
        'positions must be [4] or [2, 4]: [2] i32',
      ],
      ['positions that float', () => rope.apply(x, zeros([4])), DTypeError, 'positions must be integers'],
      [
        'positions below 0',
        () => rope.apply(x, tensor([0, 1, -1, 2], { dtype: 'i32' })),
        ValueError,
        'positions must be ≥ 0, got -1',
      ],
      [
        'an unknown scaling',
        scaled({ type: 'ntk' }),
        ValueError,
        "scaling must be one of linear, dynamic, yarn, longrope, llama3, got 'ntk'",
      ],
      [
        'a factor of 0',
        scaled({ type: 'linear', factor: 0 }),
        ValueError,
        'factor of the scaling must be a number > 0, got 0',
      ],
      [
        'no factor',
        scaled({ type: 'yarn', originalMaxPositions: 5 }),
        ValueError,
        "the scaling 'yarn' needs factor",
      ],
      [
        'factors of another number',
        scaled({
          type: 'longrope',
          factor: 2,
          originalMaxPositions: 5,
          shortFactor: [1],
          longFactor: [1, 1, 1, 1],
        }),
        ValueError,
        'shortFactor must hold 4 numbers > 0',
      ],
      [
        'bounds the wrong way round',
        scaled({ type: 'llama3', factor: 8, lowFreqFactor: 4, highFreqFactor: 1, originalMaxPositions: 8 }),
        ValueError,
        'highFreqFactor must be above lowFreqFactor',
      ],
      [
        'two dimensions that grow',
        () => new RotaryEmbedding(2, { scaling: { type: 'dynamic', factor: 2, maxPositions: 4 } }),
        ValueError,
        'dynamic scaling needs 4 dimensions, got 2',
      ],
    ];
    test.each(rows)('%s', (_, body, kind, says) => {
      expect(body).toThrow(kind);
      expect(body).toThrow(says);
    });
  });
});
