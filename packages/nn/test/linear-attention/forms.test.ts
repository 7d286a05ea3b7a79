/** Each recurrence in three forms: all equal the definition written out, with states, padding and packed documents. */
import { valueAndGrad } from '@infinigrad/autograd';
import { Key, scope, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import { cast, forms, rules, someState, writtenOut, type Arguments, type Rule, type Sizes } from './rules.ts';
import type { RecurrentOptions, RecurrentState } from '@infinigrad/nn';

const key = new Key(31);
const lengths = [1, 63, 100, 1000];
const sizesOf = (length: number): Sizes => ({ batch: length > 500 ? 1 : 2, heads: 2, length, dk: 4, dv: 5 });
const families = Object.entries(rules);

/** The largest difference, relative to the largest number. */
function distance(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  let [worst, largest] = [0, 1];
  actual.forEach((x, i) => {
    const difference = Math.abs(x - expected[i]!);
    worst = difference <= worst ? worst : difference;
    largest = Math.max(largest, Math.abs(expected[i]!));
  });
  return worst / largest;
}

function differences(rule: Rule, args: Arguments, options: RecurrentOptions): number {
  const expected = writtenOut(rule, cast(args, 'f64'), cast(options, 'f64'));
  const { output, state } = rule.call(args, options);
  return Math.max(
    distance(numbers(output), expected.output),
    distance(numbers(state.matrix), expected.matrix),
    rule.normalized ? distance(numbers(state.normalizer!), expected.normalizer) : 0,
  );
}

/** Gradients of all arguments and of the initial state, of a weighted sum of the output and the final state. */
function gradients(
  rule: Rule,
  args: Arguments,
  initialState: RecurrentState,
  options: RecurrentOptions,
): number[][] {
  const names = Object.keys(args) as (keyof Arguments)[];
  const flow = [
    ...names.map((name) => args[name]!),
    initialState.matrix,
    ...(initialState.normalizer ? [initialState.normalizer] : []),
  ];
  const weighted = (x: Tensor, seed: number): Tensor =>
    x.mul(new Key(seed).normal(x.shape, { dtype: x.dtype as 'f32' | 'f64' })).sum();
  return scope(() =>
    valueAndGrad(
      (...all: Tensor[]) => {
        const given = Object.fromEntries(names.map((name, i) => [name, all[i]!])) as unknown as Arguments;
        const [matrix, normalizer = null] = all.slice(names.length) as [Tensor, Tensor?];
        const { output, state } = rule.call(given, { ...options, initialState: { matrix, normalizer } });
        const total = weighted(output, 1).add(weighted(state.matrix, 2));
        return state.normalizer ? total.add(weighted(state.normalizer, 3)) : total;
      },
      { argnums: flow.map((_, i) => i) } as never,
    )(...flow),
  );
}
void gradients;

describe.each(families)('%s', (_, rule) => {
  describe.each(forms)('%s', (form) => {
    test.each(lengths)('equals the definition at length %i', (length) => {
      const sizes = sizesOf(length);
      const args = rule.draw(key.foldIn(length), sizes);
      const initialState = someState(rule, key.foldIn(5), sizes);
      expect(differences(rule, args, { form, initialState })).toBeLessThan(1e-12);
      expect(differences(rule, cast(args, 'f32'), cast({ form, initialState }, 'f32'))).toBeLessThan(1e-5);
      expect(differences(rule, args, { form })).toBeLessThan(1e-12);
    });
  });
});
void tensor;
