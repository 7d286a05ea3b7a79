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
  sinusoidalPositions,
  SinusoidalPositions,
  TransformerXLPositions,
} from '@infinigrad/nn';
import {
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
