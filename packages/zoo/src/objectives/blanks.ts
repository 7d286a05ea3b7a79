/** Which spans blank infilling takes out (GLM, arXiv 2103.10360, sections 2.1 and 2.2). */
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount } from './checks.ts';
import { cumulativeOf, Draws } from './draws.ts';

/** A span of a text: its first place and the one after its last. */
export type Span = readonly [from: number, to: number];

export interface BlankOptions {
  /**
   * `spans`: short ones, all over the text. `sentences`: whole sentences. `document`: all from some place on, half of the text or more,
   * as it is when text is generated. Default `spans`.
   */
  readonly kind?: 'spans' | 'sentences' | 'document';
  /** Spans and sentences are drawn until this much of the text is taken out. Default 0.15. */
  readonly rate?: number;
  /** Lengths of `spans` are Poisson with this mean, among 1 … longest. Default 3. */
  readonly meanLength?: number;
  /** Default 39. */
  readonly longest?: number;
  /** `sentences`: true for a token that ends one. */
  readonly endsSentence?: (id: number) => boolean;
}

/** Spans of a text in the order of the text; no two of `spans` touch. @throws ValueError for settings out of range */
export function drawBlanks(tokens: ArrayLike<number>, options: BlankOptions, key: Key): Span[] {
  const op = 'drawBlanks';
  const { kind = 'spans', rate = 0.15, meanLength = 3, longest = 39, endsSentence } = options;
  const { length } = tokens;
  checkCount(op, 'tokens', length);
  checkCount(op, 'longest', longest);
  if (!(rate > 0 && rate <= 1)) throw new ValueError(op, `rate must lie in (0, 1], got ${rate}`);
  if (!(meanLength > 0 && meanLength < 1000))
    throw new ValueError(op, `meanLength must lie in (0, 1000), got ${meanLength}`);
  const draws = new Draws(key);
  const enough = Math.ceil(length * rate);
  if (kind === 'document') {
    const least = Math.ceil(length / 2);
    return [[length - least - draws.below(length - least + 1), length]];
  }
  if (kind === 'sentences') {
    if (!endsSentence)
      throw new ValueError(op, 'sentences need endsSentence', {
        hint: 'tell which tokens end one: endsSentence: (id) => id === stop',
      });
    const chosen: Span[] = [];
    let taken = 0;
    for (const span of draws.shuffle(sentencesOf(tokens, endsSentence))) {
      if (taken >= enough) break;
      chosen.push(span);
      taken += span[1] - span[0];
    }
    return chosen.sort((a, b) => a[0] - b[0]);
  }
  if (kind !== 'spans')
    throw new ValueError(op, `kind must be spans, sentences or document, got '${String(kind)}'`);
  return placed(spanLengthsOf(length, enough, poisson(meanLength, longest), draws), length, draws);
}

/** P(1), …, P(longest) of a Poisson law without all else; its factor exp(-mean) cancels. Cumulative. */
function poisson(mean: number, longest: number): Float64Array {
  const weights: number[] = [];
  let weight = 1;
  for (let k = 1; k <= longest; k++) {
    weight *= mean / k;
    weights.push(weight);
  }
  return cumulativeOf(weights);
}

/** Lengths until there are enough tokens. The last is cut where the spans, with a token between any two, would not fit. */
function spanLengthsOf(length: number, enough: number, law: Float64Array, draws: Draws): number[] {
  const lengths: number[] = [];
  let taken = 0;
  while (taken < enough) {
    const room = length - taken - lengths.length;
    if (room <= 0) break;
    const span = Math.min(1 + draws.pick(law), room);
    lengths.push(span);
    taken += span;
  }
  return draws.shuffle(lengths);
}

/** Spans of these lengths with at least one token between any two, every way being as likely. */
function placed(lengths: readonly number[], length: number, draws: Draws): Span[] {
  const spans = lengths.length;
  const slack = length - lengths.reduce((sum, n) => sum + n, 0) - (spans - 1);
  // Which of slack + spans places are spans: the others are what lies before, between and after them.
  const places = new Uint8Array(slack + spans).fill(1, 0, spans);
  draws.shuffle(places);
  const found: Span[] = [];
  let at = 0;
  for (const place of places) {
    if (!place) {
      at++;
      continue;
    }
    const to = at + lengths[found.length]!;
    found.push([at, to]);
    at = to + 1;
  }
  return found;
}

/** All of a text, sentence by sentence; what is left at the end is one too. */
function sentencesOf(tokens: ArrayLike<number>, endsSentence: (id: number) => boolean): Span[] {
  const sentences: Span[] = [];
  let from = 0;
  for (let i = 0; i < tokens.length; i++)
    if (endsSentence(tokens[i]!) || i === tokens.length - 1) {
      sentences.push([from, i + 1]);
      from = i + 1;
    }
  return sentences;
}
