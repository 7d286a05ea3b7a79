/** A BERT small enough for tests. */
import type { BertOptions } from '@infinigrad/zoo';

export const tiny: BertOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 17,
  maxPositionEmbeddings: 16,
  typeVocabSize: 3,
  initializerRange: 0.3,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
};
