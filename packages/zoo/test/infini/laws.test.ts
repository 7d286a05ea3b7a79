/** The laws of all models, for those with a compressive memory, and for their baseline without one. */
import { type Tensor } from '@infinigrad/tensor';
import {
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  localBaseline,
  type InfiniForwardOptions,
  type InfiniTransformerOptions,
} from '@infinigrad/zoo';
import type { Law } from '../models/row.ts';
import { describeModel, type CallOptions } from '../models/runner.ts';

const tiny = {
  vocabSize: 13,
  hiddenSize: 12,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  segmentLength: 4,
} as const;
const wide = { embeddingStd: 1, gain: 1 } as const;

const without: Readonly<Partial<Record<Law, string>>> = {
  cache: 'memories go from call to call as an argument',
  leftPadding: 'segments are counted from the start of the row',
  packing: 'segments are counted from the start of the row',
  dropout: 'there is none',
};

const call = ({ attentionMask, lastLogits }: CallOptions): InfiniForwardOptions => ({
  ...(attentionMask && { mask: attentionMask as Tensor }),
  ...(lastLogits !== undefined && { lastLogits }),
});

const rows: Readonly<Record<string, InfiniTransformerOptions>> = {
  'Infini-Transformer': tiny,
  'Infini-Transformer, tied, with the delta rule, gates of the input and a learned start': {
    ...tiny,
    tieWordEmbeddings: true,
    memoryUpdate: 'delta',
    gate: 'input',
    writeGate: 'sigmoid',
    memoryInit: 'learned',
  },
};

for (const [name, options] of Object.entries(rows))
  describeModel<InfiniTransformer>({
    name,
    make: (key, { dtype }) => new InfiniTransformer(options, key, { ...wide, dtype }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, given) => model.forward(ids, call(given)).logits,
    without,
    steps: 90,
  });

describeModel<InfiniTransformer>({
  name: 'Infini-Transformer without memories',
  // Tokens see their segment alone: the one that the laws look at.
  make: (key, { dtype }) => localBaseline({ ...tiny, segmentLength: 9 }, key, { ...wide, dtype }),
  vocabSize: 13,
  causal: true,
  logits: (model, ids, given) => model.forward(ids, call(given)).logits,
  without,
});

describeModel<InfiniLlamaForCausalLM>({
  name: 'LLaMA with memories',
  make: (key, { dtype }) =>
    new InfiniLlamaForCausalLM(
      {
        vocabSize: 13,
        hiddenSize: 12,
        intermediateSize: 20,
        numHiddenLayers: 2,
        numAttentionHeads: 4,
        numKeyValueHeads: 2,
        headDim: 6,
        initializerRange: 0.3,
        attentionBias: true,
        segmentLength: 4,
        gate: 'perChannel',
      },
      key,
      { dtype },
    ),
  vocabSize: 13,
  causal: true,
  logits: (model, ids, given) => model.forward(ids, call(given)).logits,
  without,
});
