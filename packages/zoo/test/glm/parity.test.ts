/** GLM against transformers: configurations, logits, gradients, decoding. */
import { noGrad } from '@infinigrad/autograd';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import { GlmForCausalLM, glmSchema, type GlmConfig } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { differenceWhere, expectGradients, reference } from '../models/reference.ts';
import { largestDifference } from '../models/runner.ts';

function loaded(config: GlmConfig, weights: Readonly<Record<string, Tensor>>, dtype: 'f32' | 'f64') {
  const model = new GlmForCausalLM(config, new Key(0), { dtype }).eval();
  const { missing, unexpected } = model.loadPretrainedState(weights);
  expect([missing, unexpected]).toEqual([[], []]);
  return model;
}

describe.each(['half', 'edge', 'odd', 'linear'])('%s', (name) => {
  const { config: json, weights, gradients, inputs, logits, probe, greedy } = reference('glm', name);
  const config = glmSchema.fromJson(json);
  const { inputIds, attentionMask, positionIds } = inputs as Record<string, Tensor>;
  const call = { attentionMask: attentionMask!, positionIds: positionIds! };

  test('config.json of either spelling is read, and what is written is read as the same', () => {
    expect(glmSchema.fromJson(glmSchema.toJson(config))).toEqual(config);
    const {
      rope_parameters: rope,
      dtype,
      ...rest
    } = json as Record<string, unknown> & {
      rope_parameters: Record<string, unknown>;
    };
    const { rope_theta, partial_rotary_factor, ...scaling } = rope;
    const older = {
      ...rest,
      torch_dtype: dtype,
      rope_theta,
      partial_rotary_factor,
      rope_scaling: scaling['rope_type'] === 'default' ? null : scaling,
    };
    expect(glmSchema.fromJson(older)).toEqual(config);
  });

  test('the weights come back in the keys, shapes and numbers of the file', () => {
    const state = loaded(config, weights, 'f32').pretrainedState();
    expect(Object.keys(state).toSorted()).toEqual(Object.keys(weights).toSorted());
    for (const [key, value] of Object.entries(state))
      expect(largestDifference(value, weights[key]!), key).toBe(0);
  });

  test.each([
    ['f32', 1e-5, 1e-4],
    ['f64', 1e-9, 1e-6],
  ] as const)('logits and gradients in %s', (dtype, near, gradientNear) => {
    const model = loaded(config, weights, dtype);
    const { logits: made } = model.forward(inputIds!, call);
    // What is made of padding is nobody's business: it sees nothing here, and everything there.
    expect(differenceWhere(attentionMask!, made.detach().cast('f64'), logits)).toBeLessThan(near);
    expectGradients(model, made.mul(probe.cast(dtype)).sum(), gradients, gradientNear);
  });

  test('the likeliest 64 tokens, with a cache', () => {
    const model = loaded(config, weights, 'f64');
    const cache = model.newCache();
    const ends = config.eosTokenId as readonly number[];
    const ended = fromData(
      Uint8Array.from({ length: config.vocabSize }, (_, i) => Number(ends.includes(i))),
      [config.vocabSize],
      { dtype: 'bool' },
    );
    const written: number[] = [];
    for (let step = 0; step < 64; step++) {
      const ids = step === 0 ? inputIds!.narrow(0, 0, 1) : fromData(Int32Array.of(written.at(-1)!), [1, 1]);
      const next = noGrad(() =>
        scope(() => {
          const { logits: last } = model.forward(ids, { cache, lastLogits: 1 });
          return Number(ended.where(-Infinity, last).argMax(-1).itemSync());
        }),
      );
      written.push(next);
    }
    expect(written).toEqual(greedy[0]!.slice(-64));
  });
});
