/** What models cost: the tables of the Infini-Transformer's paper, published sizes, and what ops and caches say themselves. */
import { summary } from '@infinigrad/nn';
import { Key } from '@infinigrad/tensor';
import {
  flopsPerToken,
  footprints,
  GPT2LMHeadModel,
  InfiniTransformer,
  llamaParameterCount,
  llamaPresets,
  LlamaForCausalLM,
  LlamaModel,
  type LlamaOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { randomIds } from '../models/runner.ts';

describe('memory', () => {
  // arXiv 2404.07143 v2, table 2: 12 layers of 8 heads of 128, segments of 2048, width 1024.
  const paper = { layers: 12, heads: 8, keyDim: 128, valueDim: 128, segment: 2048 };

  test('is what table 2 says by the formulas of table 1', () => {
    const infini = footprints.infini(paper);
    const xl = footprints.transformerXl(paper);
    const memorizing = footprints.memorizing(paper, 65_000) + xl;
    const rmt = footprints.recurrentMemory(paper, 1024, 100);
    expect([infini, xl, memorizing, rmt]).toEqual([1_585_152, 50_331_648, 183_451_648, 2_457_600]);
    // The compressions that it prints: 114×, 3.7×, 73×. It divides what it has rounded to millions.
    const millions = (n: number, digits = 0): number => Number((n / 1e6).toFixed(digits));
    expect(Math.floor(millions(memorizing) / millions(infini, 1))).toBe(114);
    expect(Number((millions(memorizing) / millions(xl)).toFixed(1))).toBe(3.7);
    expect(Math.floor(millions(memorizing) / millions(rmt, 1))).toBe(73);
  });

  test('of the other lines of table 1, term by term', () => {
    const small = { layers: 3, heads: 2, keyDim: 5, valueDim: 7, segment: 11 };
    expect(footprints.transformer(small, 13)).toBe((5 + 7) * 2 * 13 * 3);
    expect(footprints.transformerXl(small)).toBe(footprints.transformer(small, small.segment));
    expect(footprints.compressive(small, 17, 4)).toBe(17 * (4 + 11) * 3);
    expect(footprints.autoCompressor(small, 17, 2, 5)).toBe(17 * 2 * 6 * 3);
    expect(footprints.infini(small)).toBe(3 * 2 * (5 * 7 + 5));
  });

  test('of models is what the formulas say, and what their caches hold', () => {
    const options = { vocabSize: 11, hiddenSize: 12, numAttentionHeads: 3, intermediateSize: 8, headDim: 6 };
    const model = new LlamaForCausalLM({ ...options, numKeyValueHeads: 1, numHiddenLayers: 2 }, new Key(0));
    const cache = model.newCache({ maxLength: 9 });
    model.eval().forward(randomIds(11, 1, 9), { cache });
    expect(4 * model.memoryFootprint(9)).toBe(cache.bytes);
    const infini = new InfiniTransformer(
      { vocabSize: 11, hiddenSize: 8, numLayers: 3, numHeads: 2, segmentLength: 4, memoryLayers: [0, 2] },
      new Key(0),
    );
    const { memories } = infini.forward(randomIds(11, 1, 8));
    const held = memories.reduce((sum, m) => sum + (m ? m.matrix.size + m.normalizer.size : 0), 0);
    expect(infini.memoryFootprint()).toBe(held);
    expect(held).toBe(2 * 2 * 4 * 5);
  });
});

describe('parameters', () => {
  // As published with the checkpoints.
  const published: Readonly<Record<Exclude<keyof typeof llamaPresets, 'llama-tiny'>, number>> = {
    'smollm-135m': 134_515_008,
    'smollm-360m': 361_821_120,
    'smollm2-135m': 134_515_008,
    'smollm2-360m': 361_821_120,
    'tinyllama-1.1b': 1_100_048_384,
    'llama-2-7b': 6_738_415_616,
    'llama-3-8b': 8_030_261_248,
    'llama-3.2-1b': 1_235_814_400,
  };
  test.each(Object.entries(published))('of %s are %i', (name, count) => {
    expect(llamaParameterCount(llamaPresets[name as keyof typeof llamaPresets])).toBe(count);
  });

  const options: readonly LlamaOptions[] = [
    {},
    { attentionBias: true, mlpBias: true },
    { tieWordEmbeddings: true, headDim: 4, numKeyValueHeads: 2 },
  ];
  test.each(options)('are counted without making the model: %j', (option) => {
    const all = {
      vocabSize: 7,
      hiddenSize: 12,
      intermediateSize: 10,
      numHiddenLayers: 3,
      numAttentionHeads: 6,
      ...option,
    };
    const model = new LlamaForCausalLM(all, new Key(0));
    expect(llamaParameterCount(all)).toBe(model.numParameters());
  });

  test('are counted without embeddings, and those that train alone', () => {
    const all = {
      vocabSize: 7,
      hiddenSize: 4,
      intermediateSize: 5,
      numHiddenLayers: 2,
      numAttentionHeads: 2,
    };
    const model = new LlamaForCausalLM(all, new Key(0));
    expect(model.numParameters({ embeddings: false })).toBe(model.numParameters() - 28);
    model.freeze('model.layers.0');
    const layer = model.model.layers[0]!.numParameters();
    expect(model.numParameters({ trainable: true })).toBe(model.numParameters() - layer);
    model.freeze('model.embedTokens');
    expect(model.numParameters({ trainable: true, embeddings: false })).toBe(
      model.numParameters({ trainable: true }),
    );
  });
});

test('tables of positions count as embeddings too', () => {
  const model = new GPT2LMHeadModel(
    { vocabSize: 11, nPositions: 7, nEmbd: 4, nLayer: 1, nHead: 2 },
    new Key(0),
  );
  expect(model.numParameters({ embeddings: false })).toBe(model.numParameters() - (11 + 7) * 4);
});

describe('operations', () => {
  test('are 6 N + 12 L H Q T in training', () => {
    const shape = { layers: 2, heads: 3, kvHeads: 1, keyDim: 5, valueDim: 5 };
    expect(flopsPerToken(1000, shape)).toBe(6000);
    expect(flopsPerToken(1000, shape, { length: 7 })).toBe(6000 + 12 * 2 * 3 * 5 * 7);
    expect(flopsPerToken(1000, shape, { length: 7, training: false })).toBe(2000 + 4 * 2 * 3 * 5 * 7);
  });

  test.each([true, false])('are those that the ops of a forward pass count themselves (tied: %s)', (tied) => {
    const model = new LlamaForCausalLM(
      {
        vocabSize: 64,
        hiddenSize: 64,
        intermediateSize: 160,
        numHiddenLayers: 3,
        numAttentionHeads: 4,
        numKeyValueHeads: 2,
        tieWordEmbeddings: tied,
      },
      new Key(0),
    ).eval();
    const length = 32;
    const { flops } = summary(model, [randomIds(64, 1, length)]);
    // Norms, angles and softmax come on top.
    const ratio = flops / length / model.flopsPerToken({ length, training: false });
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.06);
  });

  test('of a model that does not tell its shape are refused', () => {
    class Shapeless extends LlamaModel {
      static override readonly meta = { ...LlamaModel.meta, shape: undefined as never };
    }
    const model = new Shapeless({ ...llamaPresets['llama-tiny'], numHiddenLayers: 1 }, new Key(0));
    expect(() => model.flopsPerToken()).toThrow(/LlamaModel: does not tell the shape of its attention/);
    expect(() => model.memoryFootprint(4)).toThrow(/LlamaModel: does not tell/);
  });
});
