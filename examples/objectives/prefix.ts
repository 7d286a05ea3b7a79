/** A decoder as prefix language model, on texts of one of several Markov chains: the prefix tells which. */
import {
  LlamaForCausalLM,
  prefixBatch,
  randomChain,
  type MarkovChain,
  type PrefixBatch,
} from '@infinigrad/zoo';
import type { Key } from '@infinigrad/tensor';
import type { Experiment, Scored, Task } from './experiment.ts';

const states = 8;
const chains = 4;

type Batch = PrefixBatch & Scored;

/**
 * -log P of each token but the first, in the place of the one before, by who has read the text from some place on and knows that it is of one of these
 * chains, each as likely.
 * @param from the first token that is read; 0 where a place is before it
 */
export function mixtureSurprise(
  laws: readonly MarkovChain[],
  text: ArrayLike<number>,
  from = 0,
): Float64Array {
  const out = new Float64Array(text.length);
  let likely = laws.map((chain) => chain.stationary[text[from]!]!);
  for (let t = from; t + 1 < text.length; t++) {
    const before = likely.reduce((a, b) => a + b, 0);
    // Divided by what they sum to, so that they never vanish.
    likely = likely.map((p, k) => (p / before) * laws[k]!.transition[text[t]!]![text[t + 1]!]!);
    out[t] = -Math.log(likely.reduce((a, b) => a + b, 0));
  }
  return out;
}

/** The same by who has read the last token alone. */
export function lastTokenSurprise(laws: readonly MarkovChain[], text: ArrayLike<number>): Float64Array {
  const out = new Float64Array(text.length);
  for (let t = 0; t + 1 < text.length; t++) {
    const pair = laws.map(({ stationary, transition }) => [
      stationary[text[t]!]!,
      transition[text[t]!]![text[t + 1]!]!,
    ]);
    const whole = pair.reduce((sum, [p]) => sum + p!, 0);
    out[t] = -Math.log(pair.reduce((sum, [p, q]) => sum + p! * q!, 0) / whole);
  }
  return out;
}

/** Texts of so many tokens, each of a chain that is drawn too. */
function textsOf(laws: readonly MarkovChain[], count: number, length: number, key: Key): Int32Array[] {
  const which = key.foldIn(0).bits(count);
  return Array.from(which, (word, i) => laws[word % laws.length]!.sample(length, key.foldIn(1).foldIn(i)));
}

export const prefix: Experiment = {
  title: `LLaMA as prefix model: the rest of texts of one of ${chains} Markov chains with ${states} states`,
  recipe: { steps: 500, batchSize: 64, length: 32, learningRate: 3e-3, evaluationTexts: 1024 },
  build({ length }, keys): Task<LlamaForCausalLM, Batch> {
    const laws = Array.from({ length: chains }, (_, k) =>
      randomChain({ states, sharpness: 2 }, keys.source.foldIn(k)),
    );
    const model = new LlamaForCausalLM(
      {
        vocabSize: states,
        hiddenSize: 64,
        intermediateSize: 96,
        numHiddenLayers: 2,
        numAttentionHeads: 4,
        maxPositionEmbeddings: length,
        tieWordEmbeddings: true,
        initializerRange: 0.1,
        bosTokenId: null,
        eosTokenId: null,
      },
      keys.model,
    );
    const mean = (of: (chain: MarkovChain) => number): number =>
      laws.reduce((sum, x) => sum + of(x), 0) / chains;
    return {
      model,
      source: {
        'unigram, the chain known': mean((chain) => chain.unigram),
        'rate, the chain known': mean((chain) => chain.rate),
      },
      batch(count, key) {
        const texts = textsOf(laws, count, length, key.foldIn(0));
        const batch = prefixBatch(texts, { least: length / 2 }, key.foldIn(1));
        const width = length - 1;
        const told = (of: (text: Int32Array, prefix: number) => Float64Array): Float64Array => {
          const all = new Float64Array(count * width);
          texts.forEach((text, i) => {
            const first = batch.prefix[i]! - 1;
            all.set(of(text, batch.prefix[i]!).subarray(first, width), i * width + first);
          });
          return all;
        };
        return {
          ...batch,
          floors: told((text) => mixtureSurprise(laws, text)),
          baselines: {
            'the last token alone': told((text) => lastTokenSurprise(laws, text)),
            'without the prefix but its last token': told((text, n) => mixtureSurprise(laws, text, n - 1)),
          },
        };
      },
      logits: (model, { inputIds, prefix }) => model.forward(inputIds, { prefix }).logits,
      goals: ({ excess, loss, baselines }) => [
        { what: 'loss above the floor', value: excess, is: 'at most', bound: 0.03 },
        {
          what: 'loss, where all but the prefix gives more',
          value: loss,
          is: 'at most',
          bound: baselines['without the prefix but its last token']! - 0.05,
        },
      ],
    };
  },
};
