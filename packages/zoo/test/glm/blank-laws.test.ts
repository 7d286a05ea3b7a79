/** The laws of all models, for the first GLM: of a row that is part B alone, and so causal, and of one that is part A alone. */
import { concat, zeros, type Tensor } from '@infinigrad/tensor';
import { blankGlmConfig, GlmForBlankInfilling, type BlankGlmOptions } from '@infinigrad/zoo';
import { describeModel, idsOf, type CallOptions } from '../models/runner.ts';

const tiny: BlankGlmOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  numLayers: 2,
  numAttentionHeads: 3,
  maxSequenceLength: 16,
  initializerRange: 0.3,
  embeddingDropoutProb: 0,
  attentionDropoutProb: 0,
  outputDropoutProb: 0,
};

/** Places in the text as in other models; within blanks, all of them 1 (part B), or 0. */
function logits(
  model: GlmForBlankInfilling,
  ids: Tensor,
  { attentionMask, positionIds, key }: CallOptions,
  part: 'A' | 'B',
): Tensor {
  const [batch, length] = ids.shape as readonly [number, number];
  const count = Array.from({ length }, (_, i) => i);
  const places = positionIds ?? idsOf(Array.from({ length: batch }, () => count));
  const within = zeros([batch, length], { dtype: 'i32' }).add(part === 'B' ? 1 : 0);
  return model.forward(ids, {
    sep: Array.from({ length: batch }, () => (part === 'A' ? length : 0)),
    positionIds: concat([places.unsqueeze(1), within.cast('i32').unsqueeze(1)], 1),
    attentionMask: attentionMask as Tensor | undefined,
    key,
  }).logits;
}

for (const part of ['A', 'B'] as const)
  describeModel<GlmForBlankInfilling>({
    name: `the first GLM, part ${part}`,
    make: (key, { dtype }) => new GlmForBlankInfilling(blankGlmConfig(tiny), key, { dtype }),
    dropping: (key) =>
      new GlmForBlankInfilling(
        { ...tiny, embeddingDropoutProb: 0.2, attentionDropoutProb: 0.3, outputDropoutProb: 0.4 },
        key,
        { dtype: 'f64' },
      ),
    vocabSize: 13,
    causal: part === 'B',
    logits: (model, ids, options) => logits(model, ids, options, part),
    // A key moves all scores of a query alike by its bias.
    idle: /kProj\.bias$/,
    without: {
      cache: 'blanks are written by reading the row anew',
      packing: 'a row is one text and its blanks',
      lastLogits: 'those of part B are wanted',
    },
  });
