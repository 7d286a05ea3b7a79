/** The generator against the known answers published with Random123 (kat_vectors: threefry2x32, 20 rounds). */
import { describe, expect, it } from 'vitest';
import { threefry2x32 } from '../../src/random/threefry.ts';

const answers: readonly (readonly [
  counter: [number, number],
  key: [number, number],
  words: [number, number],
])[] = [
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x243f6a88, 0x85a308d3],
    [0x13198a2e, 0x03707344],
    [0xc4923a9c, 0x483df7a0],
  ],
];

describe('threefry2x32', () => {
  it.each(answers)('counter %o under key %o gives %o', (counter, key, words) => {
    const out = new Uint32Array(4);
    threefry2x32(key[0], key[1], counter[0], counter[1], out, 1);
    expect(Array.from(out)).toEqual([0, ...words, 0]);
  });
});
