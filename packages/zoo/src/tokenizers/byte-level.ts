/** GPT-2's way from text to words of bytes: what stands together is cut out by a pattern, and each byte is spelt as a visible character. */

/**
 * Contractions, words and numbers with a space before them, other signs, and white space, whose last space goes with the word after it.
 * \s of JavaScript is not quite the white space of Unicode, which is meant.
 */
const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

export const words = (text: string): Iterable<RegExpExecArray> => text.matchAll(wordPattern);

const visible = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);

/** The character of each byte: itself where it is visible, else one from U+0100 on. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
})();

const byteOf: ReadonlyMap<string, number> = new Map(
  byteCharacters.map((character, byte) => [character, byte]),
);

/** Bytes as the vocabulary spells them. */
export const spelt = (bytes: Iterable<number>): string => {
  let text = '';
  for (const byte of bytes) text += byteCharacters[byte]!;
  return text;
};

/** The bytes of a token as the vocabulary spells it; null for what no bytes are spelt as. */
export function speltBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOf.get(token[i]!);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
