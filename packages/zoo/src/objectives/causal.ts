/** Causal language modelling: the next token, over rows that hold one document each or several. */
import type { PackedRow } from '@infinigrad/nn';
import { fromData, ValueError, type Tensor } from '@infinigrad/tensor';
import { checkId, checkTokens, ignored, type Tokens } from './checks.ts';
import { paddedRows, rowLength } from './rows.ts';

export interface CausalBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** i32 [batch, T]: the token that comes next in the same document, -100 where there is none. Already shifted. */
  readonly targets: Tensor;
  /** i32 [batch, T]: counted from 0 within each document. */
  readonly positionIds: Tensor;
  /** i32 [batch, T]: which document of its row a token belongs to, from 1; 0 for padding. For `documentMask`. */
  readonly documents: Tensor;
  /** Targets that count: the weight of the batch, by which losses of several are averaged. */
  readonly count: number;
}

export interface CausalRowOptions {
  /** Tokens in a row; a document that is longer is refused. Default: what the document has. */
  readonly length?: number;
  /** Added to the end of the document. Default: none. */
  readonly end?: number;
  /** Default 0. */
  readonly pad?: number;
}

/** One document as a row of its own, padded on the right: what `packed` of nn gives for several. */
export function causalRow(document: Tokens, options: CausalRowOptions = {}): PackedRow {
  const op = 'causalRow';
  const { end, pad = 0 } = options;
  checkTokens(op, document);
  checkId(op, 'pad', pad);
  if (end !== undefined) checkId(op, 'end', end);
  const given = end === undefined ? Array.from(document) : [...Array.from(document), end];
  const length = rowLength(op, [given], options.length);
  const fill = (value: number, own: readonly number[]): Int32Array => {
    const row = new Int32Array(length).fill(value);
    row.set(own);
    return row;
  };
  return {
    tokens: fill(pad, given),
    targets: fill(ignored, given.slice(1)),
    documents: fill(
      0,
      given.map(() => 1),
    ),
    positions: fill(
      0,
      given.map((_, i) => i),
    ),
    count: given.length - 1,
  };
}

/**
 * Rows as a batch: those of `packed`, or of `causalRow`. With `causalMask().and(documentMask(batch.documents))` and `positionIds`
 * a document's logits are what they would be alone; without, the row is read as one text.
 * @throws ValueError where rows differ in length
 */
export function causalBatch(rows: readonly PackedRow[]): CausalBatch {
  const op = 'causalBatch';
  const length = rowLength(
    op,
    rows.map(({ tokens }) => tokens),
  );
  const odd = rows.find(({ tokens }) => tokens.length !== length);
  if (odd) throw new ValueError(op, `rows differ in length: ${length} and ${odd.tokens.length}`);
  const together = (of: (row: PackedRow) => Int32Array): Tensor =>
    rows.length === 1 ? fromData(of(rows[0]!).slice(), [1, length]) : paddedRows(rows.map(of), length, 0);
  return {
    inputIds: together((row) => row.tokens),
    targets: together((row) => row.targets),
    positionIds: together((row) => row.positions),
    documents: together((row) => row.documents),
    count: rows.reduce((total, row) => total + row.count, 0),
  };
}
