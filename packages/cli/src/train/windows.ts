/** Windows of a text of tokens. */
import type { PackedRow } from '@infinigrad/nn';

/** So many tokens, each with the one that comes next. */
export function windowRow(tokens: Int32Array, start: number, length: number): PackedRow {
  return {
    tokens: tokens.slice(start, start + length),
    targets: tokens.slice(start + 1, start + length + 1),
    documents: new Int32Array(length).fill(1),
    positions: Int32Array.from({ length }, (_, t) => t),
    count: length,
  };
}
