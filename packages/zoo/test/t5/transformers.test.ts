/** transformers loads the T5 models that are saved here, and makes the same of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key } from '@infinigrad/tensor';
import { T5ForConditionalGeneration, type T5Options } from '@infinigrad/zoo';
import { savePretrained } from '@infinigrad/zoo/node';
import { describe, expect, test } from 'vitest';
import { idsOf, largestDifference, randomIds } from '../models/runner.ts';
import { logitsOfTransformers, python } from '../models/transformers.ts';

const sizes = { vocabSize: 31, dModel: 12, dKv: 5, dFf: 18, numLayers: 2, numHeads: 3 } as const;
const cases: Readonly<Record<string, T5Options>> = {
  'v1.0': sizes,
  'v1.1': { ...sizes, feedForwardProj: 'gated-gelu', tieWordEmbeddings: false },
  odd: {
    ...sizes,
    numDecoderLayers: 1,
    feedForwardProj: 'silu',
    relativeAttentionNumBuckets: 8,
    relativeAttentionMaxDistance: 9,
    padTokenId: 2,
    decoderStartTokenId: 4,
  },
};

describe.skipIf(!python)('saved here, loaded by transformers', () => {
  test.each(Object.keys(cases))('%s', { timeout: 120_000 }, async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'infinigrad-t5-'));
    try {
      const model = new T5ForConditionalGeneration(cases[name]!, new Key(1)).eval();
      await savePretrained(model, folder);
      const [inputIds, labels] = [randomIds(31, 2, 14, 1), randomIds(31, 2, 12, 2)];
      const attentionMask = idsOf([new Array<number>(14).fill(1), [0, 0, ...new Array<number>(12).fill(1)]]);
      const decoderInputIds = model.shiftRight(labels);
      const { logits, left } = logitsOfTransformers(folder, {
        input_ids: inputIds,
        attention_mask: attentionMask,
        decoder_input_ids: decoderInputIds,
        // What pads is decoded from, too.
        decoder_attention_mask: decoderInputIds.mul(0).add(1),
      });
      expect(left).toEqual([]);
      const ours = model.to({ dtype: 'f64' }).forward(inputIds, { attentionMask, decoderInputIds });
      expect(largestDifference(ours.logits, logits)).toBeLessThan(2e-5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
