/** Causal attention: a written-out reference, who sees whom, masks, gradients, errors. */
import fc from 'fast-check';
import { gradcheck, vjp } from '@infinigrad/autograd';
import { causalAttention } from '@infinigrad/nn';
import {
  concat,
  DTypeError,
  fromData,
  Key,
  ShapeError,
  tensor,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, lines, numbers } from '../support.ts';
import { bools, dtype, normal, reference } from './support.ts';

const shapes = {
  batch: fc.integer({ min: 1, max: 3 }),
  keys: fc.integer({ min: 1, max: 6 }),
  fewer: fc.nat(5),
  d: fc.integer({ min: 1, max: 4 }),
  dv: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(),
};

describe('causalAttention', () => {
  test('equals the loops', () =>
    fc.assert(
      fc.property(
        fc.record({ ...shapes, scale: fc.constantFrom(undefined, 0, 0.5, 2), masked: fc.boolean() }),
        ({ batch, keys, fewer, d, dv, seed, scale, masked }) => {
          const queries = Math.max(1, keys - fewer);
          const [q, k, v] = [
            normal([batch, queries, d], seed),
            normal([batch, keys, d], seed + 1),
            normal([batch, keys, dv], seed + 2),
          ];
          const seen = numbers(new Key(seed).foldIn(3).bernoulli(0.6, [batch, queries, keys])).map(Boolean);
          const mask = bools(seen, [batch, queries, keys]);
          const y = causalAttention(q, k, v, {
            ...(scale !== undefined && { scale }),
            ...(masked && { mask }),
          });
          expect(y.shape).toEqual([batch, queries, dv]);
          const at = (x: Tensor, b: number): number[][] => lines(x.select(0, b));
          const expected = Array.from({ length: batch }, (_, b) =>
            reference(
              at(q, b),
              at(k, b),
              at(v, b),
              (i, j) => !masked || seen[(b * queries + i) * keys + j]!,
              scale ?? 1 / Math.sqrt(d),
            ),
          );
          expectNumbers(numbers(y), expected.flat(2), 1e-11);
        },
      ),
    ));

  test('leading axes of queries, keys and values broadcast', () => {
    const [q, k, v] = [normal([2, 3, 4, 2], 1), normal([3, 4, 2], 2), normal([2, 1, 4, 5], 3)];
    const whole = causalAttention(q, k.expand([2, 3, 4, 2]), v.expand([2, 3, 4, 5]));
    const y = causalAttention(q, k, v);
    expect(y.shape).toEqual([2, 3, 4, 5]);
    expectNumbers(numbers(y), numbers(whole));
  });
  test('scores beyond the range of exp do not overflow, in f32', () => {
    const [q, k] = [tensor([[1e3], [1e3]]), tensor([[1e3], [-1e3]])];
    const y = causalAttention(q, k, tensor([[1], [2]]));
    expect(numbers(y)).toEqual([1, 1]);
  });
  test('a scale of 0 gives the mean of what is seen', () => {
    const y = causalAttention(normal([3, 2], 1), normal([3, 2], 2), tensor([[3], [6], [12]], { dtype }), {
      scale: 0,
    });
    expectNumbers(numbers(y), [3, 4.5, 7]);
  });
  test('a single query sees all keys', () => {
    const [q, k, v] = [normal([1, 2], 1), normal([5, 2], 2), normal([5, 3], 3)];
    const weights = q
      .matmul(k.transpose())
      .mul(1 / Math.sqrt(2))
      .softmax();
    expectNumbers(numbers(causalAttention(q, k, v)), numbers(weights.matmul(v)));
  });

  describe('causality', () => {
    test('by gradient: query i knows keys and values up to i + T_k - T_q, and those all', () =>
      fc.assert(
        fc.property(fc.record(shapes), ({ batch, keys, fewer, d, dv, seed }) => {
          const queries = Math.max(1, keys - fewer);
          const [q, k, v] = [
            normal([batch, queries, d], seed),
            normal([batch, keys, d], seed + 1),
            normal([batch, keys, dv], seed + 2),
          ];
          const { pullback } = vjp((a: Tensor, b: Tensor, c: Tensor) => causalAttention(a, b, c), q, k, v);
          for (let i = 0; i < queries; i++) {
            const only = numbers(zeros([batch, queries, dv])).map((_, n) =>
              Number(Math.floor(n / dv) % queries === i),
            );
            const [gq, gk, gv] = pullback(fromData(Float64Array.from(only), [batch, queries, dv]));
            const last = i + keys - queries;
            const touched = (g: Tensor): boolean[] => lines(g).map((line) => line.some((x) => x !== 0));
            const [values, whose] = [touched(gv), touched(gk)];
            for (let b = 0; b < batch; b++)
              for (let j = 0; j < keys; j++) {
                expect(values[b * keys + j]).toBe(j <= last);
                if (j > last) expect(whose[b * keys + j]).toBe(false);
              }
            touched(gq).forEach((moved, n) => moved && expect(n % queries).toBe(i));
          }
        }),
      ));
    test('by value: what comes later changes nothing, bit for bit', () => {
      const [q, k, v] = [normal([6, 4], 1), normal([6, 4], 2), normal([6, 4], 3)];
      const y = causalAttention(q, k, v);
      for (let t = 1; t < 6; t++) {
        const other = (x: Tensor, seed: number): Tensor =>
          concat([x.narrow(0, 0, t), normal([6 - t, 4], seed)]);
        const z = causalAttention(other(q, 7), other(k, 8), other(v, 9));
        expect(numbers(z.narrow(0, 0, t))).toEqual(numbers(y.narrow(0, 0, t)));
        expect(numbers(z.narrow(0, t, 1))).not.toEqual(numbers(y.narrow(0, t, 1)));
      }
    });
  });

  describe('masks', () => {
    test('a query that sees no key gives zeros, and no gradient to anything', () => {
      const [q, k, v] = [normal([3, 2], 1), normal([3, 2], 2), normal([3, 2], 3)].map((x) =>
        x.requireGrad(),
      ) as [Tensor, Tensor, Tensor];
      const mask = bools([true, true, true, false, false, true, true, false, true], [3, 3]);
      const y = causalAttention(q, k, v, { mask });
      expect(lines(y)[1]).toEqual([0, 0]);
      y.narrow(0, 1, 1).sum().backward(undefined, { retainGraph: true });
      for (const x of [q, k, v]) expect(numbers(x.grad!)).toEqual([0, 0, 0, 0, 0, 0]);
      for (const x of [q, k, v]) x.grad = null;
      y.square().sum().backward();
      expect(lines(q.grad!)[1]).toEqual([0, 0]);
      for (const x of [q, k, v]) expect(numbers(x.grad!).every(Number.isFinite)).toBe(true);
      // Key 1 is seen by nobody.
      expect([lines(k.grad!)[1], lines(v.grad!)[1]]).toEqual([
        [0, 0],
        [0, 0],
      ]);
    });
    test('of false throughout gives zeros throughout', () => {
      const mask = bools([false], [1, 1]);
      const y = causalAttention(normal([2, 3, 2], 1), normal([2, 3, 2], 2), normal([2, 3, 2], 3), { mask });
      expect(numbers(y).every((x) => x === 0)).toBe(true);
    });
    test('of true throughout changes nothing', () => {
      const [q, k, v] = [normal([2, 3, 2], 1), normal([2, 3, 2], 2), normal([2, 3, 2], 3)];
      expectNumbers(
        numbers(causalAttention(q, k, v, { mask: bools([true], [1, 1]) })),
        numbers(causalAttention(q, k, v)),
      );
    });
    test('broadcast: one for all queries, one for all heads', () => {
      const [q, k, v] = [normal([2, 3, 4, 2], 1), normal([2, 3, 4, 2], 2), normal([2, 3, 4, 2], 3)];
      const seen = [true, false, true, true, false, true, true, true];
      const mask = bools(seen, [2, 1, 1, 4]);
      const y = causalAttention(q, k, v, { mask });
      expectNumbers(numbers(y), numbers(causalAttention(q, k, v, { mask: mask.expand([2, 3, 4, 4]) })));
      // What a masked key holds does not matter.
      const other = k.add(mask.reshape([2, 1, 4, 1]).where(0, 5));
      expectNumbers(numbers(causalAttention(q, other, v, { mask })), numbers(y));
    });
  });

  test.each([
    ['plain', undefined],
    [
      'with a mask that hides a line',
      bools([true, false, true, false, false, true, true, true, true, false, true, true], [3, 4]),
    ],
  ])('passes gradcheck to second order, %s', (_, mask) => {
    gradcheck(
      (q, k, v) => causalAttention(q, k, v, mask ? { mask } : {}),
      [normal([2, 3, 2], 1), normal([4, 2], 2), normal([2, 4, 3], 3)],
      { order: 2 },
    );
  });

  describe('errors', () => {
    const [q, k, v] = [zeros([3, 2]), zeros([4, 2]), zeros([4, 5])];
    const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
      [
        'a vector',
        () => causalAttention(zeros([2]), k, v),
        ShapeError,
        'causalAttention: needs queries, keys and values [..., T, d]: [2] f32, [4, 2] f32, [4, 5] f32',
      ],
      [
        'queries and keys of different sizes',
        () => causalAttention(q, zeros([4, 3]), v),
        ShapeError,
        'causalAttention: queries and keys differ in size',
      ],
      [
        'keys and values of different numbers',
        () => causalAttention(q, k, zeros([3, 5])),
        ShapeError,
        'causalAttention: keys and values differ in number',
      ],
      [
        'more queries than keys',
        () => causalAttention(zeros([5, 2]), k, v),
        ShapeError,
        'causalAttention: 5 queries for 4 keys: [5, 2] f32, [4, 2] f32, [4, 5] f32. Hint: the last query stands beside the last key',
      ],
      [
        'a mask of numbers',
        () => causalAttention(q, k, v, { mask: zeros([3, 4]) }),
        DTypeError,
        'causalAttention: the mask must be bool: [3, 4] f32. Hint: true where a query may see a key',
      ],
      [
        'a mask that does not broadcast',
        () => causalAttention(q, k, v, { mask: bools([true, true], [2, 1]) }),
        ShapeError,
        'shapes do not broadcast (sizes 3 and 2 meet at axis -2)',
      ],
    ];
    test.each(rows)('%s', (_, body, kind, says) => {
      expect(body).toThrow(kind);
      expect(body).toThrow(says);
    });
  });
});
