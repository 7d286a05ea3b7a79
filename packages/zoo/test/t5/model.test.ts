/** T5: sizes, initial weights, caches of both texts, outputs, configurations, errors. */
import { Dropout } from '@infinigrad/nn';
import { fromData, full, Key, ones, type Tensor } from '@infinigrad/tensor';
import {
  configText,
  T5EncoderModel,
  T5ForConditionalGeneration,
  t5Config,
  t5Presets,
  t5Schema,
  type T5Options,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { BlankKey } from '../../src/core/blank-key.ts';
import { idsOf, largestDifference, randomIds } from '../models/runner.ts';

const tiny: T5Options = {
  vocabSize: 13,
  dModel: 12,
  dKv: 4,
  dFf: 20,
  numLayers: 2,
  numHeads: 3,
  dropoutRate: 0,
};
const made = (options: T5Options = {}, seed = 0): T5ForConditionalGeneration =>
  new T5ForConditionalGeneration({ ...tiny, ...options }, new Key(seed), { dtype: 'f64' }).eval();

describe('sizes', () => {
  test.each([
    ['t5-small', 60_506_624],
    ['t5-v1_1-small', 76_961_152],
    ['t5-efficient-tiny', 15_570_688],
  ] as const)('%s has %i parameters', (name, count) => {
    const model = new T5ForConditionalGeneration(t5Presets[name], new BlankKey(), { dtype: 'bf16' });
    expect(model.numParameters()).toBe(count);
  });

  test('a tied head counts once, and every preset is a configuration', () => {
    const [tied, untied] = [made(), made({ tieWordEmbeddings: false })];
    expect(untied.numParameters() - tied.numParameters()).toBe(13 * 12);
    expect(tied.numParameters() - tied.numParameters({ embeddings: false })).toBe(13 * 12);
    for (const options of Object.values(t5Presets)) expect(t5Config(options).numHeads).toBeGreaterThan(0);
  });
});

test('initial weights have the deviations of the reference', () => {
  const [d, dKv, dFf, heads, factor] = [96, 32, 160, 4, 0.5];
  const model = new T5ForConditionalGeneration(
    {
      vocabSize: 200,
      dModel: d,
      dKv,
      dFf,
      numLayers: 1,
      numHeads: heads,
      feedForwardProj: 'gated-gelu',
      tieWordEmbeddings: false,
      initializerFactor: factor,
    },
    new Key(0),
  );
  const deviation = (x: Tensor): number => Number(x.detach().square().mean().sqrt().itemSync());
  const [block] = model.decoder.blocks;
  for (const [weight, std] of [
    [model.shared.weight, 1],
    [model.lmHead!.weight, 1],
    [block!.selfAttention.qProj.weight, (d * dKv) ** -0.5],
    [block!.crossAttention!.qProj.weight, (d * dKv) ** -0.5],
    [block!.selfAttention.kProj.weight, d ** -0.5],
    [block!.selfAttention.vProj.weight, d ** -0.5],
    [block!.selfAttention.oProj.weight, (heads * dKv) ** -0.5],
    [block!.feedForward.wi0!.weight, d ** -0.5],
    [block!.feedForward.wo.weight, dFf ** -0.5],
  ] as const)
    expect(deviation(weight) / (factor * std)).toBeCloseTo(1, 1);
  expect(deviation(block!.selfNorm.weight)).toBeCloseTo(factor, 6);
  // 128 numbers only
  expect(deviation(model.decoder.relativeAttentionBias.weight) / (factor * d ** -0.5)).toBeCloseTo(1, 0);
});

describe('reading two texts', () => {
  const model = made();
  const source = randomIds(13, 2, 6, 1);
  const mask = idsOf([
    [1, 1, 1, 1, 1, 1],
    [0, 0, 1, 1, 1, 1],
  ]);
  const target = randomIds(13, 2, 5, 2);
  const whole = model.forward(source, { attentionMask: mask, decoderInputIds: target }).logits;

  test('padding of the encoded text, on either side, changes nothing', () => {
    const alone = model.forward(source.narrow(0, 1, 1).narrow(1, 2, 4), {
      decoderInputIds: target.narrow(0, 1, 1),
    });
    expect(largestDifference(whole.narrow(0, 1, 1), alone.logits)).toBeLessThan(1e-10);
  });

  test('labels are shifted to the right, those that are ignored as padding', () => {
    const labels = idsOf([
      [4, -100, 9, -100],
      [-100, 2, 1, 7],
    ]);
    expect(made({ padTokenId: 5, decoderStartTokenId: 3 }).shiftRight(labels).toArraySync()).toEqual([
      [3, 4, 5, 9],
      [3, 5, 2, 1],
    ]);
  });

  test('an output of the encoder serves as well as its input', () => {
    const encoderOutput = model.encode(source, { attentionMask: mask });
    const { logits } = model.forward(null, { encoderOutput, attentionMask: mask, decoderInputIds: target });
    expect(largestDifference(logits, whole)).toBe(0);
  });

  test('a cache keeps the encoded text and its padding, through clones and reordering', () => {
    const cache = model.newCache();
    const first = model.forward(source, {
      attentionMask: mask,
      decoderInputIds: target.narrow(1, 0, 2),
      cache,
    });
    expect(largestDifference(first.logits, whole.narrow(1, 0, 2))).toBeLessThan(1e-10);
    expect(cache.encoded).toBe(true);
    const turned = cache.clone();
    turned.reorder([1, 1, 0]);
    const next = target.narrow(1, 2, 3);
    const rest = model.forward(null, { decoderInputIds: next, cache });
    expect(largestDifference(rest.logits, whole.narrow(1, 2, 3))).toBeLessThan(1e-10);
    expect(rest.encoderLastHiddenState).toBeNull();
    const pick = (x: Tensor): Tensor => x.indexSelect(0, fromData(Int32Array.of(1, 1, 0), [3]));
    const other = model.forward(null, { decoderInputIds: pick(next), cache: turned });
    expect(largestDifference(other.logits, pick(whole.narrow(1, 2, 3)))).toBeLessThan(1e-10);
    cache.truncate(2);
    const again = model.forward(null, { decoderInputIds: next, cache });
    expect(largestDifference(again.logits, rest.logits)).toBeLessThan(1e-10);
    cache.reset();
    expect([cache.encoded, cache.length]).toEqual([false, 0]);
  });

  test('hidden states and weights of attention are given where asked for', () => {
    const output = model.forward(source, {
      attentionMask: mask,
      decoderInputIds: target,
      outputHiddenStates: true,
      outputAttentions: true,
    });
    expect(largestDifference(output.logits, whole)).toBeLessThan(1e-10);
    expect(output.encoderHiddenStates!.map(({ shape }) => shape)).toEqual(
      Array.from({ length: 3 }, () => [2, 6, 12]),
    );
    expect(output.decoderHiddenStates!.map(({ shape }) => shape)).toEqual(
      Array.from({ length: 3 }, () => [2, 5, 12]),
    );
    expect(output.encoderAttentions!.map(({ shape }) => shape)).toEqual(
      Array.from({ length: 2 }, () => [2, 3, 6, 6]),
    );
    expect(output.decoderAttentions!.map(({ shape }) => shape)).toEqual(
      Array.from({ length: 2 }, () => [2, 3, 5, 5]),
    );
    expect(output.crossAttentions!.map(({ shape }) => shape)).toEqual(
      Array.from({ length: 2 }, () => [2, 3, 5, 6]),
    );
    const seen = output.crossAttentions![0]!.narrow(0, 1, 1).narrow(-1, 0, 2);
    expect(largestDifference(seen, full(seen.shape, 0, { dtype: 'f64' }))).toBe(0);
    expect(largestDifference(output.encoderHiddenStates!.at(-1)!, output.encoderLastHiddenState!)).toBe(0);
    expect(largestDifference(output.encoderHiddenStates![0]!, model.shared.forward(source))).toBe(0);
  });

  test('the encoder alone loads the file of the whole', () => {
    const alone = new T5EncoderModel(tiny, new Key(5), { dtype: 'f64' }).eval();
    const { ignored } = alone.loadPretrainedState(model.pretrainedState());
    expect(ignored.length).toBeGreaterThan(0);
    expect(
      largestDifference(alone.forward(source).lastHiddenState, model.encode(source).lastHiddenState),
    ).toBe(0);
  });

  test('dropout stands in all its places', () => {
    const dropping = made({ dropoutRate: 0.5 });
    const count = dropping.modules().filter((m) => m instanceof Dropout).length;
    // Of each stack one for both ends, and of each block one for its parts and one in its feed-forward layer.
    expect(count).toBe(2 + 4 * 2);
    expect(() => dropping.train().encode(source)).toThrow('needs a key in training');
  });
});

test('gradients are the same with checkpointing', () => {
  const [plain, saving] = [made({ dropoutRate: 0.3 }).train(), made({ dropoutRate: 0.3 }).train()];
  saving.gradientCheckpointing = true;
  const [source, target] = [randomIds(13, 2, 5), randomIds(13, 2, 4, 1)];
  for (const model of [plain, saving])
    model
      .forward(source, { decoderInputIds: target, key: new Key(2) })
      .logits.square()
      .sum()
      .backward();
  const others = saving.namedParameters();
  for (const [name, { grad }] of plain.namedParameters())
    expect(
      largestDifference(grad!, others.get(name)!.grad!) / Number(grad!.abs().max().itemSync()),
      name,
    ).toBeLessThan(1e-12);
});

describe('configurations', () => {
  test('what a file says of its feed-forward layer is taken from one key alone', () => {
    const lying = {
      model_type: 't5',
      feed_forward_proj: 'gated-gelu',
      is_gated_act: false,
      dense_act_fn: 'relu',
    };
    expect(t5Schema.toJson(t5Schema.fromJson(lying))).toMatchObject({
      is_gated_act: true,
      dense_act_fn: 'gelu_new',
    });
  });

  test('older and newer files tell v1.1 in their ways', () => {
    const tied = (json: object): readonly boolean[] => {
      const { tieWordEmbeddings, scaleDecoderOutputs } = t5Schema.fromJson(json);
      return [tieWordEmbeddings, scaleDecoderOutputs];
    };
    expect(tied({})).toEqual([true, true]);
    expect(tied({ tie_word_embeddings: false })).toEqual([false, false]);
    expect(tied({ tie_word_embeddings: true, scale_decoder_outputs: false })).toEqual([false, false]);
  });

  test('whole numbers are written with a fraction where there may be one, and only there', () => {
    const json = {
      ...t5Schema.toJson(t5Config({ dropoutRate: 0 })),
      deep: { dropout_rate: 3 },
      text: '"d_ff": 3,',
    };
    const text = configText(json, t5Schema.reals);
    for (const part of [
      '"initializer_factor": 1.0,',
      '"dropout_rate": 0.0,',
      '"d_model": 512,',
      '"dropout_rate": 3\n',
    ])
      expect(text).toContain(part);
    expect(JSON.parse(text)).toEqual(json);
  });

  test('unknown keys are kept', () => {
    const json = { task_specific_params: { summarization: { num_beams: 4 } }, n_positions: 512 };
    expect(t5Schema.toJson(t5Schema.fromJson(json))).toMatchObject(json);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ dModel: 0 }, 'T5: dModel must be an integer ≥ 1, got 0'],
    [{ feedForwardProj: 'gated-nothing' }, "T5: feedForwardProj must be 'gated-' or nothing, and one of"],
    [{ feedForwardProj: 3 }, "T5: feedForwardProj must be 'gated-' or nothing, and a text, got 3"],
    [{ relativeAttentionNumBuckets: 7 }, 'T5: relativeAttentionNumBuckets must be even, got 7'],
    [
      { relativeAttentionMaxDistance: 16 },
      'T5: relativeAttentionMaxDistance must be above half of the 32 buckets',
    ],
    [{ padTokenId: 32128 }, 'T5: padTokenId 32128 is no token of 32128'],
    [{ dropoutRate: 2 }, 'T5: dropoutRate must be a number from 0 to 1, got 2'],
    [{ width: 3 }, 'T5: there is no width'],
  ])('%j is refused', (options, message) => {
    expect(() => t5Config(options as T5Options)).toThrow(message);
  });
});

describe('errors', () => {
  const model = made();
  const ids = randomIds(13, 2, 3);
  const call = { decoderInputIds: ids };
  test.each<[string, () => unknown, string]>([
    [
      'a row without a batch',
      () => model.encode(ids.narrow(0, 0, 1).squeeze(0)),
      'T5: inputIds must be [batch, T]',
    ],
    [
      'no tokens',
      () => model.forward(ids, { decoderInputIds: ids.narrow(1, 0, 0) }),
      'T5: decoderInputIds must be',
    ],
    ['ids that are no integers', () => model.encode(ones([1, 2])), 'Embedding: ids must be integers'],
    ['ids that are no tokens', () => model.encode(idsOf([[13]])), '13'],
    ['nothing to decode from', () => model.forward(null, call), 'T5: there is nothing to decode from'],
    [
      'a mask of another length',
      () => model.encode(ids, { attentionMask: idsOf([[1], [1]]) }),
      'must be [2, 3]',
    ],
    [
      'a mask of numbers',
      () => model.forward(ids, { ...call, decoderAttentionMask: ones([2, 3]) }),
      'T5: the attention mask must be bool or integers',
    ],
    [
      'too many logits',
      () => model.forward(ids, { ...call, lastLogits: 4 }),
      'lastLogits must be an integer from 0 to 3',
    ],
    [
      'a cache of another model',
      () => model.forward(ids, { ...call, cache: made({ numDecoderLayers: 1 }).newCache() }),
      'T5: a cache of 1 layers for 2',
    ],
    [
      'labels without padding',
      () => made({ padTokenId: null, decoderStartTokenId: 0 }).shiftRight(ids),
      'T5: shiftRight needs a start token and a padding token',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
