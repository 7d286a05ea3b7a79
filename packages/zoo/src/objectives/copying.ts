/** Copy tasks: random symbols, a mark, and the same symbols again, as they are or from the end. */
import type { PackedRow } from '@infinigrad/nn';
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount, checkId, ignored } from './checks.ts';
import { Draws } from './draws.ts';

export interface CopyOptions {
  /** Symbols: ids first … first + symbols - 1. */
  readonly symbols: number;
  /** Id of the first symbol. Default 2. */
  readonly first?: number;
  /** Symbols in a text: a number, or the fewest and the most. */
  readonly length: number | readonly [least: number, most: number];
  /** Stands between the two halves. Default 0. */
  readonly mark?: number;
  /** Stands at the end. Default 1. */
  readonly end?: number;
  /** Default false. */
  readonly reverse?: boolean;
  /** Only the copy and `end` are to be told. Default true. */
  readonly answerOnly?: boolean;
}

const settle = (op: string, { symbols, first = 2, length, mark = 0, end = 1 }: CopyOptions) => {
  checkCount(op, 'symbols', symbols);
  for (const [name, id] of Object.entries({ first, mark, end })) checkId(op, name, id);
  const [least, most] = typeof length === 'number' ? [length, length] : length;
  checkCount(op, 'length', least);
  checkCount(op, 'length', most, least);
  for (const [name, id] of Object.entries({ mark, end }))
    if (id >= first && id < first + symbols) throw new ValueError(op, `${name} ${id} is one of the symbols`);
  if (mark === end) throw new ValueError(op, `mark and end are the same token, ${mark}`);
  return { symbols, first, least, most, mark, end };
};

/** One text as a row of its own, for `causalBatch`: padded to the longest with `end`, which is not to be told there. */
export function copyRow(options: CopyOptions, key: Key): PackedRow {
  const { symbols, first, least, most, mark, end } = settle('copyRow', options);
  const { reverse = false, answerOnly = true } = options;
  const draws = new Draws(key);
  const size = least + draws.below(most - least + 1);
  const given = Array.from({ length: size }, () => first + draws.below(symbols));
  const text = [...given, mark, ...(reverse ? given.toReversed() : given), end];
  const length = 2 * most + 2;
  const tokens = new Int32Array(length).fill(end);
  const targets = new Int32Array(length).fill(ignored);
  const documents = new Int32Array(length);
  const positions = new Int32Array(length);
  tokens.set(text);
  text.forEach((_, t) => {
    documents[t] = 1;
    positions[t] = t;
    if (t + 1 < text.length && (!answerOnly || t >= size)) targets[t] = text[t + 1]!;
  });
  return {
    tokens,
    targets,
    documents,
    positions,
    count: targets.filter((target) => target !== ignored).length,
  };
}

/**
 * The floor of the loss over such rows, in nats for each target, all rows together: 0 where only the copy is to be told; else what the
 * symbols after the first, and the place of the mark, tell.
 */
export function copyFloor(options: CopyOptions): number {
  const { symbols, least, most } = settle('copyFloor', options);
  if (options.answerOnly ?? true) return 0;
  const lengths = most - least + 1;
  // Symbols of a text but the first, and its length; all of them uniform.
  const symbolNats = ((least + most) / 2 - 1) * Math.log(symbols);
  const targets = least + most + 1;
  return (symbolNats + Math.log(lengths)) / targets;
}
