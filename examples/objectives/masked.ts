/** BERT on a sharp Markov chain: masked tokens are told from both sides. */
import { BertForMaskedLM, maskedBatch, randomChain, type MaskedBatch } from '@infinigrad/zoo';
import { maskedSurprise, type Masking } from './bayes.ts';
import type { Experiment, Scored, Task } from './experiment.ts';

const states = 16;
const mask = states;
const masking: Masking = { rate: 0.15, masked: 0.8, random: 0.1, vocabSize: states + 1, mask };

type Batch = MaskedBatch & Scored;

export const bert: Experiment = {
  title: 'BERT: masked tokens of a Markov chain with 16 states',
  recipe: { steps: 1300, batchSize: 64, length: 32, learningRate: 6e-3, evaluationTexts: 512 },
  build({ length }, keys): Task<BertForMaskedLM, Batch> {
    const chain = randomChain({ states, sharpness: 2 }, keys.source);
    const model = new BertForMaskedLM(
      {
        vocabSize: masking.vocabSize,
        hiddenSize: 64,
        numHiddenLayers: 2,
        numAttentionHeads: 4,
        intermediateSize: 128,
        initializerRange: 0.1,
        maxPositionEmbeddings: length,
        hiddenDropoutProb: 0,
        attentionProbsDropoutProb: 0,
        padTokenId: null,
      },
      keys.model,
    );
    const lone = chain.windows(1);
    return {
      model,
      source: {
        unigram: chain.unigram,
        bigram: chain.bigram,
        'both sides known': chain.twoSided,
        'both sides, all chosen masked': chain.maskedFloor(masking.rate),
      },
      batch(texts, key) {
        const batch = maskedBatch(chain.samples(texts, length, key.foldIn(0)), masking, key.foldIn(1));
        const inputs = batch.inputIds.dataSync() as Int32Array;
        const targets = batch.targets.dataSync() as Int32Array;
        const floors = new Float64Array(targets.length);
        const oneSide = new Float64Array(targets.length);
        for (let at = 0; at < targets.length; at += length) {
          const row = { inputIds: inputs.slice(at, at + length), targets: targets.slice(at, at + length) };
          const surprise = maskedSurprise(chain, row, masking);
          floors.set(surprise.bothSides, at);
          oneSide.set(surprise.oneSide, at);
        }
        const unigram = Float64Array.from(targets, (id) => (id < 0 ? 0 : -Math.log(lone[id]!)));
        return { ...batch, floors, baselines: { unigram, 'left side alone': oneSide } };
      },
      logits: (model, { inputIds }) => model.forward(inputIds).logits,
      goals: ({ excess, loss, baselines }) => [
        { what: 'loss above the floor', value: excess, is: 'at most', bound: 0.1 },
        {
          what: 'loss, where one side alone gives',
          value: loss,
          is: 'at most',
          bound: Math.min(chain.bigram, baselines['left side alone']!) - 0.1,
        },
      ],
    };
  },
};
