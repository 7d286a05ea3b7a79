/** Decoders on a Markov chain of order 2: the next token, down to the entropy of the source. */
import type { Module } from '@infinigrad/nn';
import type { Key, Tensor } from '@infinigrad/tensor';
import {
  causalBatch,
  causalRow,
  GPT2LMHeadModel,
  LlamaForCausalLM,
  randomChain,
  type CausalBatch,
  type MarkovChain,
} from '@infinigrad/zoo';
import type { Experiment, Scored, Task } from './experiment.ts';

const states = 8;
const order = 2;

type Decoder = Module & { forward(inputIds: Tensor): { readonly logits: Tensor } };
type Batch = CausalBatch & Scored;

/** -log P of each token but the first, given at most so many tokens before it, in the place of the one before: what is to be told there. */
export function surprises(chain: MarkovChain, texts: readonly Int32Array[], context: number): Float64Array {
  const { states } = chain;
  const windows = Array.from({ length: context + 2 }, (_, length) => chain.windows(length));
  const index = (tokens: Int32Array): number => tokens.reduce((sum, token) => sum * states + token, 0);
  const all = texts.flatMap((text) =>
    Array.from(text, (_, t) => {
      if (t + 1 === text.length) return 0;
      const seen = text.subarray(Math.max(0, t + 1 - context), t + 1);
      const whole = text.subarray(Math.max(0, t + 1 - context), t + 2);
      return Math.log(windows[seen.length]![index(seen)]!) - Math.log(windows[whole.length]![index(whole)]!);
    }),
  );
  return Float64Array.from(all);
}

function causal(title: string, make: (length: number, key: Key) => Decoder): Experiment {
  return {
    title: `${title}: the next token of a Markov chain of order ${order} with ${states} states`,
    recipe: { steps: 500, batchSize: 32, length: 64, learningRate: 3e-3, evaluationTexts: 256 },
    build({ length }, keys): Task<Decoder, Batch> {
      const chain = randomChain({ states, order, sharpness: 2 }, keys.source);
      return {
        model: make(length, keys.model),
        source: {
          unigram: chain.unigram,
          bigram: chain.bigram,
          rate: chain.rate,
          'floor of a text': chain.rowFloor(length),
        },
        batch(count, key) {
          const texts = chain.samples(count, length, key);
          return {
            ...causalBatch(texts.map((text) => causalRow(text))),
            floors: surprises(chain, texts, order),
            baselines: { unigram: surprises(chain, texts, 0), bigram: surprises(chain, texts, 1) },
          };
        },
        logits: (model, { inputIds }) => model.forward(inputIds).logits,
        goals: ({ excess }) => [{ what: 'loss above the floor', value: excess, is: 'at most', bound: 0.03 }],
      };
    },
  };
}

export const gpt = causal(
  'GPT-2',
  (length, key) =>
    new GPT2LMHeadModel(
      {
        vocabSize: states,
        nPositions: length,
        nEmbd: 64,
        nLayer: 2,
        nHead: 4,
        nInner: 128,
        residPdrop: 0,
        embdPdrop: 0,
        attnPdrop: 0,
        initializerRange: 0.1,
        bosTokenId: null,
        eosTokenId: null,
      },
      key,
    ),
);

export const llama = causal(
  'LLaMA',
  (length, key) =>
    new LlamaForCausalLM(
      {
        vocabSize: states,
        hiddenSize: 64,
        intermediateSize: 96,
        numHiddenLayers: 2,
        numAttentionHeads: 4,
        numKeyValueHeads: 2,
        maxPositionEmbeddings: length,
        tieWordEmbeddings: true,
        bosTokenId: null,
        eosTokenId: null,
      },
      key,
    ),
);
