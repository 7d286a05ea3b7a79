/** One prompt's answer as it comes: tokens, or text. */
import { ValueError } from '@infinigrad/tensor';
import type { GenerativeModel } from './model.ts';
import type { GenerationOptions } from './options.ts';
import type { Prompt } from './prompts.ts';
import { generationSteps } from './steps.ts';
import { textOf, type FinishReason } from './stopping.ts';

interface Piece {
  readonly token: number;
  readonly reason: FinishReason | null;
}

async function* pieces(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions,
): AsyncGenerator<Piece, void, undefined> {
  for await (const { tokens, finishReasons } of generationSteps(model, prompt, options)) {
    if (tokens.length > 1)
      throw new ValueError('generate', `a stream goes through one row of tokens, got ${tokens.length}`, {
        hint: 'generationSteps goes through several together',
      });
    yield { token: tokens[0]!, reason: finishReasons[0]! };
  }
}

/**
 * The tokens of one prompt's answer as they come: `for await (const token of stream(model, prompt))`. Ending the loop ends generation.
 * @throws as `generate`, and ValueError for several prompts or beams
 */
export async function* stream(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions = {},
): AsyncGenerator<number, void, undefined> {
  for await (const { token } of pieces(model, prompt, options)) yield token;
}

/** Tokens after which those before are no longer decoded again, and those of them that still are: a decoder may treat the first otherwise. */
const fewest = 48;
const overlap = 8;

/** How much of the end of a text may still change: halves of characters, and what a stop string may begin with. */
function unsettled(text: string, stopStrings: readonly string[]): number {
  const whole = text.replace(/\uFFFD+$/, '');
  let most = 0;
  for (const stop of stopStrings)
    for (let n = Math.min(stop.length - 1, whole.length); n > most; n--)
      if (whole.endsWith(stop.slice(0, n))) most = n;
  return text.length - whole.length + most;
}

/**
 * The text of one prompt's answer, piece by piece: whole characters, and nothing of what ends it. Together they are what
 * `generate` gives as `texts[0]`.
 * @throws as `stream`, and ValueError without `decode`
 */
export async function* streamText(
  model: GenerativeModel,
  prompt: Prompt,
  options: GenerationOptions & { readonly decode: (tokens: readonly number[]) => string },
): AsyncGenerator<string, void, undefined> {
  const { decode, stopStrings = [] } = options;
  if (typeof decode !== 'function') throw new ValueError('generate', 'streamText needs decode');
  const longestStop = Math.max(0, ...stopStrings.map(({ length }) => length));
  const tokens: number[] = [];
  let given = 0;
  /** Not the whole text is decoded for each token, but what comes from here on, of which so much has been given. */
  let from = 0;
  let told = '';
  for await (const { token, reason } of pieces(model, prompt, options)) {
    tokens.push(token);
    if (reason) {
      const rest = textOf(tokens, reason, { decode, stopStrings }).slice(given);
      if (rest !== '') yield rest;
      continue;
    }
    const text = decode(tokens.slice(from));
    const settled = text.slice(0, text.length - unsettled(text, stopStrings));
    // Where a decoder changes what it has said before, the rest waits for the end.
    if (settled.length > told.length && settled.startsWith(told)) {
      yield settled.slice(told.length);
      given += settled.length - told.length;
      told = settled;
    }
    if (tokens.length - from <= fewest + 2 * longestStop || !text.startsWith(told)) continue;
    const later = tokens.length - overlap - longestStop;
    const end = decode(tokens.slice(later));
    // What is not settled may become a stop string, and then from its own beginning only.
    const open = text.slice(told.length);
    if (!end.endsWith(open)) continue;
    from = later;
    told = end.slice(0, end.length - open.length);
  }
}
