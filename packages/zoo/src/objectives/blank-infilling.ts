/**
 * Autoregressive blank infilling (GLM, arXiv 2103.10360, section 2.1). Part A is the text with a mask token for each blank; it sees itself.
 * Part B holds the blanks in random order, each one told token by token; it sees A and what of B came before.
 *
 *   x1 x2 x3 x4 x5 x6, blanks x3 and x5 x6:
 *   tokens      x1 x2  M x4  M   S x5 x6   S x3
 *   targets      .  .  .  .  .  x5 x6  E  x3  E
 *   position     0  1  2  3  4   4  4  4   2  2
 *   in blank     0  0  0  0  0   1  2  3   1  2
 *   sep = 5
 */
import { fromData, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { drawBlanks, type BlankOptions, type Span } from './blanks.ts';
import { checkId, checkTokens, ignored, type Tokens } from './checks.ts';
import { Draws } from './draws.ts';
import { counted, paddedRows, presence, rowLength } from './rows.ts';

export interface BlankTokens {
  /** Stands for a blank: [MASK], [sMASK] or [gMASK], as `kind` asks. */
  readonly mask: number;
  /** Begins a blank, [sop]. */
  readonly start: number;
  /** Ends a blank, [eop]. */
  readonly end: number;
  /** Come before the text and after it in part A: [CLS], say. Default: none. */
  readonly before?: Tokens;
  readonly after?: Tokens;
}

export interface BlankRow {
  readonly inputIds: Int32Array;
  /** The next token of a blank, and at last `end`; -100 in part A. */
  readonly targets: Int32Array;
  /** Place in part A; tokens of a blank share that of their mask. */
  readonly positions: Int32Array;
  /** 0 in part A; 1, 2, … within a blank. */
  readonly blockPositions: Int32Array;
  /** Tokens of part A, which every token sees. */
  readonly sep: number;
}

/**
 * One text with these blanks, told in this order.
 * @param blanks in the order of the text, apart from one another
 * @param order which blank comes first in part B, which second, …
 */
export function infillBlanks(
  tokens: Tokens,
  blanks: readonly Span[],
  order: readonly number[],
  options: BlankTokens,
): BlankRow {
  const op = 'infillBlanks';
  const { mask, start, end, before = [], after = [] } = options;
  checkTokens(op, tokens);
  for (const [name, id] of Object.entries({ mask, start, end })) checkId(op, name, id);
  checkTokens(op, before, 0);
  checkTokens(op, after, 0);
  checkBlanks(op, blanks, tokens.length);
  if (order.length !== blanks.length || blanks.some((_, i) => !order.includes(i)))
    throw new ValueError(op, `the order must hold 0 … ${blanks.length - 1} once each, got [${order.join()}]`);
  const text = Array.from(tokens);
  const context = Array.from(before);
  const masks: number[] = [];
  let from = 0;
  for (const [first, after] of blanks) {
    context.push(...text.slice(from, first));
    masks.push(context.length);
    context.push(mask);
    from = after;
  }
  context.push(...text.slice(from), ...Array.from(after));
  const sep = context.length;

  const inputs = [...context];
  const targets = context.map(() => ignored);
  const positions = context.map((_, i) => i);
  const block = context.map(() => 0);
  for (const number of order) {
    const blank = text.slice(...blanks[number]!);
    inputs.push(start, ...blank);
    targets.push(...blank, end);
    for (let i = 0; i <= blank.length; i++) {
      positions.push(masks[number]!);
      block.push(i + 1);
    }
  }
  return {
    inputIds: Int32Array.from(inputs),
    targets: Int32Array.from(targets),
    positions: Int32Array.from(positions),
    blockPositions: Int32Array.from(block),
    sep,
  };
}

function checkBlanks(op: string, blanks: readonly Span[], length: number): void {
  if (blanks.length === 0) throw new ValueError(op, 'needs at least one blank');
  let least = 0;
  for (const [from, to] of blanks) {
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < least || to <= from || to > length)
      throw new ValueError(
        op,
        `blanks must be apart, in order and within ${length} tokens, got [${from}, ${to})`,
      );
    least = to;
  }
}

/** The text again, without `before` and `after`: each mask replaced by the blank that shares its position. */
export function fillBlanks(
  { inputIds, targets, positions, sep }: BlankRow,
  { mask, end, before = [], after = [] }: BlankTokens,
): Int32Array {
  const blanks = new Map<number, number[]>();
  for (let i = sep; i < inputIds.length; i++) {
    const blank = blanks.get(positions[i]!) ?? [];
    blanks.set(positions[i]!, blank);
    const last = i + 1 === inputIds.length || positions[i + 1] !== positions[i];
    if (!(last && targets[i] === end)) blank.push(targets[i]!);
  }
  const text: number[] = [];
  for (let i = before.length; i < sep - after.length; i++) {
    const blank = inputIds[i] === mask ? blanks.get(i) : undefined;
    text.push(...(blank ?? [inputIds[i]!]));
  }
  return Int32Array.from(text);
}

export interface BlankBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** i32 [batch, T]: -100 in part A and for padding. */
  readonly targets: Tensor;
  /** i32 [batch, 2, T]: places in the text, and within blanks. */
  readonly positionIds: Tensor;
  /** bool [batch, T]: false for padding. */
  readonly attentionMask: Tensor;
  /** Tokens of part A, for each row: `causalMask().or(prefixMask(batch.sep))`. */
  readonly sep: readonly number[];
  /** Targets that count. */
  readonly count: number;
}

/** Blanks of one text and their order, drawn. */
export function blankRow(tokens: Tokens, options: BlankOptions & BlankTokens, key: Key): BlankRow {
  checkTokens('blankRow', tokens);
  const [blanksKey, orderKey] = key.split(2) as [Key, Key];
  const blanks = drawBlanks(tokens, options, blanksKey);
  const order = new Draws(orderKey).shuffle(blanks.map((_, i) => i));
  return infillBlanks(tokens, blanks, order, options);
}

/** Texts, each with blanks drawn by a key of its own, padded on the right. @throws ValueError for settings or tokens out of range */
export function blankBatch(
  texts: readonly Tokens[],
  {
    pad = 0,
    length,
    ...options
  }: BlankOptions & BlankTokens & { readonly pad?: number; readonly length?: number },
  key: Key,
): BlankBatch {
  const op = 'blankBatch';
  checkId(op, 'pad', pad);
  const rows = texts.map((text, i) => blankRow(text, options, key.foldIn(i)));
  const inputs = rows.map((row) => row.inputIds);
  const targets = rows.map((row) => row.targets);
  const T = rowLength(op, inputs, length);
  const places = new Int32Array(rows.length * 2 * T);
  rows.forEach((row, i) => {
    places.set(row.positions, 2 * i * T);
    places.set(row.blockPositions, (2 * i + 1) * T);
  });
  return {
    inputIds: paddedRows(inputs, T, pad),
    targets: paddedRows(targets, T, ignored),
    positionIds: fromData(places, [rows.length, 2, T]),
    attentionMask: presence(inputs, T),
    sep: rows.map((row) => row.sep),
    count: counted(targets),
  };
}
