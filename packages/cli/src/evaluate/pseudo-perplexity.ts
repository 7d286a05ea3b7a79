/** Pseudo-perplexity (arXiv 1910.14659): how many tokens a model wavers between for each token, all others being seen. */
import { crossEntropy, evaluate } from '@infinigrad/nn';
import { fromData, type Tensor } from '@infinigrad/tensor';
import type { Tokenizer } from '@infinigrad/zoo';
import type { LoadedModel } from '../model.ts';
import { maskTokens, plainTokens } from '../objectives/special.ts';
import { checkedTokens } from './perplexity.ts';

export interface PseudoPerplexityOptions {
  /** Tokens that the model reads at once. */
  readonly length: number;
  /** Rows together, each with one token masked. */
  readonly batchSize: number;
  /** Tokens of the text. */
  readonly limit: number;
}

export interface PseudoPerplexity {
  readonly pseudoPerplexity: number;
  /** Nats a token. */
  readonly loss: number;
  readonly tokens: number;
}

interface Rows {
  readonly inputIds: Tensor;
  readonly targets: Tensor;
  readonly count: number;
}

/** @throws CommandError for a text of less than two tokens, and one with tokens that the model does not have */
export async function pseudoPerplexity(
  { model, vocabSize }: Pick<LoadedModel, 'model' | 'vocabSize'>,
  tokenizer: Tokenizer,
  text: string,
  options: PseudoPerplexityOptions,
): Promise<PseudoPerplexity> {
  const tokens = checkedTokens(plainTokens(tokenizer, text), vocabSize, options.limit);
  const { loss } = await evaluate(
    model,
    (own, { inputIds, targets }: Rows) => crossEntropy(own.forward(inputIds).logits, targets),
    rowsOf(tokens, tokenizer, options),
    { weight: ({ count }) => count },
  );
  return { pseudoPerplexity: Math.exp(loss), loss, tokens: tokens.length };
}

/** Each token of each window masked once, in a row of its own. */
function* rowsOf(
  tokens: Int32Array,
  tokenizer: Tokenizer,
  { length, batchSize }: PseudoPerplexityOptions,
): Generator<Rows, void, undefined> {
  const { mask, before, after } = maskTokens(tokenizer);
  const room = Math.max(1, length - before.length - after.length);
  for (let from = 0; from < tokens.length; from += room) {
    const window = [...before, ...tokens.subarray(from, from + room), ...after];
    const size = Math.min(room, tokens.length - from);
    for (let first = 0; first < size; first += batchSize) {
      const count = Math.min(batchSize, size - first);
      const inputIds = new Int32Array(count * window.length);
      const targets = new Int32Array(inputIds.length).fill(-100);
      for (let row = 0; row < count; row++) {
        const at = row * window.length + before.length + first + row;
        inputIds.set(window, row * window.length);
        targets[at] = inputIds[at]!;
        inputIds[at] = mask;
      }
      const shape = [count, window.length];
      yield { inputIds: fromData(inputIds, shape), targets: fromData(targets, shape), count };
    }
  }
}
