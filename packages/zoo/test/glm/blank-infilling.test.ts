/** The first GLM: who sees whom, where tokens stand, that it is GPT-2 where nothing is masked, and that it learns. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { decodeSafetensors, encodeSafetensors, fromData, Key, ones, type Tensor } from '@infinigrad/tensor';
import {
  blankBatch,
  blankGlmConfig,
  blankGlmPresets,
  blankGlmSchema,
  blankInfillingMask,
  GlmForBlankInfilling,
  GPT2LMHeadModel,
  infillBlanks,
  type BlankGlmOptions,
  type BlankRow,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { BlankKey } from '../../src/core/blank-key.ts';
import { idsOf, largestDifference, randomIds } from '../models/runner.ts';

const plain = { embeddingDropoutProb: 0, attentionDropoutProb: 0, outputDropoutProb: 0 };
const tiny = {
  ...plain,
  vocabSize: 17,
  hiddenSize: 12,
  numLayers: 2,
  numAttentionHeads: 3,
  maxSequenceLength: 16,
  initializerRange: 0.4,
};
const special = { mask: 14, start: 15, end: 16 };
const made = (options: BlankGlmOptions = {}, seed = 0, dtype: 'f32' | 'f64' = 'f64'): GlmForBlankInfilling =>
  new GlmForBlankInfilling({ ...tiny, ...options }, new Key(seed), { dtype });

const text = [1, 2, 3, 4, 5, 6, 7, 8];
const blanks = [
  [1, 2],
  [4, 7],
] as const;
const rowOf = (order: readonly number[]): BlankRow => infillBlanks(text, blanks, order, special);

/** Logits of one row [T, vocabSize]. */
function logitsOf(
  model: GlmForBlankInfilling,
  { inputIds, positions, blockPositions, sep }: BlankRow,
): Tensor {
  const T = inputIds.length;
  const positionIds = fromData(Int32Array.from([...positions, ...blockPositions]), [1, 2, T]);
  return model.forward(fromData(inputIds, [1, T]), { positionIds, sep: [sep] }).logits.squeeze(0);
}

const changed = (row: BlankRow, at: number): BlankRow => ({
  ...row,
  inputIds: row.inputIds.map((id, i) => (i === at ? (id + 1) % 14 : id)),
});

describe('who sees whom', () => {
  const model = made();
  const row = rowOf([1, 0]);
  const y = logitsOf(model, row);
  const T = row.inputIds.length;
  const change = (z: Tensor, at: number): number => largestDifference(y.narrow(0, at, 1), z.narrow(0, at, 1));

  test('part A sees itself wholly and nothing of part B', () => {
    for (let at = 0; at < T; at++) {
      const z = logitsOf(model, changed(row, at));
      for (let i = 0; i < T; i++)
        if (at < row.sep || i >= at) expect(change(z, i), `${at} → ${i}`).toBeGreaterThan(1e-9);
        else expect(change(z, i), `${at} → ${i}`).toBeLessThan(1e-12);
    }
  });

  test('the order of the blanks changes nothing in part A, and nothing in the one that comes first', () => {
    const other = logitsOf(model, rowOf([0, 1]));
    expect(largestDifference(y.narrow(0, 0, row.sep), other.narrow(0, 0, row.sep))).toBeLessThan(1e-12);
    // The short blank, alone before or after the long one.
    expect(largestDifference(y.narrow(0, T - 2, 2), other.narrow(0, row.sep, 2))).toBeGreaterThan(1e-6);
    const alone = logitsOf(model, {
      ...rowOf([0, 1]),
      inputIds: rowOf([0, 1]).inputIds.slice(0, row.sep + 2),
      positions: rowOf([0, 1]).positions.slice(0, row.sep + 2),
      blockPositions: rowOf([0, 1]).blockPositions.slice(0, row.sep + 2),
    });
    expect(largestDifference(alone, other.narrow(0, 0, row.sep + 2))).toBeLessThan(1e-12);
  });

  test('both positions tell', () => {
    for (const name of ['positions', 'blockPositions'] as const) {
      const moved = { ...row, [name]: row[name].map((place, i) => (i === T - 1 ? place + 1 : place)) };
      expect(change(logitsOf(model, moved), T - 1)).toBeGreaterThan(1e-9);
    }
  });

  test('the mask is one number', () => {
    const { backend } = y;
    const seen = blankInfillingMask([2, 0]).tensor({ queries: 3, keys: 3, backend });
    expect(seen.cast('i32').reshape([2, 9]).toArraySync()).toEqual([
      [1, 1, 0, 1, 1, 0, 1, 1, 1],
      [1, 0, 0, 1, 1, 0, 1, 1, 1],
    ]);
  });

  test('rows of a batch equal rows alone, whatever their lengths', () => {
    const options = { ...special, kind: 'spans' as const, pad: 0 };
    const texts = [text, text.slice(0, 5), [...text, ...text.slice(2)]];
    const batch = blankBatch(texts, options, new Key(4));
    const { logits } = model.forward(batch.inputIds, batch);
    texts.forEach((_, i) => {
      const one = (x: Tensor): Tensor => x.narrow(0, i, 1);
      const count = Number(one(batch.attentionMask).cast('i32').sum().itemSync());
      const alone = model.forward(one(batch.inputIds).narrow(1, 0, count), {
        positionIds: one(batch.positionIds).narrow(2, 0, count),
        sep: [batch.sep[i]!],
      });
      expect(largestDifference(one(logits).narrow(1, 0, count), alone.logits)).toBeLessThan(1e-11);
    });
  });
});

test('without a part A, and with one kind of position, it is GPT-2', () => {
  const model = made({}, 3);
  for (const [name, p] of model.namedParameters())
    if (name.endsWith('bias')) p.assign(new Key(name.length).normal(p.shape, { dtype: 'f64' }));
  const table = model.blockPositionEmbeddings.weight;
  table.assign(table.detach().mul(0));
  const gpt2 = new GPT2LMHeadModel(
    { vocabSize: 17, nEmbd: 12, nLayer: 2, nHead: 3, nPositions: 17 },
    new Key(0),
    { dtype: 'f64' },
  ).eval();
  const state = model.pretrainedState();
  const turned = /query_key_value|dense/;
  const names: readonly (readonly [RegExp, string])[] = [
    [/^transformer\.layers\./, 'transformer.h.'],
    [/attention\.query_key_value/, 'attn.c_attn'],
    [/attention\.dense/, 'attn.c_proj'],
    [/mlp\.dense_h_to_4h/, 'mlp.c_fc'],
    [/mlp\.dense_4h_to_h/, 'mlp.c_proj'],
    [/input_layernorm/, 'ln_1'],
    [/post_attention_layernorm/, 'ln_2'],
    [/final_layernorm/, 'ln_f'],
    [/^word_embeddings/, 'transformer.wte'],
    [/transformer\.position_embeddings/, 'transformer.wpe'],
  ];
  const theirs = Object.fromEntries(
    Object.entries(state)
      .filter(([key]) => !key.includes('block_position'))
      .map(([key, value]) => [
        names.reduce((name, [from, to]) => name.replace(from, to), key),
        turned.test(key) && value.rank === 2 ? value.transpose().clone() : value,
      ]),
  );
  gpt2.loadPretrainedState(theirs);
  const ids = randomIds(17, 2, 9);
  const places = Array.from({ length: 9 }, (_, i) => i);
  const positionIds = fromData(
    Int32Array.from([places, new Array<number>(9).fill(0), places, new Array<number>(9).fill(0)].flat()),
    [2, 2, 9],
  );
  const { logits } = model.forward(ids, { positionIds, sep: [0, 0] });
  expect(largestDifference(logits, gpt2.forward(ids).logits)).toBeLessThan(1e-11);
});

describe('training', () => {
  const batch = blankBatch([text, text.toReversed()], { ...special, kind: 'spans' }, new Key(0));
  const loss = (model: GlmForBlankInfilling, key?: Key): Tensor =>
    crossEntropy(model.forward(batch.inputIds, { ...batch, key }).logits, batch.targets);

  test('every parameter gets a gradient, but what no score can depend on', () => {
    const model = made();
    loss(model).backward();
    for (const [name, { grad }] of model.namedParameters()) {
      const largest = Number(grad!.abs().max().itemSync());
      if (name.endsWith('kProj.bias')) expect(largest).toBeLessThan(1e-12);
      else expect(largest, name).toBeGreaterThan(1e-9);
    }
  });

  test('over-fits one batch', () => {
    const model = made({ initializerRange: 0.1 }, 1, 'f32');
    const optimizer = new AdamW(model.parameters(), { learningRate: 0.01, weightDecay: 0 });
    const losses = Array.from({ length: 60 }, () => Number(optimizer.minimize(() => loss(model)).itemSync()));
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 10);
  });

  test('dropout is a matter of the key', () => {
    const model = made({ embeddingDropoutProb: 0.2, attentionDropoutProb: 0.2, outputDropoutProb: 0.2 });
    const [a, again, b] = [1, 1, 2].map((seed) => loss(model, new Key(seed)).itemSync());
    expect(a).toBe(again);
    expect(a).not.toBe(b);
    expect(() => loss(model)).toThrow('needs a key in training');
    expect(loss(model.eval()).itemSync()).toBe(loss(made()).itemSync());
  });
});

test('comes back from its file', () => {
  const [model, other] = [made(), made({}, 1)];
  const bytes = encodeSafetensors(model.pretrainedState());
  other.loadPretrainedState(decodeSafetensors(bytes).tensors);
  expect(Buffer.compare(encodeSafetensors(other.pretrainedState()), bytes)).toBe(0);
  expect(largestDifference(logitsOf(model, rowOf([0, 1])), logitsOf(other, rowOf([0, 1])))).toBe(0);
  const config = blankGlmConfig(tiny);
  expect(blankGlmSchema.fromJson(blankGlmSchema.toJson(config))).toEqual(config);
});

test('the base model has 109 million parameters, of which the paper says 110', () => {
  const model = new GlmForBlankInfilling(blankGlmPresets['glm-base'], new BlankKey(), { dtype: 'bf16' });
  expect(Math.round(model.numParameters() / 1e6)).toBe(109);
});

describe('errors', () => {
  const model = made();
  const ids = randomIds(17, 2, 3);
  const positionIds = fromData(new Int32Array(12), [2, 2, 3]);
  const call = { positionIds, sep: [1, 2] };
  test.each<[string, () => unknown, string]>([
    [
      'heads that do not part the width',
      () => blankGlmConfig({ hiddenSize: 10 }),
      'BlankGlmConfig: hiddenSize 10 is not a multiple',
    ],
    [
      'no tokens',
      () => model.forward(ids.narrow(1, 0, 0), call),
      'GlmForBlankInfilling: tokens must be [batch, length]',
    ],
    [
      'one kind of position',
      () => model.forward(ids, { ...call, positionIds: ids }),
      'GlmForBlankInfilling: positions must be [2, 2, 3]',
    ],
    [
      'positions that are no integers',
      () => model.forward(ids, { ...call, positionIds: ones([2, 2, 3]) }),
      'GlmForBlankInfilling: positions must be integers',
    ],
    [
      'a position that has no vector',
      () => model.forward(ids, { ...call, positionIds: positionIds.add(17) }),
      '17',
    ],
    [
      'one sep for two rows',
      () => model.forward(ids, { ...call, sep: [1] }),
      'GlmForBlankInfilling: sep must hold 2 integers from 0 to 3',
    ],
    ['a sep beyond the row', () => model.forward(ids, { ...call, sep: [1, 4] }), 'got [1, 4]'],
    [
      'a mask of another length',
      () => model.forward(ids, { ...call, attentionMask: idsOf([[1], [1]]) }),
      'must be [2, 3]',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
