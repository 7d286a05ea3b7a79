/** The laws of all models, for T5's decoder and its encoder. */
import { fromData, type Tensor } from '@infinigrad/tensor';
import {
  T5EncoderModel,
  T5ForConditionalGeneration,
  type EncoderDecoderCache,
  type T5Options,
} from '@infinigrad/zoo';
import { describeModel } from '../models/runner.ts';

const tiny: T5Options = {
  vocabSize: 13,
  dModel: 12,
  dKv: 5,
  dFf: 20,
  numLayers: 2,
  numHeads: 3,
  dropoutRate: 0,
  relativeAttentionNumBuckets: 8,
  relativeAttentionMaxDistance: 9,
};

const rows: Readonly<Record<string, T5Options>> = {
  'T5 v1.0': tiny,
  'T5 v1.1, its decoder deeper than its encoder': {
    ...tiny,
    feedForwardProj: 'gated-gelu',
    tieWordEmbeddings: false,
    numDecoderLayers: 3,
    initializerFactor: 0.7,
  },
};

/** One text for every row. */
const source = ({ shape }: Tensor): Tensor =>
  fromData(
    Int32Array.from({ length: 5 * shape[0]! }, (_, i) => [3, 1, 7, 7, 12][i % 5]!),
    [shape[0]!, 5],
  );

for (const [name, options] of Object.entries(rows)) {
  describeModel<T5ForConditionalGeneration>({
    name: `${name}: decoder`,
    make: (key, { dtype }) => new T5ForConditionalGeneration(options, key, { dtype }),
    dropping: (key) =>
      new T5ForConditionalGeneration({ ...options, dropoutRate: 0.3 }, key, { dtype: 'f64' }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { cache, attentionMask, lastLogits, key }) =>
      model.forward(source(ids), {
        decoderInputIds: ids,
        decoderAttentionMask: attentionMask,
        cache: cache as EncoderDecoderCache | undefined,
        lastLogits,
        key,
      }).logits,
    newCache: (model, call) =>
      model.newCache({
        ...(call.maxLength !== undefined && { maxLength: call.maxLength }),
        ...(call.leftPadding && { leftPadding: call.leftPadding }),
      }),
  });

  describeModel<T5EncoderModel>({
    name: `${name}: encoder`,
    make: (key, { dtype }) => new T5EncoderModel(options, key, { dtype }),
    dropping: (key) => new T5EncoderModel({ ...options, dropoutRate: 0.3 }, key, { dtype: 'f64' }),
    vocabSize: 13,
    causal: false,
    logits: (model, ids, { attentionMask, key }) =>
      model.shared.attend(model.forward(ids, { attentionMask, key }).lastHiddenState.mul(12 ** -0.5)),
    without: { cache: 'an encoder reads once', lastLogits: 'no token is the next one' },
  });
}
