/** Changes to bytes that know nothing of the format. */
import type { Choices } from './random.ts';

export const join = (...parts: readonly ArrayLike<number>[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

export const numbers = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '7',
  '8',
  '16',
  '255',
  '65535',
  '4294967295',
  '4294967296',
  '2147483647',
  '2147483648',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '-1',
  '-0',
  '1.0',
  '1.5',
  '1e3',
  '1e400',
  '01',
  '99999999999999999999999999',
  '',
  'NaN',
  '0x10',
  '1_000',
  '١',
] as const;

const special = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x20, 0x22, 0x27, 0x2c, 0x5c, 0x7b, 0x7d];
const wide = [
  0n,
  1n,
  2n,
  7n,
  8n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Changes that know nothing of the format. `other` is a second file to take parts from. */
export function blind(bytes: Uint8Array, other: Uint8Array, choices: Choices): Uint8Array {
  const n = bytes.length;
  // Most of what can go wrong is at the beginning or at the end
  const at = choices.pick([
    choices.below(n),
    choices.below(Math.min(n, 16)),
    choices.below(Math.min(n, 200)),
    n - 1 - choices.below(Math.min(n, 120)),
  ]);
  const length = choices.pick([1, 2, 4, 8, choices.below(40), choices.below(n)]);
  const out = bytes.slice();
  switch (choices.below(12)) {
    case 0:
    case 1:
      if (n > 0) out[at]! ^= 1 << choices.below(8);
      return out;
    case 2:
      if (n > 0) out[at] = choices.chance(0.5) ? choices.pick(special) : choices.word();
      return out;
    case 3:
      return bytes.slice(0, at);
    case 4:
      return join(bytes.slice(0, at), choices.bytes(choices.below(16)), bytes.slice(at));
    case 5:
      return join(bytes.slice(0, at), bytes.slice(at + length));
    case 6:
      return join(bytes.slice(0, at), other.slice(choices.below(other.length)));
    case 7: {
      const from = choices.below(other.length);
      return join(bytes.slice(0, at), other.slice(from, from + length), bytes.slice(at + length));
    }
    case 8: {
      const from = choices.below(n);
      return join(bytes.slice(0, at), bytes.slice(from, from + length), bytes.slice(at));
    }
    case 9:
      return join(bytes, choices.chance(0.5) ? choices.bytes(1 + choices.below(8)) : other);
    case 10:
      return inNumber(bytes, choices);
    default: {
      const width = choices.pick([1, 2, 4, 8]);
      const value = choices.pick([...wide, BigInt(n), BigInt(n) - 1n, BigInt(n) + 1n]);
      for (let i = 0; i < width && at + i < n; i++) out[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
      return out;
    }
  }
}

/** Puts another number in the place of one that is written in digits. */
function inNumber(bytes: Uint8Array, choices: Choices): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const found = [...text.slice(0, 4000).matchAll(/\d+/g)];
  if (found.length === 0) return bytes;
  const { 0: digits, index } = choices.pick(found);
  return join(bytes.slice(0, index), Buffer.from(choices.pick(numbers)), bytes.slice(index + digits.length));
}
