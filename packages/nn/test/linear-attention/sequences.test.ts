/** Padding, packed documents, hand-over of the state, long streams, and gates of all sizes. */
import fc from 'fast-check';
import { valueAndGrad, vmap } from '@infinigrad/autograd';
import {
  gatedDeltaRule,
  gatedLinearAttention,
  type RecurrenceOptions,
  type RecurrenceState,
} from '@infinigrad/nn';
import { concat, full, Key, stack, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import {
  cast,
  distance,
  forms,
  rules,
  someState,
  writtenOut,
  type Arguments,
  type Tensors,
} from './rules.ts';

const key = new Key(41);
const families = Object.entries(rules);
const sizes = { batch: 2, heads: 2, length: 37, dk: 3, dv: 4 };
const cut = (args: Arguments, start: number, length: number): Arguments =>
  Object.fromEntries(
    Object.entries(args as object as Record<string, Tensor>).map(([name, x]) => [
      name,
      x.narrow(2, start, length),
    ]),
  ) as object as Arguments;

describe.each(families)('%s', (_, rule) => {
  const args = rule.draw(key, sizes);
  const initialState = someState(rule, key.foldIn(5), sizes);
  const equalsDefinition = (given: Arguments, options: RecurrenceOptions, clean = given): void => {
    const expected = writtenOut(rule, clean, options);
    const { output, state } = rule.call(given, options);
    expect(distance(numbers(output), expected.output)).toBeLessThan(1e-12);
    expect(distance(numbers(state.matrix), expected.matrix)).toBeLessThan(1e-12);
    if (rule.normalized)
      expect(distance(numbers(state.normalizer!), expected.normalizer)).toBeLessThan(1e-12);
  };

  test('equals the definition for any padding and any documents', () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.constantFrom(1, 4, 8, 64),
        fc.integer({ min: 0, max: 1000 }),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (form, chunkSize, seed, padded, packed, started) => {
          const draw = (shade: number): Tensor => new Key(seed).foldIn(shade).uniform([2, 37]);
          equalsDefinition(args, {
            form,
            chunkSize,
            initialState: started ? initialState : null,
            mask: padded ? draw(0).lt(0.7) : undefined,
            documents: packed ? draw(1).lt(0.15).cast('i32').cumsum(-1) : undefined,
          });
        },
      ),
      { numRuns: 30 },
    ));

  test.each(forms)('%s lets nothing out of padding, whatever stands there', (form) => {
    const mask = tensor([Array.from({ length: 37 }, (_, t) => t >= 5 && t < 30)]).expand([2, 37]);
    const hole = mask.reshape([2, 1, 37, 1]);
    const spoilt = Object.fromEntries(
      Object.entries(args as object as Record<string, Tensor>).map(([name, x]) => [
        name,
        (x.rank === 3 ? hole.squeeze(-1) : hole).where(x, NaN),
      ]),
    ) as object as Arguments;
    equalsDefinition(spoilt, { form, mask, initialState, chunkSize: 8 }, args);
  });

  test.each(forms)('%s reads packed documents as one after the other', (form) => {
    const lengths = [9, 1, 20, 7];
    const ids = lengths.flatMap((n, i) => new Array<number>(n).fill(7 - i));
    const documents = tensor([ids, ids], { dtype: 'i32' });
    const { output, state } = rule.call(args, { form, documents, initialState, chunkSize: 8 });
    let start = 0;
    const apart = lengths.map((n, i) => {
      const own = rule.call(cut(args, start, n), { initialState: i === 0 ? initialState : null });
      start += n;
      return own;
    });
    const joined = concat(
      apart.map((one) => one.output),
      2,
    );
    expect(distance(numbers(output), numbers(joined))).toBeLessThan(1e-12);
    expect(distance(numbers(state.matrix), numbers(apart.at(-1)!.state.matrix))).toBeLessThan(1e-12);
  });

  test('padding between and after documents belongs to its neighbour', () => {
    const documents = tensor([Array.from({ length: 37 }, (_, t) => (t < 3 ? -1 : t < 20 ? 4 : -1))], {
      dtype: 'i32',
    }).expand([2, 37]);
    const mask = documents.ne(-1);
    const { state } = rule.call(args, { documents, mask, initialState });
    const alone = rule.call(cut(args, 3, 17), { initialState });
    expect(distance(numbers(state.matrix), numbers(alone.state.matrix))).toBeLessThan(1e-12);
  });

  test.each(forms)('%s goes on from a state as if it had not stopped', (form) => {
    const whole = rule.call(args, { initialState });
    const first = rule.call(cut(args, 0, 11), { form, initialState });
    const second = rule.call(cut(args, 11, 26), { form, initialState: first.state });
    const joined = concat([first.output, second.output], 2);
    expect(distance(numbers(joined), numbers(whole.output))).toBeLessThan(1e-12);
    expect(distance(numbers(second.state.matrix), numbers(whole.state.matrix))).toBeLessThan(1e-12);
  });

  test('in f32 stays within 1e-4 of f64 over 1,000 segments', () => {
    const segments = 1000;
    const long = rule.draw(key, { batch: 1, heads: 1, length: segments * 4, dk: 4, dv: 4 });
    const exact = writtenOut(rule, long);
    const single = cast(long, 'f32');
    let state: RecurrenceState | null = null;
    let output: Tensor | null = null;
    for (let s = 0; s < segments; s++) {
      const step = rule.call(cut(single, 4 * s, 4), {
        initialState: state,
        form: s % 2 ? 'recurrent' : 'chunkwise',
      });
      ({ state, output } = step);
    }
    expect(distance(numbers(state!.matrix), exact.matrix)).toBeLessThan(1e-4);
    expect(distance(numbers(output!), exact.output.slice(-16))).toBeLessThan(1e-4);
  });
});

describe('gates of all sizes', () => {
  const length = 150;
  const mixed = (shape: readonly number[]): Tensor => {
    const size = key.uniform(shape, { min: -8, max: 7, dtype: 'f64' }).exp();
    return key.foldIn(1).uniform(shape).lt(0.8).where(size.mul(-0.01), size.neg());
  };
  const one = { batch: 1, heads: 2, length, dk: 4, dv: 4 };

  test.each(forms)('%s neither overflows nor loses what stays', (form) => {
    for (const name of [
      'gated linear attention',
      'gated linear attention, one gate a token',
      'gated delta rule',
    ]) {
      const rule = rules[name]!;
      const drawn = rule.draw(key, one);
      const args = { ...drawn, gate: mixed(drawn.gate!.shape) };
      const expected = writtenOut(rule, args);
      const { grad } = valueAndGrad((x: Tensors) =>
        rule
          .call(x as object as Arguments, { form })
          .output.square()
          .sum(),
      )(cast(args, 'f32') as object as Tensors);
      expect(distance(numbers(rule.call(cast(args, 'f32'), { form }).output), expected.output)).toBeLessThan(
        1e-5,
      );
      for (const g of Object.values(grad)) expect(numbers(g).every(Number.isFinite)).toBe(true);
    }
  });

  test.each(forms)('%s forgets everything at a gate of 0', (form) => {
    const { q, unit, v, beta } = (() => {
      const drawn = rules['gated delta rule']!.draw(key, one);
      return { q: drawn.q, unit: drawn.k, v: drawn.v, beta: drawn.beta! };
    })();
    const at = 70;
    const shut = tensor(
      Array.from({ length }, (_, t) => (t === at ? -Infinity : -0.1)),
      { dtype: 'f64' },
    );
    const gates = shut.expand([1, 2, length]);
    const late = (x: Tensor): Tensor => x.narrow(2, at, length - at);
    const pairs = [
      [
        gatedDeltaRule(q, unit, v, beta, gates, { form }),
        gatedDeltaRule(
          late(q),
          late(unit),
          late(v),
          late(beta),
          full([1, 2, length - at], -0.1, { dtype: 'f64' }),
        ),
      ],
      [
        gatedLinearAttention(q, unit, v, gates.unsqueeze(-1).expand([1, 2, length, 4]), { form }),
        gatedLinearAttention(
          late(q),
          late(unit),
          late(v),
          full([1, 2, length - at, 4], -0.1, { dtype: 'f64' }),
        ),
      ],
    ] as const;
    for (const [all, rest] of pairs)
      expect(distance(numbers(late(all.output)), numbers(rest.output))).toBeLessThan(1e-12);
  });
});

describe('vmap', () => {
  const sizes = { batch: 2, heads: 1, length: 9, dk: 2, dv: 3 };
  test.each(families)('%s goes over one more axis', (_, rule) => {
    const drawn = [0, 1].map((i) => rule.draw(key.foldIn(i), sizes));
    const stacked = Object.fromEntries(
      Object.keys(drawn[0]!).map((name) => [name, stack(drawn.map((one) => one[name as keyof Arguments]!))]),
    );
    for (const form of forms) {
      const all = vmap(
        (args: Tensors) => rule.call(args as object as Arguments, { form, chunkSize: 4 }).output,
      )(stacked);
      const apart = stack(drawn.map((one) => rule.call(one, { form }).output));
      expect(all.shape).toEqual(apart.shape);
      expect(distance(numbers(all), numbers(apart))).toBeLessThan(1e-12);
    }
  });
});
