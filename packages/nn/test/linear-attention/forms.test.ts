/** Each recurrence in three forms: all equal the definition written out. */
import type { RecurrenceOptions } from '@infinigrad/nn';
import type { FloatDType } from '@infinigrad/tensor';
import { Key } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import { cast, distance, forms, rules, someState, writtenOut, type Sizes } from './rules.ts';

const key = new Key(31);
const sizesOf = (length: number): Sizes => ({ batch: length > 500 ? 1 : 2, heads: 2, length, dk: 4, dv: 5 });

describe.each(Object.entries(rules))('%s', (_, rule) => {
  describe.each([1, 63, 100, 1000])('at length %i', (length) => {
    const sizes = sizesOf(length);
    const args = rule.draw(key.foldIn(length), sizes);
    const initialState = someState(rule, key.foldIn(5), sizes);
    const expected = writtenOut(rule, args, { initialState });

    const difference = (options: RecurrenceOptions, dtype: FloatDType): number => {
      const { output, state } = rule.call(cast(args, dtype), cast({ ...options, initialState }, dtype));
      expect(output.dtype).toBe(dtype);
      return Math.max(
        distance(numbers(output), expected.output),
        distance(numbers(state.matrix), expected.matrix),
        rule.normalized ? distance(numbers(state.normalizer!), expected.normalizer) : 0,
      );
    };

    test.each(forms)('%s equals the definition', (form) => {
      expect(difference({ form }, 'f64')).toBeLessThan(1e-12);
      expect(difference({ form }, 'f32')).toBeLessThan(1e-5);
    });
  });

  test.each([1, 2, 16, 128])('gives the same for chunks of %i', (chunkSize) => {
    const sizes = sizesOf(100);
    const args = rule.draw(key, sizes);
    const initialState = someState(rule, key.foldIn(5), sizes);
    const expected = writtenOut(rule, args, { initialState });
    const { output, state } = rule.call(args, { form: 'chunkwise', chunkSize, initialState });
    expect(distance(numbers(output), expected.output)).toBeLessThan(1e-12);
    expect(distance(numbers(state.matrix), expected.matrix)).toBeLessThan(1e-12);
  });

  test('starts from nothing where no state is given', () => {
    const args = rule.draw(key, sizesOf(20));
    const expected = writtenOut(rule, args);
    for (const form of [...forms, 'auto'] as const)
      for (const chunkSize of [4, 64]) {
        const { output, state } = rule.call(args, { form, chunkSize });
        expect(distance(numbers(output), expected.output)).toBeLessThan(1e-12);
        expect(distance(numbers(state.matrix), expected.matrix)).toBeLessThan(1e-12);
      }
  });

  test('scales queries as told', () => {
    const args = rule.draw(key, sizesOf(20));
    const { output } = rule.call(args, { scale: 3 });
    expect(distance(numbers(output), writtenOut(rule, args, { scale: 3 }).output)).toBeLessThan(1e-12);
  });

  test('computes halves in f32, and keeps their state so', () => {
    const half = cast(rule.draw(key, sizesOf(70)), 'bf16');
    const { output, state } = rule.call(half, {});
    expect([output.dtype, state.matrix.dtype]).toEqual(['bf16', 'f32']);
    const exact = writtenOut(rule, cast(half, 'f64'));
    expect(distance(numbers(state.matrix), exact.matrix)).toBeLessThan(1e-5);
    expect(distance(numbers(output), exact.output)).toBeLessThan(2 ** -7);
  });
});
