/** The loss of an objective on a text: what is to be told is drawn as in training. */
import { evaluate } from '@infinigrad/nn';
import type { Tokenizer } from '@infinigrad/zoo';
import { CommandError } from '../errors.ts';
import type { LoadedModel } from '../model.ts';
import { lossOf, tokensOf, type Batch, type Course } from '../objectives/courses.ts';
import { evaluationBatches } from '../train/data.ts';
import { checkedTokens } from './perplexity.ts';

export interface ObjectiveLoss {
  /** Nats a target. */
  readonly loss: number;
  /** Share of the targets that the model would have guessed. */
  readonly accuracy: number;
  readonly targets: number;
  /** Tokens of the text. */
  readonly tokens: number;
}

/** @throws CommandError for a text without a whole window, and one with tokens that the model does not have */
export async function objectiveLoss(
  { model, vocabSize }: Pick<LoadedModel, 'model' | 'vocabSize'>,
  tokenizer: Tokenizer,
  texts: readonly string[],
  course: Course,
  { batchSize, limit, seed }: { readonly batchSize: number; readonly limit: number; readonly seed: number },
): Promise<ObjectiveLoss> {
  const tokens = checkedTokens(tokensOf(texts, tokenizer, course), vocabSize, limit);
  if (tokens.length < course.window)
    throw new CommandError(
      `the text has ${tokens.length} tokens, and a window ${course.window}: take a smaller --length`,
    );
  let targets = 0;
  const { loss, accuracy } = await evaluate(
    model,
    (own, batch: Batch) => lossOf(course, own, batch),
    counting(evaluationBatches(course, tokens, { batchSize, seed, batches: Infinity }), (count) => {
      targets += count;
    }),
    { weight: ({ count }) => count },
  );
  return { loss, accuracy: accuracy!, targets, tokens: tokens.length };
}

function* counting(
  batches: Iterable<Batch>,
  add: (count: number) => void,
): Generator<Batch, void, undefined> {
  for (const batch of batches) {
    add(batch.count);
    yield batch;
  }
}
