/** Prefix language modelling (arXiv 1910.10683, section 3.2.1): what comes first is read both ways, what follows is told token by token. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { checkId, checkTokens, ignored, type Tokens } from './checks.ts';
import { Draws } from './draws.ts';
import { counted, paddedRows, presence, rowLength } from './rows.ts';

export interface PrefixOptions {
  /** Shortest prefix, at least 1. Default 1. */
  readonly least?: number;
  /** Added to the end of each text. Default: none. */
  readonly end?: number;
}

export interface PrefixRow {
  /** All tokens but the last. */
  readonly inputIds: Int32Array;
  /** The token that comes next; -100 where it belongs to the prefix. */
  readonly targets: Int32Array;
  /** Tokens that every token sees. */
  readonly prefix: number;
}

/** How many tokens of a text are its prefix: each number from `least` to length - 1 is as likely. */
export function prefixLength(length: number, least: number, key: Key): number {
  if (!Number.isInteger(least) || least < 1 || !(length > least))
    throw new ValueError('prefixLength', `a text of ${length} tokens has no prefix of ${least} or more`);
  return least + new Draws(key).below(length - least);
}

/** Splits one text. @throws ValueError for one that is too short */
export function splitPrefix(tokens: Tokens, { least = 1, end }: PrefixOptions, key: Key): PrefixRow {
  const op = 'splitPrefix';
  checkTokens(op, tokens);
  if (end !== undefined) checkId(op, 'end', end);
  const text = end === undefined ? Array.from(tokens) : [...Array.from(tokens), end];
  const prefix = prefixLength(text.length, least, key);
  return {
    inputIds: Int32Array.from(text.slice(0, -1)),
    targets: Int32Array.from(text.slice(1), (token, i) => (i + 1 < prefix ? ignored : token)),
    prefix,
  };
}

export interface PrefixBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** i32 [batch, T]: the token that comes next; -100 within the prefix and for padding. */
  readonly targets: Tensor;
  /** bool [batch, T]: false for padding. */
  readonly attentionMask: Tensor;
  /** Tokens that every token of a row sees: `causalMask().or(prefixMask(batch.prefix))`. */
  readonly prefix: readonly number[];
  /** Targets that count. */
  readonly count: number;
}

/** Texts, each split by a key of its own, padded on the right. */
export function prefixBatch(
  texts: readonly Tokens[],
  { pad = 0, length, ...options }: PrefixOptions & { readonly pad?: number; readonly length?: number },
  key: Key,
): PrefixBatch {
  const op = 'prefixBatch';
  checkId(op, 'pad', pad);
  const rows = texts.map((text, i) => splitPrefix(text, options, key.foldIn(i)));
  const inputs = rows.map((row) => row.inputIds);
  const targets = rows.map((row) => row.targets);
  const T = rowLength(op, inputs, length);
  return {
    inputIds: paddedRows(inputs, T, pad),
    targets: paddedRows(targets, T, ignored),
    attentionMask: presence(inputs, T),
    prefix: rows.map((row) => row.prefix),
    count: counted(targets),
  };
}
