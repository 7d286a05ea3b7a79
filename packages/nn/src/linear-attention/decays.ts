/** What is left of one token's writing at another, inside a chunk. Gates stay logarithms until they have been summed. */
import { arange, type Tensor } from '@infinigrad/tensor';

/**
 * Gates of chunks, [..., C, g] in the second last axis, g = 1 or d_key; and runs: the number of borders of documents up to
 * and with each token, [..., C, 1]. Sums go from the one token to the other alone, so that what is near 1 is exact
 * whatever else the chunk forgets, and no exponent is above 0.
 */
export interface ChunkGates {
  readonly log: Tensor | null;
  readonly run: Tensor | null;
}

/** Σ over the later tokens, the token itself left out. */
export function sumAfter(log: Tensor): Tensor {
  const length = log.shape.at(-2)!;
  const reversed = log.flip(-2).narrow(-2, 0, length - 1);
  const none = Array.from({ length: log.rank - 2 }, (): [number, number] => [0, 0]);
  return reversed
    .pad([...none, [1, 0], [0, 0]])
    .cumsum(-2)
    .flip(-2);
}

/** e^{sum}, 0 where a border lies between; null where everything is left. */
export function left(sum: Tensor | null, open: Tensor | null, dtype: Tensor['dtype']): Tensor | null {
  if (!sum) return open?.cast(dtype) ?? null;
  return (open ? open.where(sum, -Infinity) : sum).exp();
}

const lastOf = (run: Tensor): Tensor => run.narrow(-2, run.shape.at(-2)! - 1, 1);

/** Of the state that enters the chunk, at each token: [..., C, g]. */
export function fromStart({ log, run }: ChunkGates, dtype: Tensor['dtype']): Tensor | null {
  return left(log && log.cumsum(-2), run && run.eq(0), dtype);
}

/** Of each token, at the end of the chunk: [..., C, g]. */
export function toEnd({ log, run }: ChunkGates, dtype: Tensor['dtype']): Tensor | null {
  return left(log && sumAfter(log), run && run.eq(lastOf(run)), dtype);
}

/** Of the state that enters, at the end: [..., g, 1]. */
export function throughout({ log, run }: ChunkGates, dtype: Tensor['dtype']): Tensor | null {
  return left(log && log.sum(-2, true), run && lastOf(run).eq(0), dtype)?.transpose() ?? null;
}

/**
 * Of token j at token i, for gates of one number a token: multiplies scores [..., C, C] by it, and takes out j > i
 * (`strict`: j ≥ i too).
 */
export function pairDecay(
  { log, run }: ChunkGates,
  length: number,
  like: Tensor,
): (scores: Tensor, strict?: boolean) => Tensor {
  const places = arange(length, { backend: like.backend });
  const [rows, columns] = [places.unsqueeze(1), places.unsqueeze(0)];
  const below = columns.lt(rows);
  const causal = columns.le(rows);
  const same = run && run.eq(run.transpose());
  const within = (mask: Tensor): Tensor => (same ? same.logicalAnd(mask) : mask);
  if (!log) return (scores, strict = false) => within(strict ? below : causal).where(scores, 0);
  const weights = within(causal).where(below.where(log, 0).cumsum(-2), -Infinity).exp();
  return (scores, strict = false) => {
    const weighted = scores.mul(weights);
    return strict ? below.where(weighted, 0) : weighted;
  };
}
