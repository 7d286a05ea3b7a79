/** When a row ends. */
import type { Settings } from './options.ts';

/** A token that ends rows, a stop string, or no room for more tokens. */
export type FinishReason = 'end' | 'stop' | 'length';

type StopSettings = Pick<Settings, 'endTokens' | 'stopStrings' | 'decode' | 'maxNewTokens'>;

/** Tokens at the end of the new ones in which a stop string that the last one completes must lie: a character may take several (bytes of UTF-8). */
function window(stopStrings: readonly string[]): number {
  return 16 + 4 * Math.max(...stopStrings.map(({ length }) => length));
}

/** Why a row of new tokens ends with the last of them; null where it goes on. */
export function finishReason(
  tokens: readonly number[],
  { endTokens, stopStrings, decode, maxNewTokens }: StopSettings,
): FinishReason | null {
  if (endTokens.has(tokens.at(-1)!)) return 'end';
  if (decode && stopStrings.length > 0) {
    const tail = decode(tokens.slice(-window(stopStrings)));
    if (stopStrings.some((text) => tail.includes(text))) return 'stop';
  }
  return tokens.length >= maxNewTokens ? 'length' : null;
}

/** The text of new tokens up to the first stop string, without a token that ended it. */
export function textOf(
  tokens: readonly number[],
  reason: FinishReason,
  { stopStrings, decode }: Pick<StopSettings, 'stopStrings' | 'decode'>,
): string {
  const text = decode!(reason === 'end' ? tokens.slice(0, -1) : tokens);
  const ends = stopStrings.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}
