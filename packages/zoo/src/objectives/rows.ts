/** Rows of different lengths as one tensor. */
import { fromData, ValueError, type Tensor } from '@infinigrad/tensor';
import { checkCount, ignored, type Tokens } from './checks.ts';

/** The length that rows are padded to: the given one, or that of the longest. @throws ValueError where one is longer */
export function rowLength(op: string, rows: readonly Tokens[], length?: number): number {
  if (rows.length === 0) throw new ValueError(op, 'needs at least one row');
  const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
  if (length === undefined) return longest;
  checkCount(op, 'length', length);
  if (longest > length) throw new ValueError(op, `a row of ${longest} tokens does not fit into ${length}`);
  return length;
}

/** i32 [rows, length], with `fill` after the end of each row. */
export function paddedRows(rows: readonly Tokens[], length: number, fill: number): Tensor {
  const data = new Int32Array(rows.length * length).fill(fill);
  rows.forEach((row, i) => data.set(row, i * length));
  return fromData(data, [rows.length, length]);
}

/** bool [rows, length]: true for what is no padding. */
export function presence(rows: readonly Tokens[], length: number): Tensor {
  const data = new Uint8Array(rows.length * length);
  rows.forEach((row, i) => data.fill(1, i * length, i * length + row.length));
  return fromData(data, [rows.length, length], { dtype: 'bool' });
}

/** Targets that count. */
export function counted(rows: readonly Tokens[]): number {
  let count = 0;
  for (const row of rows) for (let i = 0; i < row.length; i++) if (row[i] !== ignored) count++;
  return count;
}
