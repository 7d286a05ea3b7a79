/** Byte pair encoding (arXiv 1508.07909): the pair that was merged first in training is merged first, the leftmost of several. */
import { Heap } from './heap.ts';

/** More tokens than any vocabulary has: pairs are numbered first · pairBase + second. */
export const pairBase = 2 ** 24;

export interface Merge {
  readonly rank: number;
  /** The token that comes of it. */
  readonly id: number;
}

/** Merges what can be merged. Takes n log n steps, whatever the word. */
export function mergeAll(symbols: Int32Array, merges: ReadonlyMap<number, Merge>): Int32Array {
  const n = symbols.length;
  if (n < 2) return symbols;
  const ids = Int32Array.from(symbols);
  // Linked both ways; what was merged into its left neighbour is -1.
  const next = Int32Array.from(ids, (_, i) => i + 1);
  const previous = Int32Array.from(ids, (_, i) => i - 1);
  const mergeAt = (i: number): Merge | undefined =>
    next[i]! < n ? merges.get(ids[i]! * pairBase + ids[next[i]!]!) : undefined;
  // Rank first, then place: n < 2^29 and ranks < 2^24 keep this exact.
  const heap = new Heap((a, b) => a < b);
  const offer = (i: number): void => {
    const merge = i >= 0 ? mergeAt(i) : undefined;
    if (merge) heap.push(merge.rank * n + i);
  };
  for (let i = 0; i < n - 1; i++) offer(i);
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const i = top % n;
    if (ids[i] === -1) continue;
    const merge = mergeAt(i);
    // The pair that was offered may be gone.
    if (!merge || merge.rank !== Math.floor(top / n)) continue;
    const gone = next[i]!;
    ids[i] = merge.id;
    ids[gone] = -1;
    next[i] = next[gone]!;
    if (next[i]! < n) previous[next[i]!] = i;
    offer(i);
    offer(previous[i]!);
  }
  return ids.filter((id) => id !== -1);
}
