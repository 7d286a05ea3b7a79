/** T5 against transformers: configurations, logits, gradients, decoding. */
import { noGrad } from '@infinigrad/autograd';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import { T5ForConditionalGeneration, t5Schema, type T5Config } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { expectGradients, reference } from '../models/reference.ts';
import { largestDifference } from '../models/runner.ts';

function loaded(config: T5Config, weights: Readonly<Record<string, Tensor>>, dtype: 'f32' | 'f64') {
  const model = new T5ForConditionalGeneration(config, new Key(0), { dtype }).eval();
  const { missing, unexpected } = model.loadPretrainedState(weights);
  expect([missing, unexpected]).toEqual([[], []]);
  return model;
}

describe.each(['relu', 'gated', 'odd', 'long'])('%s', (name) => {
  const { config: json, weights, gradients, inputs, logits, probe, greedy } = reference('t5', name);
  const config = t5Schema.fromJson(json);
  const { inputIds, attentionMask, decoderInputIds, labels } = inputs as Record<string, Tensor>;
  const call = { attentionMask: attentionMask!, decoderInputIds: decoderInputIds! };

  test('config.json is read and written as it was', () => {
    const written = t5Schema.toJson(config);
    const ofTheFile = new Set(['architectures', 'dtype', 'transformers_version']);
    const wanted: Record<string, unknown> = Object.fromEntries(
      Object.entries(json).filter(([key]) => !ofTheFile.has(key)),
    );
    // transformers 5 says of every T5 that it is tied; other versions need the truth.
    if (name === 'gated') wanted['tie_word_embeddings'] = false;
    expect(written).toEqual(wanted);
    expect(t5Schema.fromJson(written)).toEqual(config);
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
    expect(largestDifference(made.detach().cast('f64'), logits)).toBeLessThan(near);
    expectGradients(model, made.mul(probe.cast(dtype)).sum(), gradients, gradientNear);
  });

  test('labels are shifted to what the decoder reads', () => {
    const model = loaded(config, weights, 'f32');
    expect(model.shiftRight(labels!).toArraySync()).toEqual(decoderInputIds!.toArraySync());
  });

  test('the likeliest 64 tokens, with a cache', () => {
    const model = loaded(config, weights, 'f64');
    const cache = model.newCache();
    const { vocabSize, eosTokenId, decoderStartTokenId } = config;
    const batch = inputIds!.shape[0]!;
    const ended = fromData(
      Uint8Array.from({ length: vocabSize }, (_, i) => Number(i === eosTokenId)),
      [vocabSize],
      { dtype: 'bool' },
    );
    const written = Array.from({ length: batch }, () => [decoderStartTokenId!]);
    for (let step = 0; step < 64; step++) {
      const next = noGrad(() =>
        scope(() => {
          const ids = fromData(Int32Array.from(written.map((row) => row.at(-1)!)), [batch, 1]);
          const { logits: last } = model.forward(step === 0 ? inputIds! : null, {
            decoderInputIds: ids,
            cache,
            ...(step === 0 && { attentionMask: attentionMask! }),
          });
          return Array.from(ended.where(-Infinity, last).argMax(-1).dataSync(), Number);
        }),
      );
      written.forEach((row, i) => row.push(next[i]!));
    }
    expect(written).toEqual(greedy);
  });
});
