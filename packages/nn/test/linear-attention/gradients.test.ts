/** Gradients of the recurrences, into the arguments and the initial state, from the output and the final state. */
import { valueAndGrad } from '@infinigrad/autograd';
import type { RecurrenceForm, RecurrenceOptions, RecurrenceState } from '@infinigrad/nn';
import { Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import {
  cast,
  distance,
  forms,
  rules,
  someState,
  type Arguments,
  type Rule,
  type Sizes,
  type Tensors,
} from './rules.ts';

const key = new Key(37);
const sizesOf = (length: number): Sizes => ({
  batch: length > 500 ? 1 : 2,
  heads: length > 500 ? 1 : 2,
  length,
  dk: 4,
  dv: 5,
});

type Flow = { readonly args: Arguments; readonly initial: RecurrenceState };

function gradients(rule: Rule, flow: Flow, options: RecurrenceOptions): number[][] {
  const weighted = (x: Tensor, seed: number): Tensor =>
    x.mul(new Key(seed).normal(x.shape, { dtype: 'f64' }).cast(x.dtype)).sum();
  const { grad } = valueAndGrad(([args, initial]: readonly [Tensors, Tensors]) => {
    const { output, state } = rule.call(args as object as Arguments, {
      ...options,
      initialState: initial as object as RecurrenceState,
    });
    const total = weighted(output, 1).add(weighted(state.matrix, 2));
    return state.normalizer ? total.add(weighted(state.normalizer, 3)) : total;
  })([flow.args as object as Tensors, flow.initial as object as Tensors]);
  return grad.flatMap((part) => Object.values(part).map(numbers));
}

describe.each(Object.entries(rules))('%s', (_, rule) => {
  test.each([1, 63, 100, 1000])('agree in all forms at length %i', (length) => {
    const flow = {
      args: rule.draw(key.foldIn(length), sizesOf(length)),
      initial: someState(rule, key.foldIn(5), sizesOf(length)),
    };
    const reference = gradients(rule, flow, { form: 'recurrent' });
    expect(reference.length).toBe(Object.keys(flow.args).length + (rule.normalized ? 2 : 1));
    for (const g of reference) expect(g.some((x) => x !== 0)).toBe(true);
    const agree = (form: RecurrenceForm, dtype: FloatDType, tolerance: number): void =>
      gradients(rule, cast(flow, dtype), { form }).forEach((g, i) =>
        expect(distance(g, reference[i]!)).toBeLessThan(tolerance),
      );
    for (const form of forms) {
      if (form !== 'recurrent') agree(form, 'f64', 1e-12);
      agree(form, 'f32', 1e-5);
    }
  });
});
