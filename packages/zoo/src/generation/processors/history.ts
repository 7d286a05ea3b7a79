/** Processors that look at the tokens so far. */
import { fromData } from '@infinigrad/tensor';
import { checkPositive, checkTokens, checkWhole } from '../checks.ts';
import { tokenMask, without, type LogitsProcessor } from './processor.ts';

/**
 * Divides the logits of tokens that have come (prompt included) by `penalty` where they are positive, and multiplies them where
 * they are negative (CTRL, arXiv 1909.05858).
 * @throws ValueError unless penalty > 0
 */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  checkPositive('repetitionPenalty', penalty);
  return (logits, { sequences }) => {
    const [rows, vocabulary] = logits.shape as readonly [number, number];
    const seen = sequences.map((tokens) => [...new Set(tokens)].filter((token) => token < vocabulary));
    const width = Math.max(...seen.map(({ length }) => length));
    // A row without any has no place to write to.
    const some = seen.map((tokens) => tokens.length > 0);
    if (!some.includes(true)) return logits;
    const places = seen.flatMap((tokens) =>
      Array.from({ length: width }, (_, i) => tokens[i] ?? tokens[0] ?? 0),
    );
    const at = fromData(Int32Array.from(places), [rows, width], { backend: logits.backend });
    const before = logits.gather(-1, at);
    const after = before.lt(0).where(before.mul(penalty), before.div(penalty));
    const there = fromData(Uint8Array.from(some, Number), [rows, 1], {
      dtype: 'bool',
      backend: logits.backend,
    });
    return logits.scatterSet(-1, at, some.includes(false) ? there.where(after, before) : after);
  };
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
