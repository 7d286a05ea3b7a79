/**
 * Masked language modelling (BERT, arXiv 1810.04805): of the tokens that are chosen, most become [MASK], some another token, and some
 * stay as they are; all of them are to be told. Each key chooses anew (RoBERTa's dynamic masking, arXiv 1907.11692).
 */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import {
  checkCount,
  checkId,
  checkRate,
  checkTokens,
  ignored,
  roundHalfEven,
  type Tokens,
} from './checks.ts';
import { Draws } from './draws.ts';
import { counted, paddedRows, presence, rowLength } from './rows.ts';

export interface MaskingOptions {
  /** Random tokens are drawn from 0 … vocabSize - 1. */
  readonly vocabSize: number;
  /** The id of [MASK]. */
  readonly mask: number;
  /** Never chosen: [CLS], [SEP], padding. Default: none. */
  readonly special?: Iterable<number>;
  /** Of the tokens, how many are chosen. Default 0.15. */
  readonly rate?: number;
  /** Of the chosen, how many become [MASK]. Default 0.8. */
  readonly masked?: number;
  /** Of the chosen, how many become a random token. Default 0.1. What is left of 1 stays as it is. */
  readonly random?: number;
  /**
   * Whole words: true for an id that goes on with the word before it (`continuations` of a tokenizer). Words are then drawn until
   * max(1, round(rate · tokens)) tokens are chosen; one that would be too much is passed over. Default: single tokens.
   */
  readonly continues?: (id: number) => boolean;
  /** Most tokens that are chosen in a row. Default 512 for whole words, else no limit. */
  readonly most?: number;
}

export interface MaskedRow {
  readonly inputIds: Int32Array;
  /** The token that stood there; -100 where none was chosen. */
  readonly targets: Int32Array;
}

/** Masks one row. @throws ValueError for settings or tokens out of range */
export function maskTokens(tokens: Tokens, options: MaskingOptions, key: Key): MaskedRow {
  const op = 'maskTokens';
  const { vocabSize, mask, rate = 0.15, masked = 0.8, random = 0.1, continues } = options;
  checkTokens(op, tokens, 0);
  checkCount(op, 'vocabSize', vocabSize);
  checkId(op, 'mask', mask);
  checkRate(op, 'rate', rate);
  checkRate(op, 'masked', masked);
  checkRate(op, 'random', random);
  if (masked + random > 1 + 1e-12)
    throw new ValueError(op, `masked and random must not be more than 1 together, got ${masked} + ${random}`);
  const most = options.most ?? (continues ? 512 : Infinity);
  if (most !== Infinity) checkCount(op, 'most', most);
  const special = new Set(options.special);
  const draws = new Draws(key);
  const open: number[] = [];
  for (let i = 0; i < tokens.length; i++) if (!special.has(tokens[i]!)) open.push(i);
  const chosen = continues
    ? wholeWords(wordsOf(tokens, open, continues), wordBudget(open.length, rate, most), draws)
    : atMost(
        open.filter(() => draws.chance(rate)),
        most,
        draws,
      );

  const inputIds = Int32Array.from(tokens);
  const targets = new Int32Array(tokens.length).fill(ignored);
  for (const at of chosen) {
    targets[at] = tokens[at]!;
    const u = draws.unit();
    if (u < masked) inputIds[at] = mask;
    else if (u < masked + random) inputIds[at] = draws.below(vocabSize);
  }
  return { inputIds, targets };
}

const wordBudget = (tokens: number, rate: number, most: number): number =>
  tokens === 0 ? 0 : Math.min(most, Math.max(1, roundHalfEven(tokens * rate)));

/** Places of words: a token that continues belongs to the one right before it. */
function wordsOf(tokens: Tokens, open: readonly number[], continues: (id: number) => boolean): number[][] {
  const words: number[][] = [];
  for (const at of open) {
    const word = words.at(-1);
    if (word && word.at(-1) === at - 1 && continues(tokens[at]!)) word.push(at);
    else words.push([at]);
  }
  return words;
}

function wholeWords(words: number[][], budget: number, draws: Draws): number[] {
  const chosen: number[] = [];
  for (const word of draws.shuffle(words)) {
    if (chosen.length >= budget) break;
    if (chosen.length + word.length <= budget) chosen.push(...word);
  }
  return chosen.sort((a, b) => a - b);
}

function atMost(places: number[], most: number, draws: Draws): number[] {
  if (places.length <= most) return places;
  return draws
    .shuffle(places)
    .slice(0, most)
    .sort((a, b) => a - b);
}

export interface MaskedBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** i32 [batch, T]: the token that stood there, -100 where none was chosen. */
  readonly targets: Tensor;
  /** bool [batch, T]: false for padding. */
  readonly attentionMask: Tensor;
  /** Targets that count. */
  readonly count: number;
}

/** Masks rows, each by a key of its own, and pads them on the right. */
export function maskedBatch(
  rows: readonly Tokens[],
  { pad = 0, length, ...options }: MaskingOptions & { readonly pad?: number; readonly length?: number },
  key: Key,
): MaskedBatch {
  const op = 'maskedBatch';
  checkId(op, 'pad', pad);
  const T = rowLength(op, rows, length);
  const made = rows.map((row, i) => maskTokens(row, options, key.foldIn(i)));
  const targets = made.map((row) => row.targets);
  return {
    inputIds: paddedRows(
      made.map((row) => row.inputIds),
      T,
      pad,
    ),
    targets: paddedRows(targets, T, ignored),
    attentionMask: presence(rows, T),
    count: counted(targets),
  };
}
