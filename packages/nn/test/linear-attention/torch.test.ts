/** Recurrences against PyTorch in f64, forward and backward (fixtures made by scripts/fixtures/nn/linear-attention.py). */
import { concat, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectCase, fixture, type Case } from '../support.ts';
import { forms, rules, type Arguments } from './rules.ts';

const { rules: cases } = fixture<{ rules: Record<string, Case> }>('linear-attention');

describe.each(Object.entries(rules))('%s', (name, rule) => {
  test.each(forms)('%s', (form) =>
    expectCase(cases[name]!, ({ matrix, normalizer, ...args }) => {
      const initialState = { matrix: matrix!, ...(normalizer && { normalizer }) };
      const { output, state } = rule.call(args as object as Arguments, { form, chunkSize: 4, initialState });
      const parts: Tensor[] = [output, state.matrix, ...(state.normalizer ? [state.normalizer] : [])];
      return concat(
        parts.map((x) => x.flatten()),
        0,
      );
    }),
  );
});

test('every case has a rule', () => expect(Object.keys(cases)).toEqual(Object.keys(rules)));
