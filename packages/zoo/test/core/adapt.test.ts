/** Adapters of low rank, and vocabularies of other sizes. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { fromData, Key, tensor, zeros, type Tensor } from '@infinigrad/tensor';
import {
  addLora,
  GPT2LMHeadModel,
  LlamaForCausalLM,
  loadLoraState,
  LoraLinear,
  loraState,
  mergeLora,
  removeLora,
  resizeVocabulary,
  type LlamaOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';

const tiny: LlamaOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  initializerRange: 0.3,
  attentionBias: true,
};
const make = (options: LlamaOptions = {}): LlamaForCausalLM =>
  new LlamaForCausalLM({ ...tiny, ...options }, new Key(1), { dtype: 'f64' });
const ids = randomIds(13, 2, 8);
const logits = (model: LlamaForCausalLM, x = ids): Tensor => model.forward(x).logits;
const values = (state: Readonly<Record<string, Tensor>>): Record<string, number[]> =>
  Object.fromEntries(Object.entries(state).map(([name, x]) => [name, Array.from(x.dataSync(), Number)]));

function train(model: LlamaForCausalLM, steps = 30): number[] {
  const optimizer = new AdamW(
    model.parameters().filter((p) => p.requiresGrad),
    { learningRate: 0.02, weightDecay: 0 },
  );
  return Array.from({ length: steps }, () =>
    optimizer.minimize(() => crossEntropy(logits(model), ids)).itemSync(),
  );
}

describe('adapters', () => {
  const options = { rank: 2, alpha: 6, key: new Key(4) };

  test('change nothing until they are trained, and train alone', () => {
    const model = make();
    const before = logits(model);
    const own = values(model.stateDict());
    const names = addLora(model, options);
    expect(names).toEqual(
      [0, 1].flatMap((i) => [`model.layers.${i}.selfAttn.qProj`, `model.layers.${i}.selfAttn.vProj`]),
    );
    expect(largestDifference(logits(model), before)).toBe(0);
    expect(model.numParameters({ trainable: true })).toBe(2 * (2 * (12 + 12) + 2 * (12 + 4)));
    const losses = train(model);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
    const after = values(model.stateDict());
    for (const [name, x] of Object.entries(own)) expect(after[name], name).toEqual(x);
    expect(Object.keys(after).length).toBe(Object.keys(own).length + 8);
  });

  test('are W + (alpha / rank) B A, and merged are the same model with the names of before', () => {
    const model = make();
    const names = [...model.namedParameters().keys()];
    addLora(model, { ...options, targets: /Proj$/ });
    train(model, 5);
    const layer = model.model.layers[1]!.selfAttn.kProj as LoraLinear;
    const [w, a, b] = [layer.weight, layer.loraA, layer.loraB].map((x) => x.dataSync());
    const written = Array.from(w!, (x, at) => {
      const [row, column] = [Math.floor(at / 12), at % 12];
      let sum = 0;
      for (let r = 0; r < 2; r++) sum += b![row * 2 + r]! * a![r * 12 + column]!;
      return x + 3 * sum;
    });
    const apart = logits(model);
    expect(mergeLora(model).length).toBe(14);
    expect(largestDifference(logits(model), apart)).toBeLessThan(1e-12);
    const merged = model.model.layers[1]!.selfAttn.kProj;
    expect(merged).not.toBeInstanceOf(LoraLinear);
    expect(
      largestDifference(merged.weight, fromData(Float64Array.from(written), [4, 12], { dtype: 'f64' })),
    ).toBeLessThan(1e-14);
    expect([...model.namedParameters().keys()]).toEqual(names);
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
    expect(Object.keys(model.pretrainedState())).toEqual(Object.keys(make().pretrainedState()));
  });

  test('are saved apart, and put beside the same model elsewhere', () => {
    const [model, other] = [make(), make()];
    addLora(model, options);
    train(model, 5);
    addLora(other, { ...options, key: new Key(9) });
    expect(largestDifference(logits(other), logits(model))).toBeGreaterThan(1e-3);
    const state = loraState(model);
    expect(Object.keys(state).length).toBe(8);
    loadLoraState(other, state);
    expect(largestDifference(logits(other), logits(model))).toBe(0);
    removeLora(other);
    expect(largestDifference(logits(other), logits(make()))).toBe(0);
  });

  test('that make no sense are refused, and nothing is changed', () => {
    const model = make();
    const refuse = (given: object, says: RegExp): void =>
      expect(() => addLora(model, { ...options, ...given })).toThrow(says);
    refuse({ rank: 0 }, /rank must be an integer ≥ 1, got 0/);
    refuse({ alpha: NaN }, /alpha must be a number, got NaN/);
    refuse({ targets: ['nothing'] }, /name no linear layer.*there is model\.layers\.0\.selfAttn\.qProj/);
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
    for (const f of [loraState, mergeLora, removeLora]) expect(() => f(model)).toThrow(/has no adapters/);
    addLora(model, options);
    refuse({}, /has adapters already/);
    const state = loraState(model);
    const name = 'model.layers.0.selfAttn.qProj.loraA';
    const { [name]: _left, ...rest } = state;
    expect(() => loadLoraState(model, rest)).toThrow(new RegExp(`missing ${name}`));
    expect(() => loadLoraState(model, { ...state, more: zeros([1]) })).toThrow(/unexpected more/);
    expect(() => loadLoraState(model, { ...state, [name]: zeros([3, 12]) })).toThrow(
      /loraA is \[3, 12\] f32, not \[2, 12\]/,
    );
  });
});

describe('a vocabulary of another size', () => {
  test.each([true, false])('keeps what is known of the tokens that stay (tied: %s)', (tieWordEmbeddings) => {
    const model = make({ tieWordEmbeddings }).eval();
    for (const size of [17, 13, 9]) {
      const resized = resizeVocabulary(model, size, new Key(3));
      expect(resized).toBeInstanceOf(LlamaForCausalLM);
      expect([resized.config.vocabSize, resized.training]).toEqual([size, false]);
      const text = randomIds(9, 2, 8);
      const common = Math.min(size, 13);
      expect(logits(resized, text).shape).toEqual([2, 8, size]);
      expect(
        largestDifference(
          logits(resized, text).narrow(2, 0, common),
          logits(model, text).narrow(2, 0, common),
        ),
      ).toBeLessThan(1e-13);
      expect(resized.lmHead === null).toBe(tieWordEmbeddings);
      expect(resized.model.embedTokens.weight.shape).toEqual([size, 12]);
    }
    expect(model.config.vocabSize).toBe(13);
  });

  test('starts new tokens beside the mean of the old ones', () => {
    const model = make({ initializerRange: 0.001 });
    model.model.embedTokens.weight.assign(new Key(8).normal([13, 12], { mean: 5, dtype: 'f64' }));
    const { weight } = resizeVocabulary(model, 400, new Key(3)).model.embedTokens;
    const mean = model.model.embedTokens.weight.detach().mean(0, true);
    expect(weight.detach().narrow(0, 13, 387).sub(mean).abs().max().itemSync()).toBeLessThan(0.01);
    const other = resizeVocabulary(model, 400, new Key(4)).model.embedTokens.weight;
    expect(largestDifference(weight, other)).toBeGreaterThan(1e-6);
  });

  test('is one of every family', () => {
    const model = new GPT2LMHeadModel(
      { vocabSize: 11, nPositions: 8, nEmbd: 8, nLayer: 1, nHead: 2 },
      new Key(0),
    ).eval();
    const text = tensor([[1, 2, 10]], { dtype: 'i32' });
    const resized = resizeVocabulary(model, 20, new Key(1));
    expect(
      largestDifference(resized.forward(text).logits.narrow(2, 0, 11), model.forward(text).logits),
    ).toBeLessThan(1e-6);
  });

  test('that is none is refused', () => {
    for (const size of [0, 2.5])
      expect(() => resizeVocabulary(make(), size, new Key(0))).toThrow(/vocabSize must be an integer ≥ 1/);
  });
});
