/** The laws of all models, for GLM. */
import { GlmForCausalLM, type GlmOptions, type ModelCache } from '@infinigrad/zoo';
import { describeModel } from '../models/runner.ts';

const tiny: GlmOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  headDim: 8,
  padTokenId: null,
  initializerRange: 0.3,
};

const rows: Readonly<Record<string, GlmOptions>> = {
  GLM: tiny,
  'GLM whose heads are turned wholly, tied, without biases': {
    ...tiny,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    partialRotaryFactor: 1,
    attentionBias: false,
    tieWordEmbeddings: true,
  },
};

for (const [name, options] of Object.entries(rows))
  describeModel<GlmForCausalLM>({
    name,
    make: (key, { dtype }) => new GlmForCausalLM(options, key, { dtype }),
    dropping: (key) => new GlmForCausalLM({ ...options, attentionDropout: 0.3 }, key, { dtype: 'f64' }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { cache, ...call }) =>
      model.forward(ids, { ...call, cache: cache as ModelCache | undefined }).logits,
    newCache: (model, call) =>
      model.newCache({
        ...(call.maxLength !== undefined && { maxLength: call.maxLength }),
        ...(call.leftPadding && { leftPadding: call.leftPadding }),
      }),
  });
