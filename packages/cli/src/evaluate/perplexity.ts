/** Perplexity: how many tokens a model wavers between, in the mean. */
import { crossEntropy, evaluate, type PackedRow } from '@infinigrad/nn';
import { causalBatch, type CausalBatch, type Tokenizer } from '@infinigrad/zoo';
import { CommandError } from '../errors.ts';
import type { LoadedModel } from '../model.ts';
import { windowRow } from '../train/windows.ts';

export interface PerplexityOptions {
  /** Tokens in a window. */
  readonly length: number;
  /** Tokens from one window to the next; those of a window that were told before are only read. */
  readonly stride: number;
  readonly batchSize: number;
  /** Tokens of the text. */
  readonly limit: number;
}

export interface Perplexity {
  readonly perplexity: number;
  /** Nats a token. */
  readonly loss: number;
  readonly bitsPerByte: number;
  /** That were told; the first of a text is given. */
  readonly tokens: number;
}

/** @throws CommandError for a text of less than two tokens, and one with tokens that the model does not have */
export async function perplexity(
  { model, vocabSize }: Pick<LoadedModel, 'model' | 'vocabSize'>,
  tokenizer: Tokenizer,
  text: string,
  options: PerplexityOptions,
): Promise<Perplexity> {
  const all = tokenizer.encode(text, { special: false });
  const tokens = checkedTokens(all, vocabSize, options.limit);
  const told = tokens.length - 1;
  const { loss } = await evaluate(
    model,
    (own, { inputIds, targets }: CausalBatch) => crossEntropy(own.forward(inputIds).logits, targets),
    batches(tokens, options),
    { weight: ({ count }) => count },
  );
  const bytes = new TextEncoder().encode(tokenizer.decode(tokens.subarray(1))).length;
  return {
    perplexity: Math.exp(loss),
    loss,
    bitsPerByte: (loss * told) / Math.LN2 / Math.max(1, bytes),
    tokens: told,
  };
}

/** @throws CommandError for less than two tokens, and for one that the model does not have */
export function checkedTokens(all: Int32Array, vocabSize: number, limit: number): Int32Array {
  const tokens = all.subarray(0, Math.min(all.length, limit));
  if (tokens.length < 2)
    throw new CommandError(`the text has ${tokens.length} tokens: at least 2 are needed`);
  const unknown = tokens.find((id) => id >= vocabSize);
  if (unknown !== undefined)
    throw new CommandError(`the tokenizer makes token ${unknown}, and the model has ${vocabSize}`);
  return tokens;
}

/** Every token but the first is a target once. */
function* batches(
  tokens: Int32Array,
  { length, stride, batchSize }: PerplexityOptions,
): Generator<CausalBatch, void, undefined> {
  let rows: PackedRow[] = [];
  let told = 1;
  for (let start = 0; told < tokens.length; start += stride) {
    const size = Math.min(length, tokens.length - 1 - start);
    const row = windowRow(tokens, start, size);
    const known = told - start - 1;
    const targets = row.targets.fill(-100, 0, known);
    // Rows of one length go together.
    if (rows.length > 0 && rows[0]!.tokens.length !== size) {
      yield causalBatch(rows);
      rows = [];
    }
    rows.push({ ...row, targets, count: size - known });
    told = start + size + 1;
    if (rows.length < batchSize) continue;
    yield causalBatch(rows);
    rows = [];
  }
  if (rows.length > 0) yield causalBatch(rows);
}
