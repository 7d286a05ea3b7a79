/** How weights start, of those families whose own tests do not say: means of 0, deviations as their configurations name them. */
import { Key, type Tensor } from '@infinigrad/tensor';
import {
  GlmForBlankInfilling,
  GlmForCausalLM,
  GopherForCausalLM,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  LlamaForCausalLM,
  TransformerXL,
  type PretrainedModel,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';

const llama = {
  vocabSize: 100,
  hiddenSize: 48,
  intermediateSize: 80,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  headDim: 16,
  initializerRange: 0.3,
  tieWordEmbeddings: false,
} as const;
/** The names that Gopher has. */
const { numKeyValueHeads: _, ...gopher } = llama;
const segmented = {
  vocabSize: 100,
  hiddenSize: 48,
  intermediateSize: 80,
  numLayers: 2,
  numHeads: 2,
  segmentLength: 8,
} as const;
const init = { embeddingStd: 0.3, gain: 1.5 } as const;

/** By inputs: `gain` / √inputs, and for tables `embeddingStd`. */
const scaled = (name: string, { shape }: Tensor): number =>
  name === 'embedTokens.weight' ? 0.3 : 1.5 / Math.sqrt(shape[1]!);

/** The deviation that a matrix has by its name; null where it does not start from draws. */
type Deviation = (name: string, matrix: Tensor) => number | null;

const rows: Readonly<
  Record<string, readonly [make: (key: Key) => PretrainedModel<object>, deviation: Deviation]>
> = {
  LLaMA: [(key) => new LlamaForCausalLM(llama, key), () => 0.3],
  'LLaMA with memories': [(key) => new InfiniLlamaForCausalLM(llama, key), () => 0.3],
  GLM: [(key) => new GlmForCausalLM({ ...llama, padTokenId: null }, key), () => 0.3],
  Gopher: [
    (key) => new GopherForCausalLM(gopher, key),
    (name) => (/(content|position)Bias$/.test(name) ? null : 0.3),
  ],
  'the first GLM': [
    (key) =>
      new GlmForBlankInfilling(
        { vocabSize: 100, hiddenSize: 48, numLayers: 2, numAttentionHeads: 4, initializerRange: 0.3 },
        key,
      ),
    (name) => (/(oProj|downProj)\.weight$/.test(name) ? 0.3 / 2 : 0.3),
  ],
  'Transformer-XL': [
    (key) => new TransformerXL(segmented, key, init),
    (name, x) => (/(content|position)Bias$/.test(name) ? null : scaled(name, x)),
  ],
  'Infini-Transformer': [(key) => new InfiniTransformer(segmented, key, init), scaled],
};

describe.each(Object.entries(rows))('%s', (_, [make, deviation]) => {
  const model = make(new Key(3));
  const parameters = [...model.namedParameters()];

  test('matrices', () => {
    for (const [name, p] of parameters.filter(([, { rank }]) => rank > 1)) {
      const wanted = deviation(name, p);
      const size = Number(p.detach().square().mean().sqrt().itemSync());
      if (wanted === null) {
        expect(size, name).toBe(0);
        continue;
      }
      // Within 5 deviations of what a sample of so many has.
      const near = 5 / Math.sqrt(2 * p.size);
      expect(Math.abs(size / wanted - 1), name).toBeLessThan(near);
      expect(Math.abs(Number(p.detach().mean().itemSync())), name).toBeLessThan(
        (5 * wanted) / Math.sqrt(p.size),
      );
    }
  });

  test('norms are 1 and biases 0', () => {
    for (const [name, p] of parameters.filter(([, { rank }]) => rank === 1))
      expect([name, Array.from(new Set(p.dataSync()))]).toEqual([
        name,
        [/[nN]orm\.weight$/.test(name) ? 1 : 0],
      ]);
  });

  test('no two matrices are the same', () => {
    const first = parameters.filter(([, { rank }]) => rank > 1).map(([, p]) => p.dataSync()[0]);
    const drawn = first.filter((x) => x !== 0);
    expect(new Set(drawn).size).toBe(drawn.length);
  });
});
