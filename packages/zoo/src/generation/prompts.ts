/** Prompts as rows of tokens, and the reader that has them before it. */
import { ShapeError, Tensor, ValueError } from '@infinigrad/tensor';
import { inferenceMode } from '@infinigrad/autograd';
import { checkTokens } from './checks.ts';
import { hasEncoder, type GenerativeModel, type Reader } from './model.ts';
import type { GenerationOptions, Settings } from './options.ts';
import { encodedCourse, readerOf, tokenTensor } from './readers.ts';

/** One row of tokens; several, of any lengths; or a tensor i32 [T] or [batch, T], padded where lengths differ. */
export type Prompt = readonly number[] | readonly (readonly number[])[] | Tensor;

const isRow = (prompt: readonly number[] | readonly (readonly number[])[]): prompt is readonly number[] =>
  typeof prompt[0] === 'number';

function refuse(problem: string, operands: readonly Tensor[] = []): never {
  throw new ShapeError('generate', problem, { operands });
}

async function numbersOf(x: Tensor): Promise<number[][]> {
  if (x.rank !== 1 && x.rank !== 2) refuse('a prompt is [T] or [batch, T]', [x]);
  const length = x.shape.at(-1)!;
  const data = await x.data();
  return Array.from({ length: x.rank === 1 ? 1 : x.shape[0]! }, (_, row) =>
    Array.from(data.subarray(row * length, (row + 1) * length)),
  );
}

/** Rows without their padding. @param side where it may be; an encoder's may be anywhere but inside */
function trimmed(rows: number[][], mask: boolean[][], side: 'left' | 'both'): number[][] {
  return rows.map((row, i) => {
    const seen = mask[i];
    if (seen?.length !== row.length) refuse(`attentionMask must be [${rows.length}, ${row.length}]`);
    const first = seen.indexOf(true);
    const end = seen.lastIndexOf(true) + 1;
    if (seen.slice(first, end).includes(false) || (side === 'left' && first >= 0 && end < row.length))
      throw new ValueError('generate', 'padding must be on the left, before the prompt', {
        hint: 'hand over rows of tokens of any lengths: they are padded as the model needs',
      });
    return first < 0 ? [] : row.slice(first, end);
  });
}

/** The prompts' tokens, without padding. @throws ShapeError, ValueError for what are no prompts */
export async function promptRows(
  prompt: Prompt,
  attentionMask: GenerationOptions['attentionMask'],
  padToken: number | null,
  side: 'left' | 'both',
): Promise<number[][]> {
  if (attentionMask && !(prompt instanceof Tensor))
    throw new ValueError('generate', 'an attentionMask goes with a tensor of prompts', {
      hint: 'rows of tokens need no padding and no mask',
    });
  let rows: number[][];
  if (prompt instanceof Tensor) {
    rows = await numbersOf(prompt);
    const given = attentionMask instanceof Tensor ? await numbersOf(attentionMask) : attentionMask;
    if (given) {
      if (given.length !== rows.length) refuse(`attentionMask must have ${rows.length} rows`, [prompt]);
      rows = trimmed(
        rows,
        given.map((row) => row.map(Boolean)),
        side,
      );
    } else if (padToken !== null) {
      // Only at the ends: inside a text the token may be one like any other.
      rows = rows.map((row) => {
        const first = row.findIndex((token) => token !== padToken);
        const last = side === 'left' ? row.length : row.findLastIndex((token) => token !== padToken) + 1;
        return first < 0 ? [] : row.slice(first, last);
      });
    }
  } else rows = isRow(prompt) ? [[...prompt]] : prompt.map((row) => [...row]);
  if (rows.length === 0) refuse('there is no prompt');
  for (const row of rows) {
    if (row.length === 0) refuse('a prompt needs at least one token');
    checkTokens('prompt', row);
  }
  return rows;
}

export interface Opened {
  readonly reader: Reader;
  /** What the reader reads first, all rows padded to one length. */
  readonly first: readonly (readonly number[])[];
  /** Padding that each of these rows begins with. */
  readonly padding: readonly number[];
  /** The same rows without padding: what new tokens come after. */
  readonly sequences: readonly (readonly number[])[];
}

const longest = (rows: readonly (readonly number[])[]): number =>
  Math.max(...rows.map(({ length }) => length));

/** @throws ValueError where the model lacks what it needs */
export function openReader(
  model: GenerativeModel,
  rows: readonly (readonly number[])[],
  { startToken, padToken, maxNewTokens, cache }: Settings,
): Opened {
  const sequences = hasEncoder(model) ? rows.map(() => [startOf(startToken)]) : rows;
  const length = longest(sequences);
  const padding = sequences.map((row) => length - row.length);
  const options = {
    batch: rows.length,
    leftPadding: padding.some((count) => count > 0) ? padding : null,
    maxLength: length + maxNewTokens,
    cache,
  };
  const reader = inferenceMode(() =>
    readerOf(model, options, hasEncoder(model) ? encoded(model, rows, padToken) : null),
  );
  const first = sequences.map((row, i) => [...new Array<number>(padding[i]!).fill(padToken), ...row]);
  return { reader, first, padding, sequences };
}

function startOf(token: number | null): number {
  if (token === null)
    throw new ValueError('generate', 'an encoder-decoder model needs a decoderStartTokenId');
  return token;
}

function encoded(
  model: Parameters<typeof encodedCourse>[0],
  rows: readonly (readonly number[])[],
  padToken: number,
): ReturnType<typeof encodedCourse> {
  const length = longest(rows);
  const right = <T>(row: readonly T[], fill: T): T[] => [
    ...row,
    ...new Array<T>(length - row.length).fill(fill),
  ];
  const ids = tokenTensor(rows.map((row) => right(row, padToken)));
  const ragged = rows.some((row) => row.length < length);
  const mask = ragged
    ? tokenTensor(
        rows.map((row) =>
          right(
            row.map(() => 1),
            0,
          ),
        ),
      ).ne(0)
    : null;
  return encodedCourse(model, ids, mask);
}
