/** What the GPTs read: a stream of tokens with something to learn in it, and batches cut out of it. */
import { uniform } from './numbers.ts';

const streamLength = 1 << 16;

/** Bytes: 200 made-up words in a skewed draw, with spaces, and a full stop after every ninth. */
function words(): Int32Array {
  const letters = uniform(7, 4000);
  const vocabulary = Array.from({ length: 200 }, (_, w) => {
    const length = 2 + Math.floor(letters[w * 16]! * 7);
    return Array.from({ length }, (_, i) => 97 + Math.floor(letters[w * 16 + 1 + i]! * 26));
  });
  const draws = uniform(11, streamLength);
  const text: number[] = [];
  for (let k = 0; text.length < streamLength; k++)
    text.push(...vocabulary[Math.floor(draws[k]! * draws[k]! * 200)]!, k % 9 === 8 ? 46 : 32);
  return Int32Array.from(text.slice(0, streamLength));
}

/** Tokens of a larger vocabulary: mostly a rule with four outcomes, now and then a jump. */
function chain(vocabulary: number): Int32Array {
  const draws = uniform(13, 2 * streamLength);
  let token = 1;
  return Int32Array.from({ length: streamLength }, (_, i) => {
    const [kind, u] = [draws[2 * i]!, draws[2 * i + 1]!];
    token = kind < 0.8 ? (token * 31 + 7 + Math.floor(u * 4)) % vocabulary : Math.floor(u * u * vocabulary);
    return token;
  });
}

export function stream(vocabulary: number): Int32Array {
  return vocabulary === 256 ? words() : chain(vocabulary);
}

/** The batch of a step, counted from 0: tokens and the tokens that follow them, both [rows, length]. */
export function batch(
  tokens: Int32Array,
  step: number,
  rows: number,
  length: number,
): { readonly x: Int32Array; readonly y: Int32Array } {
  const places = uniform(1000 + step, rows);
  const x = new Int32Array(rows * length);
  const y = new Int32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const at = Math.floor(places[row]! * (tokens.length - length - 1));
    x.set(tokens.subarray(at, at + length), row * length);
    y.set(tokens.subarray(at + 1, at + 1 + length), row * length);
  }
  return { x, y };
}
