/** Whole answers. */
import type { Tensor } from '@infinigrad/tensor';
import { beamSearch } from './beams.ts';
import type { GenerativeModel } from './model.ts';
import type { GenerationOptions, Settings } from './options.ts';
import type { Prompt } from './prompts.ts';
import { hasEncoder } from './model.ts';
import { generationSteps, prepare } from './steps.ts';
import { textOf, type FinishReason } from './stopping.ts';

/** Rows are the prompts', each `numReturnSequences` times. */
export interface Generation {
  /** The new tokens of each row, with what ended it. */
  readonly tokens: readonly (readonly number[])[];
  /** Prompt and new tokens, without padding; of an encoder-decoder model, the start token and those. */
  readonly sequences: readonly (readonly number[])[];
  readonly finishReasons: readonly FinishReason[];
  /** With `decode`: the text of the new tokens, without the token or from the stop string on that ended it. */
  readonly texts?: readonly string[];
  /** With beams: sum of log-probabilities / length ** lengthPenalty. */
  readonly sequenceScores?: readonly number[];
  /** With `outputLogProbs`: the log-probability of each new token. */
  readonly logProbs?: readonly (readonly number[])[];
  /** With `outputScores`: the logits after processing of each step, [rows, vocabulary]. */
  readonly scores?: readonly Tensor[];
}

interface Row {
  readonly tokens: readonly number[];
  readonly reason: FinishReason;
}

function resultOf(
  prompts: readonly (readonly number[])[],
  rows: readonly Row[],
  settings: Settings,
): Generation {
  const copies = rows.length / prompts.length;
  return {
    tokens: rows.map(({ tokens }) => tokens),
    sequences: rows.map(({ tokens }, i) => [...prompts[Math.floor(i / copies)]!, ...tokens]),
    finishReasons: rows.map(({ reason }) => reason),
    ...(settings.decode && { texts: rows.map(({ tokens, reason }) => textOf(tokens, reason, settings)) }),
  };
}

/**
 * Continues prompts (or answers them, with an encoder-decoder model). Without options: greedily, 20 tokens or up to the
 * end token. One small read a token; memory stays as it is but for what the model remembers.
 * @param model in eval mode
 * @param prompt tokens; rows of several lengths are padded, and give what each would give alone
 * @throws ValueError for options and prompts that make no sense, ShapeError for prompts of other shapes; the signal's reason
 * once it is aborted
 */
export async function generate(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions = {},
): Promise<Generation> {
  const { settings, rows } = await prepare(model, prompt, options);
  const prompts = hasEncoder(model) ? rows.map(() => [settings.startToken!]) : rows;
  if (settings.numBeams > 1) {
    const beams = (await beamSearch(model, rows, settings)).flat();
    return {
      ...resultOf(prompts, beams, settings),
      sequenceScores: beams.map(({ score }) => score),
    };
  }
  const count = rows.length * settings.numReturnSequences;
  const tokens = Array.from({ length: count }, (): number[] => []);
  const logProbs = tokens.map((): number[] => []);
  const scores: Tensor[] = [];
  let reasons: readonly (FinishReason | null)[] = [];
  for await (const step of generationSteps(model, rows, { ...options, attentionMask: undefined })) {
    step.tokens.forEach((token, i) => token !== null && tokens[i]!.push(token));
    step.logProbs?.forEach((logProb, i) => logProb !== null && logProbs[i]!.push(logProb));
    if (step.scores) scores.push(step.scores);
    reasons = step.finishReasons;
  }
  return {
    ...resultOf(
      prompts,
      tokens.map((row, i) => ({ tokens: row, reason: reasons[i]! })),
      settings,
    ),
    ...(settings.outputLogProbs && { logProbs }),
    ...(settings.outputScores && { scores }),
  };
}
