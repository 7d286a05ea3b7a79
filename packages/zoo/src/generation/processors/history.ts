/** Processors that look at the tokens so far. */
import { checkPositive, checkTokens, checkWhole } from '../checks.ts';
import { tokenMask, without, type LogitsProcessor } from './processor.ts';

/**
 * Divides the logits of tokens that have come (prompt included) by `penalty` where they are positive, and multiplies them where
 * they are negative (CTRL, arXiv 1909.05858).
 * @throws ValueError unless penalty > 0
 */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  checkPositive('repetitionPenalty', penalty);
  return (logits, { sequences }) =>
    tokenMask(sequences, logits).where(logits.lt(0).where(logits.mul(penalty), logits.div(penalty)), logits);
}

/** The tokens that would complete a sequence of n that has been there before. */
export function repeatedNgrams(tokens: readonly number[], n: number): number[] {
  const start = tokens.length - n + 1;
  if (start < 0) return [];
  const found: number[] = [];
  for (let i = 0; i < start; i++) {
    let same = true;
    for (let k = 0; same && k < n - 1; k++) same = tokens[i + k] === tokens[start + k];
    if (same) found.push(tokens[i + n - 1]!);
  }
  return found;
}

/** No sequence of n tokens comes twice. @throws ValueError unless n is an integer ≥ 1 */
export function noRepeatNgrams(n: number): LogitsProcessor {
  checkWhole('noRepeatNgramSize', n, 1);
  return (logits, { sequences }) =>
    without(
      logits,
      tokenMask(
        sequences.map((tokens) => repeatedNgrams(tokens, n)),
        logits,
      ),
    );
}

/**
 * The tokens named do not come before `count` others have been generated.
 * @throws ValueError for what are no tokens, and unless count is an integer ≥ 0
 */
export function minNewTokens(count: number, tokens: readonly number[]): LogitsProcessor {
  checkWhole('minNewTokens', count, 0);
  checkTokens('minNewTokens', tokens);
  return (logits, context) =>
    context.newTokens < count ? without(logits, tokenMask([tokens], logits)) : logits;
}

/** The tokens named never come. @throws ValueError for what are no tokens */
export function suppressTokens(tokens: readonly number[]): LogitsProcessor {
  checkTokens('suppressTokens', tokens);
  return (logits) => without(logits, tokenMask([tokens], logits));
}
