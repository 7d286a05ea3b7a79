/** Documents of tokens packed into rows of one length, with nothing between them and their boundaries known. */
import { describeValue, ValueError } from '@infinigrad/tensor';
import { checkCount, checkSame, fieldsOf } from './cursor.ts';
import type { DataSource, Json } from './source.ts';

/** A row of several documents. */
export interface PackedRow {
  readonly tokens: Int32Array;
  /** The token that comes next in the same document; `ignoreIndex` where there is none. */
  readonly targets: Int32Array;
  /** Which document of the row a token belongs to, counted from 1; 0 for padding. Tokens of one must not see those of another. */
  readonly documents: Int32Array;
  /** Counted from 0 within each document of the row. */
  readonly positions: Int32Array;
  /** Targets that count: the weight of the row. */
  readonly count: number;
}

export interface PackOptions {
  /** Tokens in a row. */
  readonly length: number;
  /**
   * `split`: rows are filled, and what is left of a document goes on in the next row. `whole`: a document stands in one row (a longer
   * one in rows of its own), where it fits best, and rows are padded. Default `split`.
   */
  readonly mode?: 'split' | 'whole';
  /** Rows that are open at a time with `whole`. Default 16. */
  readonly rows?: number;
  /** Added to the end of each document. Default: none. */
  readonly end?: number;
  /** Default 0. */
  readonly pad?: number;
  /** The target of tokens that have none. Default -100. */
  readonly ignoreIndex?: number;
}

/** A piece of a document in a row, and the token that comes after it, or null. */
type Piece = readonly [tokens: readonly number[], next: number | null];

/**
 * Rows of packed documents. Every token stands in exactly one row, and, but for the first of each document, is exactly once a target.
 * @throws ValueError for settings out of range, and, while packing, for what is no list of tokens
 */
export function packed(source: DataSource<ArrayLike<number>>, options: PackOptions): DataSource<PackedRow> {
  const { length, mode = 'split', rows: mostRows = 16, end, pad = 0, ignoreIndex = -100 } = options;
  const op = 'packed';
  checkCount(op, 'length', length);
  checkCount(op, 'rows', mostRows);
  if (mode !== 'split' && mode !== 'whole')
    throw new ValueError(op, `mode must be split or whole, got '${String(mode)}'`);
  /** Rows that are not full yet. */
  let open: Piece[][] = [];
  /** Rows that are, but have not been given. */
  let full: Piece[][] = [];
  /** The source has given all. */
  let ended = false;

  const add = (document: readonly number[]): void => {
    for (let at = 0; at < document.length;) {
      const left = document.length - at;
      const row = mode === 'split' ? (open[0] ?? begin()) : bestFor(Math.min(left, length));
      const size = Math.min(left, length - lengthOf(row));
      row.push([document.slice(at, at + size), document[at + size] ?? null]);
      at += size;
      if (lengthOf(row) === length) close(row);
    }
  };
  const begin = (): Piece[] => {
    const row: Piece[] = [];
    open.push(row);
    return row;
  };
  const close = (row: Piece[]): void => {
    open = open.filter((other) => other !== row);
    full.push(row);
  };
  /** The fullest row that takes so many tokens; where there is none a new one, for which the fullest of all may have to go. */
  const bestFor = (size: number): Piece[] => {
    const fullest = (rows: readonly Piece[][]): Piece[] | undefined =>
      rows.reduce<Piece[] | undefined>((a, b) => (a && lengthOf(a) >= lengthOf(b) ? a : b), undefined);
    const fitting = fullest(open.filter((row) => lengthOf(row) + size <= length));
    if (fitting) return fitting;
    if (open.length >= mostRows) close(fullest(open)!);
    return begin();
  };
  const made = (row: readonly Piece[]): PackedRow => rowOf(row, { length, pad, ignoreIndex });
  const settings: Json = { length, mode, rows: mostRows, end: end ?? null };

  return {
    async *[Symbol.asyncIterator]() {
      while (full.length > 0) yield made(full.shift()!);
      if (!ended)
        for await (const document of source) {
          add(tokensOf(document, end));
          while (full.length > 0) yield made(full.shift()!);
        }
      ended = true;
      full.push(...open.filter((row) => row.length > 0));
      open = [];
      while (full.length > 0) yield made(full.shift()!);
      ended = false;
    },
    state: () => ({ source: source.state(), open: copyOf(open), full: copyOf(full), ended, settings }),
    load: (state) => {
      const fields = fieldsOf('packed.load', state);
      checkSame('packed.load', 'settings', fields['settings'], settings);
      const [nextOpen, nextFull] = [rowsOf(fields['open']), rowsOf(fields['full'])];
      source.load(fields['source'] ?? null);
      ended = fields['ended'] === true;
      [open, full] = [nextOpen, nextFull];
    },
  };
}

/** @throws ValueError for what is no list of tokens */
function tokensOf(document: ArrayLike<number>, end: number | undefined): number[] {
  if (typeof (document as Partial<ArrayLike<number>> | null)?.length !== 'number')
    throw new ValueError('packed', `a document must be a list of tokens, got ${describeValue(document)}`);
  const tokens = Array.from(document);
  return end === undefined ? tokens : [...tokens, end];
}

/** Rows grow; their pieces do not. */
const copyOf = (rows: readonly (readonly Piece[])[]): Piece[][] => rows.map((row) => [...row]);

const lengthOf = (row: readonly Piece[]): number => row.reduce((total, [tokens]) => total + tokens.length, 0);

function rowsOf(value: Json | undefined): Piece[][] {
  const isPiece = (piece: Json): boolean =>
    Array.isArray(piece) && piece.length === 2 && Array.isArray(piece[0]);
  if (!Array.isArray(value) || !value.every((row: Json) => Array.isArray(row) && row.every(isPiece)))
    throw new ValueError('packed.load', 'the cursor holds no rows');
  return (value as readonly (readonly Piece[])[]).map((row) => [...row]);
}

function rowOf(
  row: readonly Piece[],
  {
    length,
    pad,
    ignoreIndex,
  }: { readonly length: number; readonly pad: number; readonly ignoreIndex: number },
): PackedRow {
  const tokens = new Int32Array(length).fill(pad);
  const targets = new Int32Array(length).fill(ignoreIndex);
  const [documents, positions] = [new Int32Array(length), new Int32Array(length)];
  let at = 0;
  let count = 0;
  row.forEach(([piece, next], number) => {
    piece.forEach((token, i) => {
      tokens[at] = token;
      documents[at] = number + 1;
      positions[at] = i;
      const target = piece[i + 1] ?? next;
      if (target !== null) {
        targets[at] = target;
        count++;
      }
      at++;
    });
  });
  return { tokens, targets, documents, positions, count };
}
