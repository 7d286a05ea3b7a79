/** BERT: sizes, initial weights, segments, padding, files old and new, labels, checkpointing. */
import { crossEntropy } from '@infinigrad/nn';
import { arange, full, Key, ones, tensor, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  BertModel,
  bertConfig,
  bertParameterCount,
  bertPresets,
  PretrainedError,
  type BertOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';
import { tiny } from './support.ts';

const f64 = { dtype: 'f64' } as const;
const made = (options: BertOptions = {}, seed = 0): BertForPreTraining =>
  new BertForPreTraining({ ...tiny, ...options }, new Key(seed), f64).eval();
const i32 = (shape: readonly number[], value = 0): Tensor => full(shape, value, { dtype: 'i32' });

describe('sizes', () => {
  test.each([
    ['bert-base-uncased', 109_482_240, 110_106_428],
    ['bert-base-cased', 108_310_272, 108_932_934],
    ['bert-large-uncased', 335_141_888, 336_226_108],
    ['bert-tiny', 4_385_920, 4_433_468],
  ] as const)('%s has %i parameters, with the heads of pre-training %i', (name, base, whole) => {
    expect(bertParameterCount(bertPresets[name])).toBe(base);
    expect(bertParameterCount(bertPresets[name], { heads: true })).toBe(whole);
  });

  test.each([{}, { tieWordEmbeddings: false }, { numHiddenLayers: 1, intermediateSize: 5 }])(
    'they are those of the models: %o',
    (options) => {
      const model = made(options);
      expect(model.numParameters()).toBe(bertParameterCount({ ...tiny, ...options }, { heads: true }));
      expect(model.bert.numParameters()).toBe(bertParameterCount({ ...tiny, ...options }));
    },
  );
});

test('initial weights have the deviations of the reference', () => {
  const model = new BertForPreTraining(
    { ...tiny, vocabSize: 200, hiddenSize: 96, intermediateSize: 100, initializerRange: 0.02 },
    new Key(0),
  );
  const deviation = (x: Tensor): number => Number(x.detach().square().mean().sqrt().itemSync());
  const { embeddings, layers, pooler } = model.bert;
  const [{ attention, mlp, mlpNorm }] = layers as [(typeof layers)[number]];
  for (const { weight, bias } of [
    attention.qProj,
    attention.kProj,
    attention.vProj,
    attention.oProj,
    mlp.upProj,
    mlp.downProj,
    pooler!,
    model.predictions.transform,
  ]) {
    expect(deviation(weight) / 0.02).toBeCloseTo(1, 1);
    expect(deviation(bias!)).toBe(0);
  }
  expect(deviation(embeddings.wordEmbeddings.weight.narrow(0, 1, 199)) / 0.02).toBeCloseTo(1, 1);
  expect(deviation(embeddings.wordEmbeddings.weight.narrow(0, 0, 1))).toBe(0);
  expect(deviation(model.predictions.bias)).toBe(0);
  expect(deviation(mlpNorm.weight)).toBe(1);
});

describe('segments and padding', () => {
  const ids = randomIds(13, 2, 6);

  test('without token types they are all 0', () => {
    const model = made();
    const logits = (tokenTypeIds?: Tensor): Tensor => model.forward(ids, { tokenTypeIds }).predictionLogits;
    expect(largestDifference(logits(), logits(i32([2, 6])))).toBeLessThan(1e-12);
    expect(largestDifference(logits(), logits(i32([2, 6], 2)))).toBeGreaterThan(1e-6);
  });

  test('positions of one row serve all', () => {
    const model = made();
    const positionIds = arange(0, 6, 1, { dtype: 'i32' });
    const logits = model.forward(ids, { positionIds }).predictionLogits;
    expect(largestDifference(logits, model.forward(ids).predictionLogits)).toBe(0);
  });

  test('looking up the padding token gives its vector no gradient', () => {
    const model = new BertModel({ ...tiny, padTokenId: 4 }, new Key(0), f64);
    const { wordEmbeddings } = model.embeddings;
    model
      .forward(tensor([[3, 4, 4, 5]]).cast('i32'))
      .poolerOutput!.sum()
      .backward();
    const row = (i: number): number =>
      Number(wordEmbeddings.weight.grad!.narrow(0, i, 1).abs().max().itemSync());
    expect([row(4), row(0)]).toEqual([0, 0]);
    expect(Math.min(row(3), row(5))).toBeGreaterThan(1e-9);
    expect(Number(wordEmbeddings.weight.narrow(0, 4, 1).abs().max().itemSync())).toBe(0);
    const none = new BertModel({ ...tiny, padTokenId: null }, new Key(0), f64);
    expect(none.embeddings.wordEmbeddings.paddingIndex).toBeNull();
  });

  test('the pooler sees the first token alone', () => {
    const { bert } = made();
    const { lastHiddenState, poolerOutput } = bert.forward(ids);
    const first = lastHiddenState.narrow(1, 0, 1).squeeze(1);
    expect(largestDifference(poolerOutput!, bert.pooler!.forward(first).tanh())).toBe(0);
  });
});

describe('files', () => {
  const ids = randomIds(13, 2, 6);
  const whole = made();
  const state = whole.pretrainedState();
  const renamed = (f: (key: string) => string): Record<string, Tensor> =>
    Object.fromEntries(Object.entries(state).map(([key, value]) => [f(key), value]));

  test('old ones, with gamma and beta, positions and all tied tensors, are read', () => {
    const old = renamed((key) =>
      key.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta'),
    );
    expect(Object.keys(old).filter((key) => key.endsWith('gamma'))).toHaveLength(6);
    old['bert.embeddings.position_ids'] = arange(0, 16, 1, { dtype: 'i32' }).unsqueeze(0);
    old['cls.predictions.decoder.weight'] = state['bert.embeddings.word_embeddings.weight']!;
    old['cls.predictions.decoder.bias'] = state['cls.predictions.bias']!;
    const other = made({}, 1);
    const report = other.loadPretrainedState(old);
    expect(report.ignored).toEqual(['bert.embeddings.position_ids']);
    expect(report.tied.map(({ name }) => name).toSorted()).toEqual([
      'cls.predictions.decoder.bias',
      'cls.predictions.decoder.weight',
    ]);
    expect(largestDifference(other.forward(ids).predictionLogits, whole.forward(ids).predictionLogits)).toBe(
      0,
    );
    // What is written has today's names.
    expect(Object.keys(other.pretrainedState()).toSorted()).toEqual(Object.keys(state).toSorted());
  });

  test('gamma and beta are renamed in norms alone', () => {
    const odd = { ...state, 'bert.gamma': ones([12]), 'bert.OtherNorm.gamma': ones([12]) };
    expect(() => made().loadPretrainedState(odd)).toThrow(/unexpected bert\.gamma, bert\.OtherNorm\.gamma/);
  });

  test('of pre-training serve every model, with its prefix or without', () => {
    const bare = renamed((key) => key.replace(/^bert\./, ''));
    const { lastHiddenState, poolerOutput } = whole.bert.forward(ids);
    for (const file of [state, bare]) {
      const base = new BertModel(tiny, new Key(1), f64).eval();
      base.loadPretrainedState(file);
      expect(largestDifference(base.forward(ids).lastHiddenState, lastHiddenState)).toBe(0);
      expect(largestDifference(base.forward(ids).poolerOutput!, poolerOutput!)).toBe(0);
      const masked = new BertForMaskedLM(tiny, new Key(1), f64).eval();
      masked.loadPretrainedState(file);
      expect(largestDifference(masked.forward(ids).logits, whole.forward(ids).predictionLogits)).toBe(0);
    }
  });

  test('without a pooler, or a classifier, are refused by name, and read where that is wanted', () => {
    const masked = new BertForMaskedLM(tiny, new Key(1), f64);
    expect(Object.keys(masked.pretrainedState()).filter((key) => key.includes('pooler'))).toEqual([]);
    const base = new BertModel(tiny, new Key(2), f64);
    expect(() => base.loadPretrainedState(masked.pretrainedState())).toThrow(/missing pooler\.dense\.weight/);
    const classifier = new BertForSequenceClassification(tiny, new Key(2), f64).eval();
    let error: unknown;
    try {
      classifier.loadPretrainedState(state);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PretrainedError);
    expect((error as PretrainedError).report.missing).toEqual(['classifier.weight', 'classifier.bias']);
    const { missing } = classifier.loadPretrainedState(state, { strict: false });
    expect(missing).toEqual(['classifier.weight', 'classifier.bias']);
    const wanted = whole.bert.forward(ids).poolerOutput!;
    expect(largestDifference(classifier.bert.forward(ids).poolerOutput!, wanted)).toBe(0);
  });

  test('the head of an untied model is its own', () => {
    const untied = made({ tieWordEmbeddings: false });
    const { 'cls.predictions.decoder.weight': head, ...without } = untied.pretrainedState();
    expect(head!.shape).toEqual([13, 12]);
    expect(() => made({ tieWordEmbeddings: false }).loadPretrainedState(without)).toThrow(
      /missing cls\.predictions\.decoder\.weight/,
    );
  });
});

describe('labels', () => {
  const { config: schema } = BertModel.meta;

  test('are named or counted, and written unless they are two without names', () => {
    const named = { id2label: { '1': 'bad', '0': 'good', '2': 'so so' }, label2id: {} };
    expect(schema.fromJson(named).labels).toEqual(['good', 'bad', 'so so']);
    expect(schema.fromJson({ num_labels: 3 }).labels).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2']);
    expect(schema.toJson(bertConfig())).not.toHaveProperty('id2label');
    const written = schema.toJson(bertConfig({ labels: ['no', 'yes'] }));
    expect(written).toMatchObject({ id2label: { '0': 'no', '1': 'yes' }, label2id: { no: 0, yes: 1 } });
    expect(schema.fromJson(written).labels).toEqual(['no', 'yes']);
  });

  test('decide the width of classifiers', () => {
    const labels = ['a', 'b', 'c', 'd'];
    const ids = randomIds(13, 2, 6);
    const texts = new BertForSequenceClassification({ ...tiny, labels }, new Key(0)).eval();
    expect(texts.forward(ids).logits.shape).toEqual([2, 4]);
    const tokens = new BertForTokenClassification({ ...tiny, labels }, new Key(0)).eval();
    expect(tokens.forward(ids).logits.shape).toEqual([2, 6, 4]);
    const answers = new BertForQuestionAnswering(tiny, new Key(0)).eval();
    const { startLogits, endLogits } = answers.forward(ids);
    expect([startLogits.shape, endLogits.shape]).toEqual([
      [2, 6],
      [2, 6],
    ]);
  });

  test('classifiers drop by a probability of their own', () => {
    const model = new BertForSequenceClassification({ ...tiny, classifierDropout: 0.5 }, new Key(0)).train();
    const ids = randomIds(13, 2, 6);
    const logits = (seed: number): Tensor => model.forward(ids, { key: new Key(seed) }).logits;
    expect(largestDifference(logits(1), logits(2))).toBeGreaterThan(1e-6);
    expect(() => model.forward(ids)).toThrow(/key in training/);
    model.eval();
    expect(largestDifference(logits(1), logits(2))).toBe(0);
  });
});

test('what attention adds and what the feed-forward layer adds is dropped', () => {
  const ids = randomIds(13, 1, 6);
  const { bert } = made({ hiddenDropoutProb: 0.5, numHiddenLayers: 1 }).train();
  const [{ attention, mlp }] = bert.layers as [(typeof bert.layers)[number]];
  const halves = [attention.oProj, mlp.downProj];
  const drawn = (): boolean => {
    // Its dropout is not what is looked at.
    bert.embeddings.drop.eval();
    const [a, b] = [1, 2].map((seed) => bert.forward(ids, { key: new Key(seed) }).lastHiddenState) as [
      Tensor,
      Tensor,
    ];
    return largestDifference(a, b) > 1e-6;
  };
  const kept = halves.map(({ weight, bias }) => [weight.detach().clone(), bias!.detach().clone()] as const);
  const set = (i: number, on: boolean): void => {
    const { weight, bias } = halves[i]!;
    weight.assign(kept[i]![0].mul(Number(on)));
    bias!.assign(kept[i]![1].mul(Number(on)));
  };
  for (const [first, second] of [
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    set(0, first);
    set(1, second);
    expect(drawn()).toBe(first || second);
  }
});

test('with checkpoints the gradients are the same', () => {
  const ids = randomIds(13, 2, 8);
  const gradients = (saving: boolean): (Tensor | null)[] => {
    const model = made({ hiddenDropoutProb: 0.1, attentionProbsDropoutProb: 0.2 }).train();
    model.gradientCheckpointing = saving;
    expect(model.bert.gradientCheckpointing).toBe(saving);
    crossEntropy(model.forward(ids, { key: new Key(3) }).predictionLogits, ids).backward();
    return model.parameters().map(({ grad }) => grad);
  };
  const [plain, saved] = [gradients(false), gradients(true)];
  plain.forEach((gradient, i) =>
    gradient ? expect(largestDifference(gradient, saved[i]!)).toBe(0) : expect(saved[i]).toBeNull(),
  );
});
