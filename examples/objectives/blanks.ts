/** GLM on a Markov chain: blanks are filled in token by token, from both sides, and must end where they end. */
import { blankBatch, blankRow, GlmForBlankInfilling, randomChain, type BlankBatch } from '@infinigrad/zoo';
import { blankSurprise, type Blanking } from './blank-law.ts';
import type { Experiment, Scored, Task } from './experiment.ts';

const states = 16;
const tokens = { mask: states, start: states + 1, end: states + 2 };
const pad = states + 3;
const law: Omit<Blanking, 'length'> = { rate: 0.25, meanLength: 3, longest: 8 };

type Batch = BlankBatch & Scored;

export const glm: Experiment = {
  title: `GLM: blanks in texts of a Markov chain with ${states} states`,
  recipe: { steps: 1600, batchSize: 64, length: 32, learningRate: 5e-3, evaluationTexts: 512 },
  build({ length }, keys): Task<GlmForBlankInfilling, Batch> {
    const chain = randomChain({ states, sharpness: 2 }, keys.source);
    const model = new GlmForBlankInfilling(
      {
        vocabSize: pad + 1,
        hiddenSize: 64,
        numLayers: 2,
        numAttentionHeads: 4,
        maxSequenceLength: length,
        initializerRange: 0.1,
        embeddingDropoutProb: 0,
        attentionDropoutProb: 0,
        outputDropoutProb: 0,
      },
      keys.model,
    );
    const options = { kind: 'spans', ...law, ...tokens, pad } as const;
    return {
      model,
      source: { unigram: chain.unigram, bigram: chain.bigram, 'both sides known': chain.twoSided },
      batch(count, key) {
        const texts = chain.samples(count, length, key.foldIn(0));
        const batch = blankBatch(texts, options, key.foldIn(1));
        const width = batch.targets.shape[1]!;
        const [floors, leftSide] = [new Float64Array(count * width), new Float64Array(count * width)];
        texts.forEach((text, i) => {
          const row = blankRow(text, options, key.foldIn(1).foldIn(i));
          const surprise = blankSurprise(chain, row, tokens, { length, ...law });
          floors.set(surprise.bothSides, i * width);
          leftSide.set(surprise.leftSide, i * width);
        });
        return { ...batch, floors, baselines: { 'left side alone': leftSide } };
      },
      logits: (model, { inputIds, ...batch }) => model.forward(inputIds, batch).logits,
      goals: ({ excess, loss, baselines }) => [
        { what: 'loss above the floor', value: excess, is: 'at most', bound: 0.1 },
        {
          what: 'loss, where the left side alone gives more',
          value: loss,
          is: 'at most',
          bound: baselines['left side alone']! - 0.05,
        },
      ],
    };
  },
};
