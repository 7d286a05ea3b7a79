/** GPT-Neo: sizes, windows, initial weights, old files, configurations, errors. */
import { full, Key, tensor, type Tensor } from '@infinigrad/tensor';
import {
  attentionLayers,
  GPTNeoForCausalLM,
  GPTNeoModel,
  gptNeoConfig,
  gptNeoParameterCount,
  gptNeoPresets,
  type GPTNeoOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { idsOf, largestDifference, randomIds } from '../models/runner.ts';

const tiny: GPTNeoOptions = {
  vocabSize: 13,
  maxPositionEmbeddings: 16,
  hiddenSize: 12,
  numLayers: 2,
  numHeads: 3,
  windowSize: 3,
  initializerRange: 0.3,
};
const made = (options: GPTNeoOptions = {}, seed = 0): GPTNeoForCausalLM =>
  new GPTNeoForCausalLM({ ...tiny, ...options }, new Key(seed), { dtype: 'f64' }).eval();

describe('sizes', () => {
  test.each([
    ['gpt-neo-125m', 125_198_592],
    ['gpt-neo-1.3b', 1_315_575_808],
    ['gpt-neo-2.7b', 2_651_307_520],
    ['tinystories-1m', 3_745_984],
    ['tinystories-33m', 68_514_048],
    ['tinystories-2layers-33m', 78_748_672],
  ] as const)('%s has %i parameters', (name, count) => {
    expect(gptNeoParameterCount(gptNeoPresets[name])).toBe(count);
  });

  test.each([{}, { tieWordEmbeddings: false }, { intermediateSize: 5, numLayers: 1 }, { numHeads: 1 }])(
    'they are those of the models: %o',
    (options) => {
      expect(made(options).numParameters()).toBe(gptNeoParameterCount({ ...tiny, ...options }));
    },
  );
});

describe('windows', () => {
  test('lists of types become types of layers', () => {
    expect(attentionLayers([[['global', 'local'], 2]])).toEqual(['global', 'local', 'global', 'local']);
    expect(gptNeoConfig({ numLayers: 3 }).attentionTypes).toEqual([
      [['global', 'local'], 1],
      [['global'], 1],
    ]);
    expect(gptNeoConfig({ numLayers: 1 }).attentionTypes).toEqual([[['global'], 1]]);
  });

  test('two local layers of three tokens see five, and one is unlike none', () => {
    const ids = randomIds(13, 1, 10);
    const changed = idsOf([
      Array.from(ids.dataSync(), (id, i) => (i === 2 ? (Number(id) + 1) % 13 : Number(id))),
    ]);
    const reach = (options: GPTNeoOptions): boolean[] => {
      const model = made(options);
      const [a, b] = [model.forward(ids).logits, model.forward(changed).logits];
      return Array.from(
        { length: 10 },
        (_, t) => largestDifference(a.narrow(1, t, 1), b.narrow(1, t, 1)) > 1e-12,
      );
    };
    const from = (first: number, last: number): boolean[] =>
      Array.from({ length: 10 }, (_, t) => t >= first && t <= last);
    expect(reach({ attentionTypes: [[['local'], 2]] })).toEqual(from(2, 6));
    expect(reach({ attentionTypes: [[['local'], 2]], windowSize: 1 })).toEqual(from(2, 2));
    expect(reach({})).toEqual(from(2, 9));
  });
});

test('initial weights have the deviations of the reference', () => {
  const model = new GPTNeoForCausalLM(
    { ...gptNeoPresets['gpt-neo-tiny'], hiddenSize: 96, tieWordEmbeddings: false },
    new Key(0),
  );
  const deviation = (x: Tensor): number => Number(x.detach().square().mean().sqrt().itemSync());
  for (const { attn, mlp } of model.transformer.h) {
    for (const { weight } of [attn.qProj, attn.kProj, attn.vProj, attn.oProj, mlp.upProj, mlp.downProj])
      expect(deviation(weight) / 0.02).toBeCloseTo(1, 1);
    expect([attn.qProj.bias, attn.kProj.bias, attn.vProj.bias]).toEqual([null, null, null]);
    expect(deviation(attn.oProj.bias!)).toBe(0);
  }
  expect(deviation(model.lmHead!.weight) / 0.02).toBeCloseTo(1, 1);
});

test('old files, with masks and without prefix, are read', () => {
  const model = made();
  const state = model.pretrainedState();
  expect(state['transformer.h.0.mlp.c_fc.weight']!.shape).toEqual([48, 12]);
  const old: Record<string, Tensor> = Object.fromEntries(
    Object.entries(state).map(([key, value]) => [key.replace('transformer.', ''), value]),
  );
  old['h.0.attn.attention.bias'] = full([1, 1, 16, 16], true);
  old['h.0.attn.attention.masked_bias'] = tensor(-1e9);
  const ids = randomIds(13, 2, 6);
  for (const prefix of ['', 'transformer.']) {
    const other = made({}, 1);
    const named = Object.fromEntries(Object.entries(old).map(([key, value]) => [prefix + key, value]));
    expect(other.loadPretrainedState(named).ignored).toHaveLength(2);
    expect(largestDifference(other.forward(ids).logits, model.forward(ids).logits)).toBe(0);
  }
  const base = new GPTNeoModel(tiny, new Key(2), { dtype: 'f64' }).eval();
  base.loadPretrainedState(old);
  const { hiddenStates } = model.forward(ids, { outputHiddenStates: true });
  expect(largestDifference(base.forward(ids).lastHiddenState, hiddenStates!.at(-1)!)).toBe(0);
  const { 'h.0.attn.attention.out_proj.bias': _, ...without } = old;
  expect(() => made().loadPretrainedState(without)).toThrow(/missing .*out_proj\.bias/);
});

describe('errors', () => {
  const { config: schema } = GPTNeoForCausalLM.meta;

  test.each<[GPTNeoOptions, RegExp]>([
    [{ hiddenSize: 10, numHeads: 3 }, /hiddenSize 10 is not a multiple of numHeads 3/],
    [{ numLayers: 3, attentionTypes: [[['global', 'local'], 1]] }, /for 2 layers, numLayers is 3/],
    [{ attentionTypes: [[['near' as 'local'], 24]] }, /attentionTypes must be a list of pairs/],
    [{ attentionTypes: [[['local'], 1e12]] }, /attentionTypes must be a list of pairs/],
    [{ windowSize: 0 }, /windowSize must be an integer/],
    [{ residDropout: -1 }, /residDropout must be a number from 0 to 1/],
  ])('of a configuration: %o', (options, message) => {
    expect(() => gptNeoConfig(options)).toThrow(message);
  });

  test.each<[unknown, RegExp]>([
    [{ model_type: 'gpt2' }, /'gpt2', not 'gpt_neo'/],
    [{ attention_types: 'global' }, /attention_types must be a list of pairs/],
    [{ attention_types: [['global', 12]] }, /attention_types must be a list of pairs/],
    [{ attention_types: [[['global'], 5000]] }, /for 5000 layers, numLayers is 24/],
  ])('of config.json: %o', (json, message) => {
    expect(() => schema.fromJson(json)).toThrow(message);
  });

  test('of a call', () => {
    expect(() => made().forward(randomIds(13, 1, 17))).toThrow(/GPTNeo: 17 tokens, and positions for 16/);
  });
});
