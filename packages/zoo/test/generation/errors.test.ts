/** Options, prompts and models that make no sense say so, before anything is read. */
import { fromData, InfinigradError, Key, type Tensor } from '@infinigrad/tensor';
import {
  generate,
  generationSteps,
  infiniDecoder,
  InfiniTransformer,
  stream,
  streamText,
  TransformerXL,
  type GenerationOptions,
  type GenerativeModel,
  type Prompt,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { prompts, tinyLlama, tinyT5 } from './support.ts';

const llama = tinyLlama();
const key = new Key(0);
const unread: GenerativeModel = {
  forward: (): never => {
    throw new Error('was read');
  },
};

async function expectError(run: () => Promise<unknown>, name: string, message: string): Promise<void> {
  const error: unknown = await run().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InfinigradError);
  expect((error as InfinigradError).name).toBe(name);
  expect((error as InfinigradError).message).toContain(`generate: ${message}`);
}

describe('options', () => {
  const rows: readonly (readonly [message: string, options: Readonly<Record<string, unknown>>])[] = [
    ['maxNewTokens must be an integer ≥ 1, got 0', { maxNewTokens: 0 }],
    ['minNewTokens must be an integer ≥ 0, got -1', { minNewTokens: -1 }],
    ['numBeams must be an integer ≥ 1, got 1.5', { numBeams: 1.5 }],
    ['numReturnSequences must be an integer ≥ 1, got 0', { numReturnSequences: 0 }],
    ['lengthPenalty must be finite, got NaN', { lengthPenalty: NaN }],
    ["earlyStopping must be true, false or 'never', got always", { earlyStopping: 'always' }],
    ["cache must be 'growing', 'fixed' or 'none', got 'static'", { cache: 'static' }],
    ['penaltyAlpha must lie in [0, 1], got 2', { penaltyAlpha: 2 }],
    ['eosTokenId: tokens are integers ≥ 0, got -1', { eosTokenId: -1 }],
    ['stopTokenIds: tokens are integers ≥ 0, got 0.5', { stopTokenIds: [0.5] }],
    ['padTokenId: tokens are integers ≥ 0, got -2', { padTokenId: -2 }],
    ['decoderStartTokenId: tokens are integers ≥ 0, got -2', { decoderStartTokenId: -2 }],
    ['temperature tells how tokens are drawn, which needs a key', { temperature: 1 }],
    ['topK tells how tokens are drawn', { topK: 3 }],
    ['topP tells how tokens are drawn', { topP: 0.5 }],
    ['minP tells how tokens are drawn', { minP: 0.5 }],
    ['typicalP tells how tokens are drawn', { typicalP: 0.5 }],
    ['temperature must be a number > 0, got 0', { key, temperature: 0 }],
    ['topP must lie in (0, 1], got 0', { key, topP: 0 }],
    ['beam search draws nothing', { key, numBeams: 2 }],
    ['beam search draws nothing and is not contrastive', { penaltyAlpha: 0.5, topK: 2, numBeams: 2 }],
    ['contrastive search needs topK > 1, and no key', { penaltyAlpha: 0.5 }],
    ['contrastive search needs topK > 1, and no key', { penaltyAlpha: 0.5, topK: 2, key }],
    ['3 sequences for each prompt need a key, or as many beams', { numReturnSequences: 3, numBeams: 2 }],
    ['beam search tells sequenceScores alone', { numBeams: 2, outputScores: true }],
    ['beam search tells sequenceScores alone', { numBeams: 2, outputLogProbs: true }],
    ['stopStrings needs decode', { stopStrings: ['a'] }],
    ['stopStrings holds an empty string', { stopStrings: [''], decode: String }],
    ['an attentionMask goes with a tensor of prompts', { attentionMask: [[1]] }],
  ];
  test.each(rows)('%s', (message, options) =>
    expectError(() => generate(unread, [1, 2], options as GenerationOptions), 'ValueError', message),
  );
});

describe('prompts', () => {
  const tensor = (rows: readonly (readonly number[])[]): Tensor =>
    fromData(Int32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
  const two = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const rows: readonly (readonly [string, string, Prompt, GenerationOptions])[] = [
    ['ShapeError', 'there is no prompt', [], {}],
    ['ShapeError', 'a prompt needs at least one token', [[1], []], {}],
    ['ShapeError', 'a prompt needs at least one token', tensor([[0, 0]]), { padTokenId: 0 }],
    ['ValueError', 'prompt: tokens are integers ≥ 0, got -1', [3, -1], {}],
    ['ShapeError', 'a prompt is [T] or [batch, T]', two.unsqueeze(0), {}],
    ['ShapeError', 'attentionMask must have 2 rows', two, { attentionMask: [[1, 1, 1]] }],
    ['ShapeError', 'attentionMask must be [2, 3]', two, { attentionMask: [[1], [1]] }],
    [
      'ValueError',
      'padding must be on the left',
      two,
      {
        attentionMask: [
          [1, 1, 0],
          [1, 1, 1],
        ],
      },
    ],
    [
      'ValueError',
      'padding must be on the left',
      two,
      {
        attentionMask: [
          [1, 0, 1],
          [1, 1, 1],
        ],
      },
    ],
  ];
  test.each(rows)('%s: %s', (name, message, prompt, options) =>
    expectError(() => generate(unread, prompt, options), name, message),
  );
});

describe('models', () => {
  const infini = infiniDecoder(
    new InfiniTransformer({ vocabSize: 29, hiddenSize: 8, numLayers: 1, numHeads: 2, segmentLength: 4 }, key),
  );
  const t5 = tinyT5();

  test('streams are of one row, and not of beams', async () => {
    const drain = async (run: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of run);
    };
    await expectError(() => drain(stream(llama, prompts)), 'ValueError', 'a stream goes through one row');
    await expectError(
      () => drain(streamText(llama, prompts[0]!, {} as { decode: () => string })),
      'ValueError',
      'streamText needs decode',
    );
    const message = 'beam search knows its tokens only at the end';
    await expectError(() => drain(stream(llama, prompts[0]!, { numBeams: 2 })), 'ValueError', message);
    await expectError(
      () => drain(generationSteps(llama, prompts[0]!, { numBeams: 2 })),
      'ValueError',
      message,
    );
  });

  test('lack what is asked of them', async () => {
    const xl = new TransformerXL(
      { vocabSize: 5, hiddenSize: 4, numLayers: 1, numHeads: 2, segmentLength: 3 },
      new Key(0),
    );
    for (const segmented of [infini, xl])
      await expectError(
        () => generate(segmented, [[1, 2], [3]]),
        'ValueError',
        'segments begin for all rows together',
      );
    const plain: GenerativeModel = {
      forward: (tokens: Tensor) => ({ logits: llama.forward(tokens).logits }),
    };
    await expectError(
      () => generate(plain, [1], { penaltyAlpha: 0.5, topK: 2 }),
      'ValueError',
      'contrastive search needs a model that gives its hidden states',
    );
    const nameless: GenerativeModel = {
      encode: () => ({}),
      forward: (tokens: Tensor) => t5.forward(tokens, { decoderInputIds: tokens }),
    };
    await expectError(
      () => generate(nameless, [1]),
      'ValueError',
      'an encoder-decoder model needs a decoderStartTokenId',
    );
  });
});
