/** Learned and sinusoidal positions, ALiBi, T5's buckets and Transformer-XL's shift: definitions written out, and errors. */
import fc from 'fast-check';
import { gradcheck } from '@infinigrad/autograd';
import {
  Alibi,
  alibiBias,
  alibiSlopes,
  LearnedPositions,
  positionIds,
  relativeBucket,
  RelativePositionBias,
  relativeShift,
  ropeFrequencies,
  RotaryEmbedding,
  sinusoidalPositions,
  SinusoidalPositions,
  TransformerXLPositions,
  type RopeScaling,
} from '@infinigrad/nn';
import {
  DTypeError,
  fromData,
  IndexError,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { layersConform } from '../layers/conformance.ts';
import { dot, expectNumbers, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;
const key = new Key(3);
const normal = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape, { dtype });

layersConform('positions', {
  LearnedPositions: {
    make: (options) => new LearnedPositions(6, 3, options),
    inputs: (k) => [k.normal([2, 6, 3], { dtype })],
    naive: ({ weight }, [x]) => {
      const [w, rows] = [lines(weight!), lines(x!)];
      return rows.flatMap((row, n) => row.map((value, i) => value + w[n % 6]![i]!));
    },
    errors: {
      'positions beyond the last': {
        body: () => new LearnedPositions(6, 3, { key }).at(3, 4),
        type: IndexError,
        says: 'LearnedPositions: there are 6 positions, got 6',
      },
      'a tensor of positions beyond the last': {
        body: () => new LearnedPositions(6, 3, { key }).at(2, tensor([1, 6], { dtype: 'i32' })),
        type: IndexError,
        says: '6',
      },
      'starts for another batch': {
        body: () => new LearnedPositions(6, 3, { key }).at(2, tensor([[1, 2, 3]], { dtype: 'i32' })),
        type: ShapeError,
        says: 'positions must be [2]',
      },
      'no positions': {
        body: () => new LearnedPositions(0, 3, { key }),
        type: ValueError,
        says: 'maxLength',
      },
    },
  },
  SinusoidalPositions: {
    make: () => new SinusoidalPositions(4, { base: 100 }),
    inputs: (k) => [k.normal([2, 3, 4], { dtype })],
    forward: (module: SinusoidalPositions, [x]) => module.forward(x!, [-1, 7]),
    naive: (_, [x]) =>
      numbers(x!).map((value, n) => {
        const position = [0, 0, 1, 7, 8, 9][Math.floor(n / 4)]!;
        const angle = n % 4 < 2 ? position : position / 10;
        return value + (n % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
      }),
    errors: {
      'an odd width': { body: () => new SinusoidalPositions(3), type: ValueError, says: 'even' },
      'another width': {
        body: () => new SinusoidalPositions(4).forward(zeros([2, 6])),
        type: ShapeError,
        says: 'SinusoidalPositions: needs [..., T, 4]: [2, 6] f32',
      },
      'positions of another number': {
        body: () => new SinusoidalPositions(4).forward(zeros([2, 4]), tensor([1], { dtype: 'i32' })),
        type: ShapeError,
        says: 'positions must be [2]',
      },
    },
  },
  RelativePositionBias: {
    make: (options) => new RelativePositionBias(2, { ...options, numBuckets: 8, maxDistance: 6 }),
    inputs: () => [],
    forward: (module: RelativePositionBias) => module.forward(10, 12),
    naive: ({ weight }) => {
      const table = lines(weight!);
      const out: number[] = [];
      for (let h = 0; h < 2; h++)
        for (let i = 0; i < 10; i++)
          for (let j = 0; j < 12; j++)
            out.push(table[relativeBucket(j - (i + 2), { numBuckets: 8, maxDistance: 6 })]![h]!);
      return out;
    },
    errors: {
      'too few buckets': {
        body: () => new RelativePositionBias(2, { key, numBuckets: 3 }),
        type: ValueError,
        says: 'more than 3 buckets',
      },
      'a maxDistance within the exact ones': {
        body: () => new RelativePositionBias(2, { key, bidirectional: false, numBuckets: 8, maxDistance: 4 }),
        type: ValueError,
        says: 'a maxDistance above a half of them',
      },
    },
  },
  TransformerXLPositions: {
    make: (options) => new TransformerXLPositions(2, 3, 4, options),
    inputs: (k) => [k.normal([2, 2, 3, 3], { dtype }), k.foldIn(1).normal([2, 2, 5, 3], { dtype })],
    forward: (module: TransformerXLPositions, [q, keys]) =>
      module
        .queries(q!)
        .matmul(keys!.transpose())
        .mul(0.7)
        .add(module.bias(q!, 5, 0.7))
        .tril(2),
    // (q_i + u)·k_j + (q_i + v)·(W r_{i-j}), by loops.
    naive: (state, [q, keys]) => {
      const [u, v, w] = [state['contentBias']!, state['positionBias']!, state['rProj.weight']!].map(lines);
      const [queries, ks] = [lines(q!), lines(keys!)];
      const out: number[] = [];
      for (let b = 0; b < 2; b++)
        for (let h = 0; h < 2; h++)
          for (let i = 0; i < 3; i++)
            for (let j = 0; j < 5; j++) {
              const distance = i + 2 - j;
              if (distance < 0) {
                out.push(0);
                continue;
              }
              const r = [
                Math.sin(distance),
                Math.sin(distance / 100),
                Math.cos(distance),
                Math.cos(distance / 100),
              ];
              const projected = [0, 1, 2].map((c) => dot(w![h * 3 + c]!, r));
              const query = queries[(b * 2 + h) * 3 + i]!;
              const plus = (bias: number[]): number[] => query.map((x, c) => x + bias[c]!);
              out.push(0.7 * (dot(plus(u![h]!), ks[(b * 2 + h) * 5 + j]!) + dot(plus(v![h]!), projected)));
            }
      return out;
    },
    errors: {
      'an odd width': {
        body: () => new TransformerXLPositions(2, 3, 5, { key }),
        type: ValueError,
        says: 'even',
      },
    },
  },
});

describe('sinusoidalPositions', () => {
  test('sine and cosine of position · base^(-2i/dim), in both layouts, for any positions', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(10000, 100),
        (positions, half, base) => {
          const pair = (t: number, i: number): [number, number] => {
            const angle = t / base ** ((2 * i) / (2 * half));
            return [Math.sin(angle), Math.cos(angle)];
          };
          const by = positions.map((t) => Array.from({ length: half }, (_, i) => pair(t, i)));
          expectNumbers(
            numbers(sinusoidalPositions(positions, 2 * half, { base, dtype })),
            by.flat(2),
            1e-11,
          );
          expectNumbers(
            numbers(sinusoidalPositions(positions, 2 * half, { base, dtype, layout: 'halves' })),
            by.flatMap((pairs) => [...pairs.map(([s]) => s), ...pairs.map(([, c]) => c)]),
            1e-11,
          );
        },
      ),
    ));
  test.each(['interleaved', 'halves'] as const)(
    'added to tokens, also where positions cannot be read at once, %s',
    (layout) => {
      const module = new SinusoidalPositions(6, { layout });
      const x = normal([2, 3, 6], 1);
      const waiting = x.backend as { synchronous: boolean };
      for (const positions of [
        tensor([4, 0, 9], { dtype: 'i32' }),
        tensor(
          [
            [4, 0, 9],
            [1, 2, 3],
          ],
          { dtype: 'i32' },
        ),
      ]) {
        const rows =
          positions.rank === 1
            ? [
                [4, 0, 9],
                [4, 0, 9],
              ]
            : [
                [4, 0, 9],
                [1, 2, 3],
              ];
        const expected = numbers(
          x.add(sinusoidalPositions(rows.flat(), 6, { layout, dtype }).reshape([2, 3, 6])),
        );
        expectNumbers(numbers(module.forward(x, positions)), expected);
        waiting.synchronous = false;
        let y: Tensor;
        try {
          y = module.forward(x, positions);
        } finally {
          waiting.synchronous = true;
        }
        expectNumbers(numbers(y), expected);
      }
    },
  );
  test('a number of them counts from 0', () =>
    expect(numbers(sinusoidalPositions(3, 4))).toEqual(numbers(sinusoidalPositions([0, 1, 2], 4))));
  test('errors', () => {
    expect(() => sinusoidalPositions(0, 4)).toThrow(ValueError);
    expect(() => sinusoidalPositions(2, 3)).toThrow('dim must be an even integer ≥ 2, got 3');
    expect(() => sinusoidalPositions(2, 4, { base: -1 })).toThrow('base must be a number > 0');
    expect(() => sinusoidalPositions(2, 4, { layout: 'both' as 'halves' })).toThrow("got 'both'");
  });
});

describe('ALiBi', () => {
  test('the slopes of the paper', () => {
    expect(alibiSlopes(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n));
    expectNumbers(
      alibiSlopes(16),
      Array.from({ length: 16 }, (_, i) => 2 ** (-(i + 1) / 2)),
    );
  });
  test('the bias is slope times distance, the last query beside the last key', () => {
    const bias = alibiBias(3, 2, 4, { dtype });
    expect(bias.shape).toEqual([3, 2, 4]);
    const expected = alibiSlopes(3).flatMap((m) =>
      [0, 1].flatMap((i) => [0, 1, 2, 3].map((j) => -m * Math.abs(i + 2 - j))),
    );
    expectNumbers(numbers(bias), expected);
    expect(numbers(new Alibi(3).bias(zeros([1, 3, 2, 5], { dtype }), 4))).toEqual(numbers(bias));
  });
  test('errors', () => {
    expect(() => alibiSlopes(0)).toThrow(ValueError);
    expect(() => new Alibi(1.5)).toThrow('Alibi: heads must be an integer ≥ 1, got 1.5');
  });
});

describe('relativeShift', () => {
  const shapes = fc.record({
    keys: fc.integer({ min: 1, max: 6 }),
    fewer: fc.nat(5),
    lead: fc.integer({ min: 1, max: 3 }),
  });
  test('out[i][j] = x[i][j + T_q - 1 - i] for the keys not after the query, else 0', () =>
    fc.assert(
      fc.property(shapes, ({ keys, fewer, lead }) => {
        const queries = Math.max(1, keys - fewer);
        const x = normal([lead, queries, keys], 7);
        const rows = lines(x);
        const expected = rows.flatMap((row, n) => {
          const i = n % queries;
          return row.map((_, j) => (j <= i + keys - queries ? row[j + queries - 1 - i]! : 0));
        });
        expect(numbers(relativeShift(x))).toEqual(expected);
      }),
    ));
  test('passes gradcheck', () => gradcheck((x) => relativeShift(x), [normal([2, 3, 5], 1)], { order: 2 }));
  test('errors', () => {
    expect(() => relativeShift(zeros([3]))).toThrow(ShapeError);
    expect(() => relativeShift(zeros([3, 2]))).toThrow('relativeShift: 3 queries for 2 keys: [3, 2] f32');
  });
});

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

test('positionIds', () => {
  const { backend } = zeros([1]);
  expect(positionIds(3, 2, backend).toArraySync()).toEqual([3, 4]);
  expect(positionIds([-2, 0], 3, backend).toArraySync()).toEqual([
    [0, 0, 0],
    [0, 1, 2],
  ]);
  const ids = fromData(Int32Array.of(5), [1]);
  expect(positionIds(ids, 1, backend)).toBe(ids);
  expect(positionIds(3, 2, backend).dtype).toBe('i32');
});
