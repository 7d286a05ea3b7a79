/** Generation step by step: what `generate` gathers and `stream` hands on. */
import { Turns } from '@infinigrad/nn';
import { ValueError, type Tensor } from '@infinigrad/tensor';
import { Contrastive } from './contrastive.ts';
import { tokenDefaults, hasEncoder, type GenerativeModel } from './model.ts';
import { settingsOf, type GenerationOptions, type Settings } from './options.ts';
import { openReader, promptRows, type Opened, type Prompt } from './prompts.ts';
import { finishReason, type FinishReason } from './stopping.ts';
import { repeated, Stepwise, type Strategy } from './strategy.ts';

/** What one step has added. Rows are the prompts', each `numReturnSequences` times. */
export interface GenerationStep {
  /** The token of each row; null for rows that had ended before. */
  readonly tokens: readonly (number | null)[];
  /** Why rows have ended, with this step or before; null for those that go on. */
  readonly finishReasons: readonly (FinishReason | null)[];
  /** With `outputLogProbs`: the log-probability of each token. */
  readonly logProbs?: readonly (number | null)[];
  /** With `outputScores`: the logits after processing, [rows, vocabulary]. */
  readonly scores?: Tensor;
}

export interface Prepared {
  readonly settings: Settings;
  readonly rows: readonly (readonly number[])[];
}

/** Everything that may be wrong is found here. */
export async function prepare(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions,
): Promise<Prepared> {
  const settings = settingsOf(options, tokenDefaults(model));
  const side = hasEncoder(model) ? 'both' : 'left';
  return { settings, rows: await promptRows(prompt, options.attentionMask, settings.givenPadToken, side) };
}

/**
 * The tokens of one step after the other, of all rows, until every row has ended. Ending the iteration early ends generation and
 * gives its memory back.
 * @throws what `generate` throws, and ValueError for beam search, which knows its tokens only at the end
 */
export async function* generationSteps(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions = {},
): AsyncGenerator<GenerationStep, void, undefined> {
  const { settings, rows } = await prepare(model, prompt, options);
  if (settings.numBeams > 1)
    throw new ValueError('generate', 'beam search knows its tokens only at the end', {
      hint: 'call generate, or leave out numBeams',
    });
  settings.signal?.throwIfAborted();
  const opened = openReader(model, rows, settings);
  const strategy: Strategy =
    settings.penaltyAlpha > 0 ? new Contrastive(opened, settings) : new Stepwise(opened, settings);
  try {
    yield* run(strategy, opened, settings);
  } finally {
    strategy.release?.();
    opened.reader.release();
  }
}

async function* run(
  strategy: Strategy,
  { sequences: prompts }: Opened,
  settings: Settings,
): AsyncGenerator<GenerationStep, void, undefined> {
  const order = repeated(prompts.length, settings.numReturnSequences);
  const sequences = order.map((i) => [...prompts[i]!]);
  const generated: number[][] = order.map(() => []);
  const reasons: (FinishReason | null)[] = order.map(() => null);
  const turns = new Turns();
  let last: number[] | null = null;
  for (let step = 0; reasons.includes(null); step++) {
    await turns.give();
    settings.signal?.throwIfAborted();
    const { tokens, logProbs, scores } = await strategy.next(last, sequences, step);
    const open = reasons.map((reason) => reason === null);
    last = tokens.map((token, i) => (open[i] ? token : settings.padToken));
    for (const [i, token] of last.entries()) {
      if (!open[i]) continue;
      sequences[i]!.push(token);
      generated[i]!.push(token);
      reasons[i] = finishReason(generated[i]!, settings);
    }
    const shown = <T>(values: readonly T[]): (T | null)[] => values.map((x, i) => (open[i] ? x : null));
    yield {
      tokens: shown(tokens),
      finishReasons: [...reasons],
      ...(logProbs && { logProbs: shown(logProbs) }),
      ...(scores && { scores }),
    };
  }
}
