/** GLM: sizes, padding, outputs, checkpointing, the base alone, configurations, errors. */
import { Key, ones } from '@infinigrad/tensor';
import {
  GlmForCausalLM,
  GlmModel,
  glmConfig,
  glmParameterCount,
  glmPresets,
  glmSchema,
  type GlmOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { idsOf, largestDifference, randomIds } from '../models/runner.ts';

const tiny: GlmOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  headDim: 8,
  initializerRange: 0.3,
  padTokenId: 4,
};
const made = (options: GlmOptions = {}, seed = 0): GlmForCausalLM =>
  new GlmForCausalLM({ ...tiny, ...options }, new Key(seed), { dtype: 'f64' });

describe('sizes', () => {
  test('parameters are counted as they are', () => {
    for (const options of [{}, { tieWordEmbeddings: true, attentionBias: false }])
      expect(glmParameterCount({ ...tiny, ...options })).toBe(made(options).numParameters());
  });

  test('GLM-4-9B has 9.4 billion', () => {
    expect(glmParameterCount(glmPresets['glm-4-9b']) / 1e9).toBeCloseTo(9.4, 2);
    for (const options of Object.values(glmPresets)) expect(glmConfig(options).vocabSize).toBeGreaterThan(0);
  });
});

test('the vector of padding starts as zeros, and learns through a tied head alone', () => {
  const ids = idsOf([[4, 1, 2, 4, 3]]);
  for (const tieWordEmbeddings of [false, true]) {
    const model = made({ tieWordEmbeddings });
    const { weight } = model.model.embedTokens;
    expect(Number(weight.detach().narrow(0, 4, 1).abs().max().itemSync())).toBe(0);
    model.forward(ids).logits.sum().backward();
    const size = Number(weight.grad!.narrow(0, 4, 1).abs().max().itemSync());
    if (tieWordEmbeddings) expect(size).toBeGreaterThan(0);
    else expect(size).toBe(0);
  }
});

test('hidden states and weights of attention are given where asked for', () => {
  const model = made();
  const ids = randomIds(13, 2, 5);
  const output = model.forward(ids, { outputHiddenStates: true, outputAttentions: true });
  expect(largestDifference(output.logits, model.forward(ids).logits)).toBeLessThan(1e-12);
  expect(output.hiddenStates!.map(({ shape }) => shape)).toEqual(Array.from({ length: 3 }, () => [2, 5, 12]));
  expect(output.attentions!.map(({ shape }) => shape)).toEqual(Array.from({ length: 2 }, () => [2, 3, 5, 5]));
  const { lastHiddenState } = model.model.forward(ids);
  expect(largestDifference(output.hiddenStates!.at(-1)!, lastHiddenState)).toBeLessThan(1e-12);
});

test('gradients are the same with checkpointing', () => {
  const [plain, saving] = [made().train(), made().train()];
  saving.gradientCheckpointing = true;
  const ids = randomIds(13, 2, 5);
  for (const model of [plain, saving]) model.forward(ids).logits.square().sum().backward();
  const others = saving.namedParameters();
  for (const [name, { grad }] of plain.namedParameters())
    expect(largestDifference(grad!, others.get(name)!.grad!), name).toBeLessThan(1e-10);
});

test('the base loads the file of the whole, and the whole one without the prefix', () => {
  const model = made();
  const base = new GlmModel(tiny, new Key(7), { dtype: 'f64' });
  expect(base.loadPretrainedState(model.pretrainedState()).ignored).toEqual(['lm_head.weight']);
  const ids = randomIds(13, 2, 5);
  expect(largestDifference(base.forward(ids).lastHiddenState, model.model.forward(ids).lastHiddenState)).toBe(
    0,
  );
  const other = made({}, 3);
  const bare = Object.fromEntries(
    Object.entries(model.pretrainedState()).map(([key, value]) => [key.replace(/^model\./, ''), value]),
  );
  other.loadPretrainedState(bare);
  expect(largestDifference(other.forward(ids).logits, model.forward(ids).logits)).toBe(0);
});

describe('configurations', () => {
  test('a head of null is its share of the width; unknown keys are kept', () => {
    const json = { hidden_size: 64, num_attention_heads: 4, head_dim: null, use_cache: true };
    expect(glmSchema.fromJson(json).headDim).toBe(16);
    expect(glmSchema.toJson(glmSchema.fromJson(json))['use_cache']).toBe(true);
  });

  test.each<[GlmOptions & Record<string, unknown>, string]>([
    [{ numAttentionHeads: 3, numKeyValueHeads: 2 }, 'GlmConfig: numAttentionHeads 3 is not a multiple'],
    [{ headDim: 6, partialRotaryFactor: 0.5 }, 'must be an even number ≥ 2, got 3'],
    [{ partialRotaryFactor: 0 }, 'must be an even number ≥ 2, got 0'],
    [{ partialRotaryFactor: 2 }, 'GlmConfig: partialRotaryFactor must be a number from 0 to 1, got 2'],
    [{ padTokenId: 13 }, 'GlmConfig: padTokenId 13 is no token of 13'],
    [{ hiddenAct: 'nothing' as 'silu' }, 'GlmConfig: hiddenAct must be one of'],
    [{ width: 3 }, 'GlmConfig: there is no width'],
  ])('%j is refused', (options, message) => {
    expect(() => glmConfig({ ...tiny, ...options })).toThrow(message);
  });
});

describe('errors', () => {
  const model = made();
  const ids = randomIds(13, 2, 3);
  test.each<[string, () => unknown, string]>([
    [
      'a row without a batch',
      () => model.forward(ids.narrow(0, 0, 1).squeeze(0)),
      'GlmModel: tokens must be [batch, length]',
    ],
    ['ids that are no tokens', () => model.forward(idsOf([[13]])), '13'],
    [
      'a mask of numbers',
      () => model.forward(ids, { attentionMask: ones([2, 3]) }),
      'GlmModel: the attention mask must be',
    ],
    ['too many logits', () => model.forward(ids, { lastLogits: 4 }), 'GlmModel: lastLogits must be'],
    [
      'a cache of another model',
      () => model.forward(ids, { cache: made({ numHiddenLayers: 1 }).newCache() }),
      'GlmModel: the cache is for 1 layers, not 2',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
