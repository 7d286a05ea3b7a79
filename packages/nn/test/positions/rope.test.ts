/** Rotary positions: a written-out reference, and the laws they are made for. */
import fc from 'fast-check';
import { gradcheck } from '@infinigrad/autograd';
import { RotaryEmbedding } from '@infinigrad/nn';
import { arange, DTypeError, Key, ShapeError, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectNumbers, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;
const settings = {
  half: fc.integer({ min: 1, max: 4 }),
  length: fc.integer({ min: 1, max: 6 }),
  offset: fc.integer({ min: 0, max: 300 }),
  seed: fc.nat(),
};

test('turns each pair (i, i + d/2) by position · base^(-2i/d)', () =>
  fc.assert(
    fc.property(
      fc.record({ ...settings, base: fc.constantFrom(10000, 500, 5e5) }),
      ({ half, length, offset, seed, base }) => {
        const d = 2 * half;
        const x = new Key(seed).normal([2, length, d], { dtype });
        const expected = lines(x).flatMap((v, row) => {
          const out = new Array<number>(d);
          for (let i = 0; i < half; i++) {
            const angle = (offset + (row % length)) / base ** ((2 * i) / d);
            out[i] = v[i]! * Math.cos(angle) - v[i + half]! * Math.sin(angle);
            out[i + half] = v[i + half]! * Math.cos(angle) + v[i]! * Math.sin(angle);
          }
          return out;
        });
        expectNumbers(numbers(new RotaryEmbedding(d, { base }).apply(x, offset)), expected, 1e-11);
      },
    ),
  ));

describe('laws', () => {
  test('norms stay', () =>
    fc.assert(
      fc.property(fc.record(settings), ({ half, length, offset, seed }) => {
        const x = new Key(seed).normal([length, 2 * half], { dtype });
        const norms = (rows: number[][]): number[] => rows.map((row) => Math.sqrt(dot(row, row)));
        expectNumbers(norms(lines(new RotaryEmbedding(2 * half).apply(x, offset))), norms(lines(x)));
      }),
    ));

  test('scalar products depend on the distance of positions alone', () =>
    fc.assert(
      fc.property(
        fc.record({ half: settings.half, m: fc.nat(50), n: fc.nat(50), shift: fc.nat(1000), seed: fc.nat() }),
        ({ half, m, n, shift, seed }) => {
          const rope = new RotaryEmbedding(2 * half);
          const [q, k] = [0, 1].map((i) => new Key(seed).foldIn(i).normal([1, 2 * half], { dtype }));
          const product = (a: number, b: number): number =>
            dot(numbers(rope.apply(q!, a)), numbers(rope.apply(k!, b)));
          expectNumbers([product(m + shift, n + shift)], [product(m, n)], 1e-10);
        },
      ),
    ));

  test('a sequence in pieces is the sequence', () =>
    fc.assert(
      fc.property(fc.record(settings), ({ half, length, offset, seed }) => {
        const rope = new RotaryEmbedding(2 * half);
        const x = new Key(seed).normal([2, length, 2 * half], { dtype });
        const whole = rope.apply(x, offset);
        for (let t = 0; t < length; t++)
          expect(numbers(rope.apply(x.narrow(1, t, 1), offset + t))).toEqual(numbers(whole.narrow(1, t, 1)));
      }),
    ));
});

test('positions far out, beyond the kept tables, follow the same formula', () => {
  const rope = new RotaryEmbedding(2);
  const [position, x] = [2 ** 16 - 1, new Key(1).normal([2, 2], { dtype })];
  const expected = lines(x).flatMap(([a, b], t) => {
    const angle = position + t;
    return [a! * Math.cos(angle) - b! * Math.sin(angle), b! * Math.cos(angle) + a! * Math.sin(angle)];
  });
  expectNumbers(numbers(rope.apply(x, position)), expected);
});

test('f32 and f64 have tables of their own, exact to their dtype', () => {
  const rope = new RotaryEmbedding(4);
  const x = new Key(3).normal([64, 4]);
  const [single, double] = [rope.apply(x), rope.apply(x.cast('f64'))];
  expect([single.dtype, double.dtype]).toEqual(['f32', 'f64']);
  expectNumbers(numbers(single), numbers(double), 4e-7);
  expect(numbers(single)).not.toEqual(numbers(double));
});

test('passes gradcheck on strided input', () => {
  const rope = new RotaryEmbedding(4);
  gradcheck((x) => rope.apply(x.permute([0, 2, 1, 3]), 5), [new Key(1).normal([1, 3, 2, 4], { dtype })], {
    order: 2,
  });
});

test('errors', () => {
  const rope = new RotaryEmbedding(4);
  expect(() => new RotaryEmbedding(3)).toThrow(ValueError);
  expect(() => new RotaryEmbedding(4, { base: 0 })).toThrow(ValueError);
  expect(() => rope.apply(new Key(0).normal([2, 6]))).toThrow(ShapeError);
  expect(() => rope.apply(new Key(0).normal([4]))).toThrow('needs [..., T, 4]');
  expect(() => rope.apply(new Key(0).normal([2, 4]), -1)).toThrow(ValueError);
  expect(() => rope.apply(arange(8).reshape([2, 4]))).toThrow(DTypeError);
});
