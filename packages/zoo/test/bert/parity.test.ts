/** BERT with each of its heads against transformers (scripts/fixtures/zoo/bert.py). */
import { readFileSync } from 'node:fs';
import { noGrad } from '@infinigrad/autograd';
import { concat, Key, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  BertForNextSentencePrediction,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  BertModel,
  type BertCall,
  type BertConfig,
  type BertInside,
  type PretrainedModel,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { expectInside, inside, ofTheFile, withoutKeys } from '../models/decoder-parity.ts';
import { expectGradients, reference } from '../models/reference.ts';
import { largestDifference } from '../models/runner.ts';

const classes = {
  base: BertModel,
  pretraining: BertForPreTraining,
  masked: BertForMaskedLM,
  next: BertForNextSentencePrediction,
  sequence: BertForSequenceClassification,
  token: BertForTokenClassification,
  question: BertForQuestionAnswering,
} as const;

type Model = PretrainedModel<BertConfig> & { forward(inputIds: Tensor, call?: BertCall): BertInside };

const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase());

/** A key moves all scores of a query alike by its bias. */
const keyBias = /\.self\.key\.bias$/;

describe.each(Object.keys(classes) as (keyof typeof classes)[])('bert %s', (name) => {
  const { config: json, weights, gradients, inputs, logits, probe } = reference('bert', name);
  const url = new URL(`../fixtures/bert/${name}/case.json`, import.meta.url);
  const { outputs } = JSON.parse(readFileSync(url, 'utf8')) as { readonly outputs: readonly string[] };
  const Class = classes[name];
  const schema = Class.meta.config;
  const config = schema.fromJson(json);
  const { inputIds, ...call } = inputs as unknown as { readonly inputIds: Tensor } & BertCall;
  const loaded = (dtype: 'f32' | 'f64'): Model => {
    const model = new Class(config, new Key(0), { dtype }).eval() as unknown as Model;
    const { missing, unexpected } = model.loadPretrainedState(weights);
    expect([missing, unexpected]).toEqual([[], []]);
    return model;
  };

  test('config.json is read and written as it was', () => {
    const written = schema.toJson(config);
    expect(written).toEqual(withoutKeys(json, ofTheFile));
    expect(schema.fromJson(written)).toEqual(config);
    expect([Class.meta.architecture]).toEqual(json['architectures']);
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
  ] as const)('outputs and gradients in %s', (dtype, near, gradientNear) => {
    const model = loaded(dtype);
    const output = model.forward(inputIds, call) as Readonly<Record<string, Tensor>>;
    const made = concat(
      outputs.map((of) => output[camel(of)]!.flatten()),
      0,
    );
    expect(largestDifference(made.detach().cast('f64'), logits)).toBeLessThan(near);
    expectGradients(model, made.mul(probe.cast(dtype)).sum(), gradients, gradientNear, keyBias);
  });

  test('hidden states and attention weights', () => {
    const options = { outputHiddenStates: true, outputAttentions: true };
    const made = noGrad(() => loaded('f64').forward(inputIds.narrow(0, 0, 1), options));
    expectInside(made, inside('bert', name));
  });
});
