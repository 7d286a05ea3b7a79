/** The laws of all models, for BERT. */
import { crossEntropy } from '@infinigrad/nn';
import { fromData } from '@infinigrad/tensor';
import { BertForMaskedLM, BertForPreTraining, type BertCall } from '@infinigrad/zoo';
import { describeModel, type CallOptions } from '../models/runner.ts';
import { tiny } from './support.ts';

const dropping = { ...tiny, hiddenDropoutProb: 0.2, attentionProbsDropoutProb: 0.3 };

/** What an encoder has no use for. */
const without = {
  cache: 'every token sees those that come later',
  truncation: 'no cache',
  lastLogits: 'all tokens are wanted, or those that were masked',
} as const;

const call = ({ attentionMask, positionIds, key }: CallOptions): BertCall => ({
  attentionMask,
  positionIds,
  key,
});

/** A key moves all scores of a query alike by its bias. */
const idle = /kProj\.bias$/;

describeModel<BertForMaskedLM>({
  name: 'BERT with its head for masked tokens',
  make: (key, { dtype }) => new BertForMaskedLM(tiny, key, { dtype }),
  dropping: (key) => new BertForMaskedLM(dropping, key, { dtype: 'f64' }),
  vocabSize: 13,
  causal: false,
  logits: (model, ids, options) => model.forward(ids, call(options)).logits,
  idle,
  without,
});

describeModel<BertForPreTraining>({
  name: 'BERT as it is trained, not tied, with another function',
  make: (key, { dtype }) =>
    new BertForPreTraining({ ...tiny, hiddenAct: 'gelu_new', tieWordEmbeddings: false }, key, { dtype }),
  dropping: (key) => new BertForPreTraining(dropping, key, { dtype: 'f64' }),
  vocabSize: 13,
  causal: false,
  logits: (model, ids, options) => model.forward(ids, call(options)).predictionLogits,
  loss: (model, ids, key) => {
    const [batch, length] = ids.shape as readonly [number, number];
    const types = Int32Array.from({ length: batch * length }, (_, i) => Math.min(i % length, 2));
    const { predictionLogits, seqRelationshipLogits } = model.forward(ids, {
      tokenTypeIds: fromData(types, [batch, length]),
      key,
    });
    const follows = fromData(
      Int32Array.from({ length: batch }, (_, i) => i % 2),
      [batch],
    );
    return crossEntropy(predictionLogits, ids).add(crossEntropy(seqRelationshipLogits, follows));
  },
  idle,
  without,
});
