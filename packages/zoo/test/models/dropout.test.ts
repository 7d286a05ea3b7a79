/** Whatever drops something in a model draws by a key of its own: none repeats what another has dropped. */
import { Key } from '@infinigrad/tensor';
import { expect, test, vi } from 'vitest';
import { families, made, vocabulary } from './families.ts';
import { randomIds } from './row.ts';

const bert = { hiddenDropoutProb: 0.2, attentionProbsDropoutProb: 0.3, classifierDropout: 0.4 };
const gpt2 = { embdPdrop: 0.2, residPdrop: 0.3, attnPdrop: 0.4 };
const gptNeo = { embedDropout: 0.2, residDropout: 0.3, attentionDropout: 0.4 };
const attention = { attentionDropout: 0.3 };

/** Options, and how many times something is dropped, with two layers (of T5's decoder three). */
const rows: Readonly<Record<string, readonly [options: object, count: number]>> = {
  LlamaForCausalLM: [attention, 2],
  GlmForCausalLM: [attention, 2],
  GopherForCausalLM: [attention, 2],
  GPT2LMHeadModel: [gpt2, 1 + 2 * 3],
  GPTNeoForCausalLM: [gptNeo, 1 + 2 * 3],
  GlmForBlankInfilling: [
    { embeddingDropoutProb: 0.2, attentionDropoutProb: 0.3, outputDropoutProb: 0.4 },
    1 + 2 * 3,
  ],
  BertModel: [bert, 1 + 2 * 3],
  BertForMaskedLM: [bert, 1 + 2 * 3],
  BertForSequenceClassification: [bert, 1 + 2 * 3 + 1],
  BertForTokenClassification: [bert, 1 + 2 * 3 + 1],
  // Beside what a block adds: weights of attention, within the feed-forward layer, before and after a stack.
  T5EncoderModel: [{ dropoutRate: 0.2 }, 2 + 2 * 4],
  T5ForConditionalGeneration: [{ dropoutRate: 0.2 }, 2 + 2 * 4 + 2 + 3 * 6],
};

test.each(Object.entries(rows))('%s', (name, [options, count]) => {
  for (const seed of [1, 2]) {
    const model = made(name, 0, options).train();
    const drawn = vi.spyOn(Key.prototype, 'bernoulli');
    try {
      families[name]!.call(model, randomIds(vocabulary, 1, 7), { key: new Key(seed) });
      const keys = drawn.mock.contexts.map((key) => (key as Key).bits(2).join());
      expect(keys).toHaveLength(count);
      expect(new Set(keys).size).toBe(count);
    } finally {
      drawn.mockRestore();
    }
  }
});
