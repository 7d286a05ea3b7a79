/** GPT-2: sizes, initial weights, files old and new, checkpointing, costs, configurations, errors. */
import { crossEntropy, RecurrentCache } from '@infinigrad/nn';
import { full, Key, ones, tensor, type Tensor } from '@infinigrad/tensor';
import {
  GPT2LMHeadModel,
  GPT2Model,
  gpt2Config,
  gpt2ParameterCount,
  gpt2Presets,
  ModelCache,
  type GPT2Options,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';

const tiny: GPT2Options = {
  vocabSize: 13,
  nPositions: 16,
  nEmbd: 12,
  nLayer: 2,
  nHead: 3,
  embdPdrop: 0,
  residPdrop: 0,
  attnPdrop: 0,
  initializerRange: 0.3,
};
const made = (options: GPT2Options = {}, seed = 0): GPT2LMHeadModel =>
  new GPT2LMHeadModel({ ...tiny, ...options }, new Key(seed), { dtype: 'f64' }).eval();

describe('sizes', () => {
  test.each([
    ['gpt2', 124_439_808],
    ['gpt2-medium', 354_823_168],
    ['gpt2-large', 774_030_080],
    ['gpt2-xl', 1_557_611_200],
  ] as const)('%s has %i parameters', (name, count) => {
    expect(gpt2ParameterCount(gpt2Presets[name])).toBe(count);
  });

  test.each([{}, { tieWordEmbeddings: false }, { nInner: 5, nLayer: 1 }, { nEmbd: 6, nHead: 1 }])(
    'they are those of the models: %o',
    (options) => {
      expect(made(options).numParameters()).toBe(gpt2ParameterCount({ ...tiny, ...options }));
    },
  );

  test('what a token costs and what is kept of it', () => {
    const model = made();
    const matrices = 2 * (4 * 12 * 12 + 2 * 12 * 48) + 13 * 12;
    expect(model.flopsPerToken()).toBe(6 * matrices);
    expect(model.memoryFootprint(10)).toBe(2 * 2 * 12 * 10);
    const cache = model.newCache({ maxLength: 10 });
    model.forward(randomIds(13, 1, 10), { cache });
    expect(cache.bytes).toBe(8 * model.memoryFootprint(10));
  });
});

test('initial weights have the deviations of the reference', () => {
  const model = new GPT2LMHeadModel(
    { vocabSize: 300, nPositions: 200, nEmbd: 96, nLayer: 3, nHead: 4 },
    new Key(0),
  );
  const deviation = (x: Tensor): number => Number(x.detach().square().mean().sqrt().itemSync());
  const { wte, wpe, h, lnF } = model.transformer;
  for (const { attn, mlp, ln1 } of h) {
    for (const { weight } of [attn.qProj, attn.kProj, attn.vProj, mlp.upProj])
      expect(deviation(weight) / 0.02).toBeCloseTo(1, 1);
    for (const { weight } of [attn.oProj, mlp.downProj])
      expect((deviation(weight) / 0.02) * Math.sqrt(6)).toBeCloseTo(1, 1);
    for (const { bias } of [attn.qProj, attn.oProj, mlp.upProj, mlp.downProj, ln1])
      expect(deviation(bias!)).toBe(0);
  }
  for (const { weight } of [wte, wpe]) expect(deviation(weight) / 0.02).toBeCloseTo(1, 1);
  expect(Array.from(lnF.weight.dataSync(), Number).every((w) => w === 1)).toBe(true);
});

describe('files', () => {
  const ids = randomIds(13, 2, 7);
  const mask = full([1, 1, 16, 16], true);

  test('of old, without prefix, with masks and with the tied head, are read', () => {
    const model = made();
    const old: Record<string, Tensor> = Object.fromEntries(
      Object.entries(model.pretrainedState()).map(([key, value]) => [key.replace('transformer.', ''), value]),
    );
    for (const i of [0, 1]) {
      old[`h.${i}.attn.bias`] = mask.cast('u8');
      old[`h.${i}.attn.masked_bias`] = tensor(-1e4);
    }
    old['lm_head.weight'] = old['wte.weight']!;
    const other = made({}, 1);
    const report = other.loadPretrainedState(old);
    expect(report.ignored.toSorted()).toEqual(
      [0, 1].flatMap((i) => [`h.${i}.attn.bias`, `h.${i}.attn.masked_bias`]),
    );
    expect(report.tied).toEqual([{ name: 'lm_head.weight', first: 'wte.weight' }]);
    expect(largestDifference(other.forward(ids).logits, model.forward(ids).logits)).toBe(0);
  });

  test('c_attn.bias is a bias and attn.bias is not', () => {
    const { 'transformer.h.0.attn.c_attn.bias': _, ...without } = made().pretrainedState();
    expect(() => made().loadPretrainedState(without)).toThrow(
      /missing transformer\.h\.0\.attn\.c_attn\.bias/,
    );
  });

  test('matrices lie as [in, out], also the square one', () => {
    const model = made();
    const state = model.pretrainedState();
    const [{ attn, mlp }] = model.transformer.h as [(typeof model.transformer.h)[number]];
    const at = 'transformer.h.0';
    expect(state[`${at}.attn.c_attn.weight`]!.shape).toEqual([12, 36]);
    expect(state[`${at}.mlp.c_fc.weight`]!.shape).toEqual([12, 48]);
    expect(largestDifference(state[`${at}.attn.c_proj.weight`]!, attn.oProj.weight.transpose())).toBe(0);
    expect(
      largestDifference(state[`${at}.attn.c_attn.weight`]!.narrow(1, 24, 12), attn.vProj.weight.transpose()),
    ).toBe(0);
    expect(largestDifference(state[`${at}.mlp.c_proj.weight`]!, mlp.downProj.weight.transpose())).toBe(0);
  });

  test('of a language model serve the decoder alone, and the other way round', () => {
    const model = made();
    const base = new GPT2Model(tiny, new Key(1), { dtype: 'f64' }).eval();
    base.loadPretrainedState({ ...model.pretrainedState(), 'lm_head.weight': full([13, 12], 0) });
    const { hiddenStates } = model.forward(ids, { outputHiddenStates: true });
    expect(largestDifference(base.forward(ids).lastHiddenState, hiddenStates!.at(-1)!)).toBe(0);
    const other = made({}, 2);
    other.loadPretrainedState(base.pretrainedState());
    expect(Object.keys(base.pretrainedState())).toContain('h.1.ln_2.weight');
    expect(largestDifference(other.forward(ids).logits, model.forward(ids).logits)).toBe(0);
  });

  test('nothing is loaded where something does not fit', () => {
    const model = made();
    const before = model.forward(ids).logits;
    const state = { ...made({}, 1).pretrainedState(), 'transformer.ln_f.weight': ones([11]) };
    expect(() => model.loadPretrainedState(state)).toThrow(/mismatched transformer\.ln_f\.weight/);
    expect(largestDifference(model.forward(ids).logits, before)).toBe(0);
  });
});

test('with checkpoints the gradients are the same', () => {
  const ids = randomIds(13, 2, 8);
  const options = { embdPdrop: 0.1, residPdrop: 0.2, attnPdrop: 0.3 };
  const gradients = (saving: boolean): Tensor[] => {
    const model = made(options).train();
    model.gradientCheckpointing = saving;
    expect(model.transformer.gradientCheckpointing).toBe(saving);
    crossEntropy(model.forward(ids, { key: new Key(3) }).logits, ids).backward();
    return model.parameters().map(({ grad }) => grad!);
  };
  const [plain, saved] = [gradients(false), gradients(true)];
  plain.forEach((gradient, i) => expect(largestDifference(gradient, saved[i]!)).toBe(0));
});

test('dropout is drawn anew in every place', () => {
  // Nothing but dropout tells the tokens apart.
  const model = made({ embdPdrop: 0.5, residPdrop: 0.5, attnPdrop: 0 }).train();
  const ids = full([1, 6], 3, { dtype: 'i32' });
  const { hiddenStates } = model.forward(ids, {
    key: new Key(0),
    outputHiddenStates: true,
    positionIds: full([6], 0, { dtype: 'i32' }),
  });
  const dropped = hiddenStates![0]!.eq(0);
  const share = Number(dropped.cast('f64').mean().itemSync());
  expect(share).toBeGreaterThan(0.25);
  expect(share).toBeLessThan(0.75);
  expect(largestDifference(dropped.narrow(1, 0, 1).cast('f64'), dropped.narrow(1, 1, 1).cast('f64'))).toBe(1);
});

test('what attention adds and what the feed-forward layer adds is dropped, each by a draw of its own', () => {
  const ids = randomIds(13, 1, 6);
  const model = made({ residPdrop: 0.5, nLayer: 1 }).train();
  const [{ attn, mlp }] = model.transformer.h as [(typeof model.transformer.h)[number]];
  const added = (seed: number): Tensor => {
    const { hiddenStates } = model.forward(ids, { key: new Key(seed), outputHiddenStates: true });
    return hiddenStates!.at(-1)!;
  };
  const silence = ({ weight, bias }: typeof attn.oProj): (() => void) => {
    const before = [weight.detach().clone(), bias!.detach().clone()] as const;
    weight.assign(weight.detach().mul(0));
    bias!.assign(bias!.detach().mul(0));
    return () => {
      weight.assign(before[0]);
      bias!.assign(before[1]);
    };
  };
  const restore = silence(mlp.downProj);
  expect(largestDifference(added(1), added(2))).toBeGreaterThan(1e-6);
  silence(attn.oProj);
  expect(largestDifference(added(1), added(2))).toBe(0);
  restore();
  expect(largestDifference(added(1), added(2))).toBeGreaterThan(1e-6);
});

test('a mask may be integers, and padding alone sees nothing', () => {
  const model = made();
  const ids = randomIds(13, 2, 5);
  const mask = tensor([
    [0, 0, 1, 1, 1],
    [1, 1, 1, 1, 1],
  ]).cast('i32');
  const y = model.forward(ids, { attentionMask: mask }).logits;
  expect(largestDifference(y, model.forward(ids, { attentionMask: mask.ne(0) }).logits)).toBe(0);
  expect(Array.from(y.dataSync(), Number).every(Number.isFinite)).toBe(true);
});

describe('errors', () => {
  const { config: schema } = GPT2LMHeadModel.meta;

  test.each<[GPT2Options & Record<string, unknown>, RegExp]>([
    [{ nEmbd: 10, nHead: 3 }, /nEmbd 10 is not a multiple of nHead 3/],
    [{ nLayer: 0 }, /nLayer must be an integer from 1/],
    [{ nLayer: 1e9 }, /nLayer must be an integer from 1/],
    [{ nInner: 2.5 }, /nInner must be null or an integer/],
    [{ attnPdrop: 2 }, /attnPdrop must be a number from 0 to 1/],
    [{ layerNormEpsilon: Number.NaN }, /layerNormEpsilon must be/],
    [{ activationFunction: 'no' as 'gelu' }, /activationFunction must be one of/],
    [{ scaleAttnWeights: 1 as unknown as boolean }, /scaleAttnWeights must be true or false/],
    [{ n_embd: 3 }, /there is no n_embd/],
  ])('of a configuration: %o', (options, message) => {
    expect(() => gpt2Config(options)).toThrow(message);
  });

  test.each<[unknown, RegExp]>([
    [null, /needs a JSON object/],
    [{ model_type: 'bert' }, /'bert', not 'gpt2'/],
    [{ n_head: '12' }, /n_head must be an integer/],
    [{ add_cross_attention: true }, /no attention to a second text/],
  ])('of config.json: %o', (json, message) => {
    expect(() => schema.fromJson(json)).toThrow(message);
  });

  test('config.json of versions 4 and 5 is read, and what is not known comes back', () => {
    const old = { model_type: 'gpt2', n_ctx: 1024, torch_dtype: 'float32', task_specific_params: { a: [1] } };
    const config = schema.fromJson(old);
    expect(config.extra).toEqual({ n_ctx: 1024, task_specific_params: { a: [1] } });
    expect(schema.toJson(config)).toMatchObject({ model_type: 'gpt2', n_ctx: 1024, n_inner: null });
    expect(schema.fromJson({ ...schema.toJson(config), dtype: 'float32' })).toEqual(config);
  });

  const ids = randomIds(13, 2, 5);
  const i32 = (shape: readonly number[], value = 0): Tensor => full(shape, value, { dtype: 'i32' });
  test.each<[string, (model: GPT2LMHeadModel) => unknown, RegExp]>([
    ['no batch', (m) => m.forward(i32([5])), /tokens must be \[batch, length\]/],
    ['no tokens', (m) => m.forward(i32([2, 0])), /not empty/],
    ['no integers', (m) => m.forward(ones([2, 5])), /ids must be integers/],
    ['no such token', (m) => m.forward(i32([1, 2], 13)), /13 is out of range/],
    ['too long', (m) => m.forward(i32([1, 17])), /17 tokens, and positions for 16/],
    ['no such position', (m) => m.forward(ids, { positionIds: i32([5], 16) }), /16 is out of range/],
    [
      'positions of another shape',
      (m) => m.forward(ids, { positionIds: i32([4]) }),
      /positionIds must be \[5\] or \[2, 5\]/,
    ],
    [
      'positions that are no integers',
      (m) => m.forward(ids, { positionIds: ones([5]) }),
      /positionIds must be i32/,
    ],
    ['a mask of another shape', (m) => m.forward(ids, { attentionMask: i32([2, 4], 1) }), /must be \[2, 5\]/],
    ['a mask of numbers', (m) => m.forward(ids, { attentionMask: ones([2, 5]) }), /must be bool or integers/],
    [
      'too many logits',
      (m) => m.forward(ids, { lastLogits: 6 }),
      /lastLogits must be an integer from 0 to 5/,
    ],
    [
      'a cache of another model',
      (m) => m.forward(ids, { cache: made({ nLayer: 1 }).newCache() }),
      /for 1 layers, not 2/,
    ],
    [
      'a cache of another kind',
      (m) => m.forward(ids, { cache: new ModelCache([new RecurrentCache(), new RecurrentCache()]) }),
      /cannot go on from a RecurrentCache/,
    ],
  ])('of a call: %s', (_, call, message) => {
    expect(() => call(made())).toThrow(message);
  });

  test('a call that fails leaves the cache as it was', () => {
    const model = made();
    const cache = model.newCache();
    model.forward(ids, { cache });
    expect(() => model.forward(i32([2, 12]), { cache })).toThrow(/17 tokens/);
    expect(() => model.forward(i32([2, 1], 13), { cache })).toThrow(/out of range/);
    expect(cache.length).toBe(5);
    expect(cache.layers.map(({ length }) => length)).toEqual([5, 5]);
  });
});
