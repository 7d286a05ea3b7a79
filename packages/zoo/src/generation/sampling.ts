/** The next token of each row: the most likely, or one drawn. */
import { concat, fromData, isHalf, type Key, type Tensor } from '@infinigrad/tensor';

/** In a dtype that ops compute well in: halves go to f32. */
export const wide = (logits: Tensor): Tensor => (isHalf(logits.dtype) ? logits.cast('f32') : logits);

/** The first of the most likely tokens, i32 [rows]. */
export const mostLikely = (logits: Tensor): Tensor => logits.argMax(-1);

/**
 * Tokens drawn with probability softmax(logits), i32 [rows]: the first at which the running sum exceeds u times the total, for
 * one u a row. Row i draws the same, however many rows there are. What cannot come is never drawn.
 */
export function drawn(logits: Tensor, key: Key): Tensor {
  const [rows, vocabulary] = logits.shape as readonly [number, number];
  // Multiples of 2^-23 below 1: u · total < total, also when rounded to f32.
  const uniform = Float32Array.from(key.bits(rows), (bits) => (bits >>> 9) / 2 ** 23);
  const sums = logits.softmax(-1).cumsum(-1);
  const total = sums.narrow(1, vocabulary - 1, 1);
  const bound = fromData(uniform, [rows, 1], { backend: logits.backend }).mul(total);
  return sums.searchSorted(bound, { side: 'right' }).squeeze(-1);
}

/** Tokens and their log-probabilities in one tensor [2 · rows], for one read. Tokens below 2^24 are exact in f32. */
export function besideLogProbs(tokens: Tensor, logits: Tensor): Tensor {
  const logProbs = logits.logSoftmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1);
  return concat([tokens.cast(logProbs.dtype), logProbs], 0);
}
