/** The laws of all models, for GPT-2. */
import { GPT2LMHeadModel, type GPT2Options, type ModelCache } from '@infinigrad/zoo';
import { describeModel } from '../models/runner.ts';

const still = { embdPdrop: 0, residPdrop: 0, attnPdrop: 0 };
const tiny: GPT2Options = {
  ...still,
  vocabSize: 13,
  nPositions: 16,
  nEmbd: 12,
  nLayer: 2,
  nHead: 3,
  initializerRange: 0.3,
};

const rows: Readonly<Record<string, GPT2Options>> = {
  'GPT-2': tiny,
  'GPT-2 with an output head of its own, other scores and feed-forward layers': {
    ...tiny,
    nHead: 1,
    nInner: 7,
    activationFunction: 'silu',
    scaleAttnWeights: false,
    scaleAttnByInverseLayerIdx: true,
    tieWordEmbeddings: false,
  },
};

for (const [name, options] of Object.entries(rows))
  describeModel<GPT2LMHeadModel>({
    name,
    make: (key, { dtype }) => new GPT2LMHeadModel(options, key, { dtype }),
    dropping: (key) =>
      new GPT2LMHeadModel({ ...options, embdPdrop: 0.2, residPdrop: 0.3, attnPdrop: 0.4 }, key, {
        dtype: 'f64',
      }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { cache, ...call }) =>
      model.forward(ids, { ...call, cache: cache as ModelCache | undefined }).logits,
    newCache: (model, call) => model.newCache(call),
    // A key moves all scores of a query alike by its bias.
    idle: /kProj\.bias$/,
  });
