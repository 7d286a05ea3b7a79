/** Decoders with learned positions against transformers: configurations, files, logits, gradients, what goes on inside, decoding. */
import { readFileSync } from 'node:fs';
import { noGrad } from '@infinigrad/autograd';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import type { CausalLM, ModelInit, ModelMeta, PretrainedModel } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { differenceWhere, expectGradients, reference } from './reference.ts';
import { largestDifference } from './runner.ts';

type Decoder<C extends object> = PretrainedModel<C> & CausalLM;

export interface DecoderClass<C extends object, M extends Decoder<C>> {
  readonly meta: ModelMeta<C>;
  new (config: C, key: Key, init?: ModelInit): M;
}

/** What config.json says of the file alone. */
export const ofTheFile = ['architectures', 'dtype', 'transformers_version'];

export function withoutKeys(json: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key)));
}

interface Inside {
  readonly hiddenStates: readonly Tensor[];
  readonly attentions: readonly Tensor[];
}

/** Hidden states and attention weights of the first row, f64. */
export function inside(family: string, name: string): Inside {
  type Numbers = { readonly shape: readonly number[]; readonly data: readonly number[] };
  const url = new URL(`../fixtures/${family}/${name}/case.json`, import.meta.url);
  const { hiddenStates, attentions } = JSON.parse(readFileSync(url, 'utf8')) as {
    readonly hiddenStates: readonly Numbers[];
    readonly attentions: readonly Numbers[];
  };
  const wide = ({ data, shape }: Numbers): Tensor =>
    fromData(Float64Array.from(data), shape, { dtype: 'f64' });
  return { hiddenStates: hiddenStates.map(wide), attentions: attentions.map(wide) };
}

export function expectInside(
  made: { readonly hiddenStates?: readonly Tensor[]; readonly attentions?: readonly Tensor[] },
  wanted: Inside,
): void {
  for (const of of ['hiddenStates', 'attentions'] as const) {
    expect(made[of]).toHaveLength(wanted[of].length);
    wanted[of].forEach((value, i) =>
      expect(largestDifference(made[of]![i]!, value), `${of} ${i}`).toBeLessThan(1e-9),
    );
  }
}

export function describeDecoder<C extends object, M extends Decoder<C>>(
  family: string,
  names: readonly string[],
  model: DecoderClass<C, M>,
): void {
  const { config: schema } = model.meta;

  describe.each(names)(`${family} %s`, (name) => {
    const { config: json, weights, gradients, inputs, logits, probe, greedy } = reference(family, name);
    const config = schema.fromJson(json);
    const { inputIds, attentionMask, positionIds } = inputs as Readonly<Record<string, Tensor>>;
    const loaded = (dtype: 'f32' | 'f64'): M => {
      const made = new model(config, new Key(0), { dtype }).eval() as M;
      const { missing, unexpected } = made.loadPretrainedState(weights);
      expect([missing, unexpected]).toEqual([[], []]);
      return made;
    };

    test('config.json is read and written as it was', () => {
      const written = schema.toJson(config);
      expect(written).toEqual(withoutKeys(json, ofTheFile));
      expect(schema.fromJson(written)).toEqual(config);
    });

    test('the weights come back in the keys, shapes and numbers of the file', () => {
      const state = loaded('f32').pretrainedState();
      expect(Object.keys(state).toSorted()).toEqual(Object.keys(weights).toSorted());
      for (const [key, value] of Object.entries(state))
        expect(largestDifference(value, weights[key]!), key).toBe(0);
    });

    test.each([
      ['f32', 1e-5, 1e-4],
      ['f64', 1e-9, 1e-6],
    ] as const)('logits and gradients in %s', (dtype, near, gradientNear) => {
      const made = loaded(dtype);
      const y = made.forward(inputIds!, { attentionMask, positionIds }).logits;
      expect(differenceWhere(attentionMask!, y.detach().cast('f64'), logits)).toBeLessThan(near);
      const there = attentionMask!.unsqueeze(-1).cast(dtype);
      const loss = y.mul(probe.cast(dtype)).mul(there).sum();
      expectGradients(made, loss, gradients, gradientNear);
    });

    test('hidden states and attention weights', () => {
      const options = { outputHiddenStates: true, outputAttentions: true };
      const made = noGrad(() => loaded('f64').forward(inputIds!.narrow(0, 0, 1), options));
      expectInside(made, inside(family, name));
    });

    test('the likeliest 64 tokens, with a cache', () => {
      const made = loaded('f64');
      const cache = made.newCache();
      const { eosTokenId } = config as { readonly eosTokenId?: number };
      const prompt = Array.from(inputIds!.narrow(0, 0, 1).dataSync(), Number);
      const written = [...prompt];
      for (let step = 0; step < 64; step++) {
        const next = step === 0 ? prompt : written.slice(-1);
        const last = noGrad(() =>
          scope(() => {
            const ids = fromData(Int32Array.from(next), [1, next.length]);
            return Array.from(made.forward(ids, { cache, lastLogits: 1 }).logits.dataSync(), Number);
          }),
        );
        // The reference leaves out what would end the text.
        last[eosTokenId!] = -Infinity;
        written.push(last.indexOf(Math.max(...last)));
      }
      expect([written]).toEqual(greedy);
    });
  });
}
