/** The laws of all models, for GPT-Neo. */
import { GPTNeoForCausalLM, type GPTNeoOptions, type ModelCache } from '@infinigrad/zoo';
import { describeModel } from '../models/runner.ts';

const tiny: GPTNeoOptions = {
  vocabSize: 13,
  maxPositionEmbeddings: 16,
  hiddenSize: 12,
  numLayers: 2,
  numHeads: 3,
  windowSize: 3,
  initializerRange: 0.3,
};

const rows: Readonly<Record<string, GPTNeoOptions>> = {
  'GPT-Neo': tiny,
  'GPT-Neo with local layers alone, an output head of its own and other feed-forward layers': {
    ...tiny,
    attentionTypes: [[['local'], 2]],
    // Two layers of five tokens each: the last token sees the first.
    windowSize: 5,
    intermediateSize: 7,
    activationFunction: 'silu',
    tieWordEmbeddings: false,
  },
};

for (const [name, options] of Object.entries(rows))
  describeModel<GPTNeoForCausalLM>({
    name,
    make: (key, { dtype }) => new GPTNeoForCausalLM(options, key, { dtype }),
    dropping: (key) =>
      new GPTNeoForCausalLM(
        { ...options, embedDropout: 0.2, residDropout: 0.3, attentionDropout: 0.4 },
        key,
        {
          dtype: 'f64',
        },
      ),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { cache, ...call }) =>
      model.forward(ids, { ...call, cache: cache as ModelCache | undefined }).logits,
    newCache: (model, call) => model.newCache(call),
  });
