/** What `generate` makes of T5 and GLM is what transformers' makes. */
import { Key } from '@infinigrad/tensor';
import { generate, GlmForCausalLM, glmSchema, T5ForConditionalGeneration, t5Schema } from '@infinigrad/zoo';
import { expect, test } from 'vitest';
import { reference } from '../models/reference.ts';

const length = { maxNewTokens: 64, minNewTokens: 64 };

test.each(['relu', 'gated', 'odd', 'long'])('T5: %s', async (name) => {
  const { config, weights, inputs, greedy } = reference('t5', name);
  const model = new T5ForConditionalGeneration(t5Schema.fromJson(config), new Key(0), {
    dtype: 'f64',
  }).eval();
  model.loadPretrainedState(weights);
  const rows = inputs['inputIds']!.toArraySync() as number[][];
  // The second text is shorter by three.
  const { sequences } = await generate(model, [rows[0]!, rows[1]!.slice(0, -3)], length);
  expect(sequences).toEqual(greedy);
});

test.each(['half', 'edge', 'odd', 'linear'])('GLM: %s', async (name) => {
  const { config, weights, inputs, greedy } = reference('glm', name);
  const model = new GlmForCausalLM(glmSchema.fromJson(config), new Key(0), { dtype: 'f64' }).eval();
  model.loadPretrainedState(weights);
  const [row] = inputs['inputIds']!.toArraySync() as number[][];
  const { sequences } = await generate(model, [row!], length);
  expect(sequences).toEqual(greedy);
});
