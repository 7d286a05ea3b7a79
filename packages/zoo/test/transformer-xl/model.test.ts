/** Transformer-XL: the laws of all models, and what goes from segment to segment. */
import { documentMask } from '@infinigrad/nn';
import { fromData, Key, ones, tensor, type Tensor } from '@infinigrad/tensor';
import {
  InfiniTransformer,
  memoryLengthFor,
  segmentOnly,
  TransformerXL,
  transformerXLConfig,
  transformerXLSchema,
  type TransformerXLOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { describeModel, idsOf, largestDifference, randomIds } from '../models/runner.ts';

const tiny = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numLayers: 2,
  numHeads: 3,
  segmentLength: 4,
} as const;
const wide = { embeddingStd: 1, gain: 1, dtype: 'f64' } as const;
const made = (options: Partial<TransformerXLOptions> = {}, seed = 0): TransformerXL => {
  const model = new TransformerXL({ ...tiny, ...options }, new Key(seed), wide);
  // u and v start at 0: where they stood would not be seen.
  for (const [name, p] of model.namedParameters())
    if (name.endsWith('Bias')) p.assign(new Key(seed).foldIn(name.length).normal(p.shape, { dtype: 'f64' }));
  return model;
};

for (const [name, options] of Object.entries({
  'Transformer-XL': { ...tiny, memoryLength: 6 },
  'Transformer-XL, tied': { ...tiny, tieWordEmbeddings: true },
  // One segment, the one that the laws look at.
  'Transformer-XL without a memory: segments alone': { ...tiny, segmentLength: 9, memoryLength: 0 },
}))
  describeModel<TransformerXL>({
    name,
    make: (key, { dtype }) => new TransformerXL(options, key, { ...wide, dtype }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { attentionMask, lastLogits }) =>
      model.forward(ids, { attentionMask: attentionMask as Tensor | undefined, lastLogits }).logits,
    without: {
      cache: 'a memory goes from call to call as an argument',
      leftPadding: 'segments are counted from the start of the row',
      packing: 'segments are counted from the start of the row',
      dropout: 'there is none',
    },
  });

/** The same weights in a model with other segments. */
function resegmented(model: TransformerXL, options: Partial<TransformerXLOptions>): TransformerXL {
  const other = made(options, 9);
  other.loadStateDict(model.stateDict());
  return other;
}

/** ids with the token at `at` of every row changed. */
const changedAt = (ids: Tensor, at: number): Tensor => {
  const [rows, length] = ids.shape as readonly [number, number];
  const data = Int32Array.from(ids.dataSync() as Int32Array, (id, i) =>
    i % length === at ? (id + 1) % 13 : id,
  );
  return fromData(data, [rows, length]);
};

describe('memory', () => {
  const ids = randomIds(13, 2, 18);

  test('with one for everything, reading in segments is reading at once', () => {
    const model = made({ memoryLength: 18 });
    const whole = resegmented(model, { segmentLength: 18, memoryLength: 0 }).forward(ids).logits;
    expect(largestDifference(model.forward(ids).logits, whole)).toBeLessThan(1e-10);
    // A shorter one sees less.
    expect(
      largestDifference(resegmented(model, { memoryLength: 3 }).forward(ids).logits, whole),
    ).toBeGreaterThan(1e-6);
  });

  test('a token sees one memory further back with every layer', () => {
    const model = made();
    const [y, z] = [ids, changedAt(ids, 0)].map((x) => model.forward(x).logits) as [Tensor, Tensor];
    const change = (segment: number): number =>
      largestDifference(y.narrow(1, 4 * segment, 4), z.narrow(1, 4 * segment, 4));
    for (const segment of [0, 1, 2]) expect(change(segment)).toBeGreaterThan(1e-9);
    expect(change(3)).toBe(0);
  });

  test('it goes from call to call', () => {
    for (const memoryLength of [3, 4, 9]) {
      const model = made({ memoryLength });
      const whole = model.forward(ids);
      const first = model.forward(ids.narrow(1, 0, 8));
      const rest = model.forward(ids.narrow(1, 8, 10), { memory: first.memory });
      expect(largestDifference(rest.logits, whole.logits.narrow(1, 8, 10))).toBeLessThan(1e-12);
      rest.memory!.hidden.forEach((x, i) =>
        expect(largestDifference(x, whole.memory!.hidden[i]!)).toBeLessThan(1e-12),
      );
      expect(first.memory!.hidden[0]!.shape).toEqual([2, Math.min(8, memoryLength), 12]);
    }
  });

  test('padding is not seen through it', () => {
    const model = made({ memoryLength: 8 });
    const mask = idsOf([[1, 1, 0, 0, 1, 1, 1, 1, 1, 1]]);
    const row = ids.narrow(0, 0, 1).narrow(1, 0, 10);
    const logits = (x: Tensor): Tensor => {
      const first = model.forward(x.narrow(1, 0, 4), { attentionMask: mask.narrow(1, 0, 4) });
      return model.forward(x.narrow(1, 4, 6), { memory: first.memory }).logits;
    };
    expect(largestDifference(logits(row), logits(changedAt(row, 2)))).toBe(0);
    expect(largestDifference(logits(row), logits(changedAt(row, 1)))).toBeGreaterThan(1e-9);
    const whole = model.forward(row, { attentionMask: mask }).logits.narrow(1, 4, 6);
    expect(largestDifference(logits(row), whole)).toBeLessThan(1e-12);
  });

  test('no gradient flows into it', () => {
    const model = made();
    const row = tensor([[1, 2, 3, 4, 5, 6, 7, 8]], { dtype: 'i32' });
    model.forward(row, { lastLogits: 4 }).logits.square().sum().backward();
    const grad = model.embedTokens.weight.grad!;
    const size = (id: number): number => Number(grad.narrow(0, id, 1).abs().max().itemSync());
    for (const id of [1, 2, 3, 4]) expect(size(id)).toBe(0);
    for (const id of [5, 6, 7, 8]) expect(size(id)).toBeGreaterThan(1e-6);
  });

  test('counts as long as it is', () => {
    const model = made({ memoryLength: 6 });
    expect([model.memoryFootprint(4), model.memoryFootprint(1000)]).toEqual([4 * 12 * 2, 6 * 12 * 2]);
    const held = model.forward(ids).memory!.hidden.reduce((total, { size }) => total + size, 0);
    expect(held).toBe(2 * model.memoryFootprint(18));
    expect(memoryLengthFor(model.memoryFootprint(1000), model.config)).toBe(6);
  });
});

test('segments alone are segments read alone', () => {
  const model = segmentOnly(tiny, new Key(0), wide);
  const ids = randomIds(13, 2, 11);
  for (const length of [8, 11]) {
    const { logits, memory } = model.forward(ids.narrow(1, 0, length));
    expect(memory).toBeNull();
    for (let at = 0; at < length; at += 4) {
      const count = Math.min(4, length - at);
      const alone = model.forward(ids.narrow(1, at, count)).logits;
      expect(largestDifference(logits.narrow(1, at, count), alone)).toBeLessThan(1e-12);
    }
  }
  const mask = idsOf([
    [1, 1, 1, 1, 1, 0, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1],
  ]);
  const masked = (x: Tensor): Tensor =>
    model.forward(x, { attentionMask: mask }).logits.narrow(1, 6, 2).narrow(0, 0, 1);
  const short = ids.narrow(1, 0, 8);
  expect(largestDifference(masked(short), masked(changedAt(short, 5)))).toBe(0);
});

test('has the parameters of the Infini-Transformer, and those of its positions', () => {
  const infini = new InfiniTransformer({ ...tiny, memoryLayers: [] }, new Key(0));
  // Of each layer: the map of distances, u and v.
  expect(made().numParameters() - infini.numParameters()).toBe(2 * (12 * 12 + 2 * 12));
});

test('config.json comes back', () => {
  const config = transformerXLConfig(tiny);
  expect(config.memoryLength).toBe(4);
  expect(transformerXLSchema.fromJson(transformerXLSchema.toJson(config))).toEqual(config);
});

describe('errors', () => {
  const model = made();
  const ids = randomIds(13, 2, 4);
  const { memory } = model.forward(ids);
  test.each<[string, () => unknown, string]>([
    [
      'no segments',
      () => transformerXLConfig({ ...tiny, segmentLength: undefined }),
      'TransformerXL: segmentLength is missing',
    ],
    [
      'an odd width',
      () => transformerXLConfig({ ...tiny, hiddenSize: 15 }),
      'TransformerXL: hiddenSize must be even',
    ],
    [
      'a negative memory',
      () => transformerXLConfig({ ...tiny, memoryLength: -1 }),
      'memoryLength must be an integer ≥ 0',
    ],
    ['no tokens', () => model.forward(ids.narrow(1, 0, 0)), 'TransformerXL: tokens must be [batch, length]'],
    ['too many logits', () => model.forward(ids, { lastLogits: 5 }), 'TransformerXL: lastLogits must be'],
    [
      'a mask of numbers',
      () => model.forward(ids, { attentionMask: ones([2, 4]) }),
      'TransformerXL: the attention mask',
    ],
    [
      'a mask of who sees whom',
      () => model.forward(ids, { attentionMask: documentMask([2, 2]) as never }),
      'TransformerXL: takes padding alone for an attentionMask',
    ],
    [
      'a memory of another batch',
      () => model.forward(ids.narrow(0, 0, 1), { memory }),
      'TransformerXL: the memory of a layer must be [1, m, 12]',
    ],
    [
      'a memory of fewer layers',
      () => model.forward(ids, { memory: { hidden: memory!.hidden.slice(1), present: null } }),
      'TransformerXL: the memory is of 1 layers, not 2',
    ],
    [
      'a memory that is too long',
      () => made({ memoryLength: 3 }).forward(ids, { memory }),
      'TransformerXL: the memory is of 4 tokens, more than 3',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
