/** Sizes by name: each is a configuration, and the tiny one of each family is a model. */
import { Key } from '@infinigrad/tensor';
import * as zoo from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { families, type ModelClass } from './families.ts';
import { randomIds } from './row.ts';

/** Names of presets, and the class that they are of. */
const all = {
  llamaPresets: 'LlamaForCausalLM',
  bertPresets: 'BertForMaskedLM',
  gpt2Presets: 'GPT2LMHeadModel',
  gptNeoPresets: 'GPTNeoForCausalLM',
  t5Presets: 'T5ForConditionalGeneration',
  glmPresets: 'GlmForCausalLM',
  blankGlmPresets: 'GlmForBlankInfilling',
  gopherPresets: 'GopherForCausalLM',
  transformerXLPresets: 'TransformerXL',
  infiniPresets: 'InfiniTransformer',
  infiniLlamaPresets: 'InfiniLlamaForCausalLM',
} as const;

test('every family has some', () => {
  expect(
    Object.keys(zoo)
      .filter((name) => name.endsWith('Presets'))
      .toSorted(),
  ).toEqual(Object.keys(all).toSorted());
  const types = Object.values(families).map(({ modelClass }) => modelClass.meta.config.modelType);
  const shown = Object.values(all).map((name) => families[name]!.modelClass.meta.config.modelType);
  expect(new Set(shown)).toEqual(new Set(types));
});

describe.each(Object.entries(all))('%s', (name, of) => {
  const presets = (zoo as unknown as Record<string, Readonly<Record<string, object>>>)[name]!;
  const { modelClass, call } = families[of]!;
  const { config: schema } = modelClass.meta;

  test.each(Object.entries(presets))('%s comes back from config.json', (_, options) => {
    const config = schema.make(options);
    expect(schema.fromJson(JSON.parse(JSON.stringify(schema.toJson(config))))).toEqual(config);
  });

  test('a tiny one runs', () => {
    const [, options] = Object.entries(presets).find(([preset]) => preset.includes('tiny'))!;
    const model = new (modelClass as ModelClass)(options as never, new Key(0)).eval();
    expect(model.numParameters()).toBeLessThan(5_000_000);
    expect(
      call(model, randomIds(250, 1, 9))
        .main.dataSync()
        .every(Number.isFinite),
    ).toBe(true);
  });
});
