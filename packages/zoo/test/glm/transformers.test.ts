/** transformers loads the GLM models that are saved here, and makes the same of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key } from '@infinigrad/tensor';
import { GlmForCausalLM, type GlmOptions } from '@infinigrad/zoo';
import { savePretrained } from '@infinigrad/zoo/node';
import { describe, expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';
import { logitsOfTransformers, python } from '../models/transformers.ts';

const sizes = {
  vocabSize: 31,
  hiddenSize: 12,
  intermediateSize: 18,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  headDim: 8,
  initializerRange: 0.3,
  padTokenId: 0,
  eosTokenId: [1],
} as const;
const cases: Readonly<Record<string, GlmOptions>> = {
  half: sizes,
  whole: { ...sizes, partialRotaryFactor: 1, tieWordEmbeddings: true, attentionBias: false },
  odd: { ...sizes, partialRotaryFactor: 0.25, ropeTheta: 333, hiddenAct: 'gelu_new', rmsNormEps: 1e-3 },
  stretched: { ...sizes, ropeScaling: { type: 'linear', factor: 3 } },
};

describe.skipIf(!python)('saved here, loaded by transformers', () => {
  test.each(Object.keys(cases))('%s', { timeout: 120_000 }, async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'infinigrad-glm-'));
    try {
      const model = new GlmForCausalLM(cases[name]!, new Key(1)).eval();
      await savePretrained(model, folder);
      const ids = randomIds(31, 2, 14, 1);
      const { logits, left } = logitsOfTransformers(folder, {
        input_ids: ids,
        attention_mask: ids.mul(0).add(1),
      });
      expect(left).toEqual([]);
      expect(largestDifference(model.to({ dtype: 'f64' }).forward(ids).logits, logits)).toBeLessThan(2e-5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
