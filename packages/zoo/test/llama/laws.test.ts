/** The laws of all models, for LLaMA. */
import { LlamaForCausalLM, type LlamaOptions, type ModelCache } from '@infinigrad/zoo';
import { describeModel } from '../models/runner.ts';

const tiny: LlamaOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  initializerRange: 0.3,
};

const rows: Readonly<Record<string, LlamaOptions>> = {
  LLaMA: tiny,
  'LLaMA with biases, wide heads, a tied output head and scaled positions': {
    ...tiny,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 8,
    attentionBias: true,
    mlpBias: true,
    tieWordEmbeddings: true,
    ropeScaling: { type: 'llama3', factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8 },
  },
};

for (const [name, options] of Object.entries(rows))
  describeModel<LlamaForCausalLM>({
    name,
    make: (key, { dtype }) => new LlamaForCausalLM(options, key, { dtype }),
    dropping: (key) => new LlamaForCausalLM({ ...options, attentionDropout: 0.3 }, key, { dtype: 'f64' }),
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
