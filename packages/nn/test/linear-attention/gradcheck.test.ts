/** Gradients of the recurrences against finite differences, and gradients of gradients. */
import { gradcheck } from '@infinigrad/autograd';
import { Key, type Tensor } from '@infinigrad/tensor';
import { describe, test } from 'vitest';
import { forms, rules, someState, type Arguments } from './rules.ts';

const key = new Key(37);

describe.each(Object.entries(rules))('%s', (_, rule) => {
  test.each(forms)('%s passes gradcheck to second order', (form) => {
    const sizes = { batch: 1, heads: 1, length: 5, dk: 2, dv: 2 };
    const args = rule.draw(key, sizes);
    const names = Object.keys(args) as (keyof Arguments)[];
    const { matrix, normalizer } = someState(rule, key, sizes);
    gradcheck(
      (...all) => {
        const given = Object.fromEntries(names.map((name, i) => [name, all[i]!])) as unknown as Arguments;
        const [m, z] = all.slice(names.length) as [Tensor, Tensor?];
        const initialState = { matrix: m, ...(z && { normalizer: z }) };
        const { output, state } = rule.call(given, { form, chunkSize: 2, initialState });
        return output.sum().add(state.matrix.square().sum());
      },
      [...names.map((name) => args[name]!), matrix, ...(normalizer ? [normalizer] : [])],
      { order: 2 },
    );
  });
});
