/** Results in short, so that they travel quickly: equal digests mean equal bits. */
import { ulpDistance } from '@infinigrad/tensor/testing';
import type { Tensor } from '@infinigrad/tensor';

export interface Digest {
  readonly elements: number;
  /** Of all bits. */
  readonly hash: string;
  /** Every 61st element. */
  readonly sample: readonly number[];
}

/** Of an f32 tensor. */
export function digest(x: Tensor): Digest {
  const data = x.dataSync();
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  // FNV-1a over whole words, twice: forwards and backwards.
  let [a, b] = [0x811c9dc5, 0x811c9dc5];
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i]!, 0x01000193) ^ (a >>> 15);
    b = Math.imul(b ^ words[words.length - 1 - i]!, 0x01000193) ^ (b >>> 15);
  }
  return {
    elements: words.length,
    hash: [a, b].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join(''),
    sample: Array.from(data).filter((_, i) => i % 61 === 0),
  };
}

/** `equal bits`, or by how much a sample of `actual` differs. */
export function compare(actual: Digest, expected: Digest): string {
  if (actual.hash === expected.hash && actual.elements === expected.elements) return 'equal bits';
  if (actual.elements !== expected.elements) return `${actual.elements} elements, not ${expected.elements}`;
  return `other bits: up to ${ulpApart(actual, expected)} ulp in a sample of ${actual.sample.length}`;
}

/** The most that an element of the sample differs by. */
export function ulpApart({ sample }: Digest, expected: Digest): number {
  return Math.max(...sample.map((x, i) => ulpDistance(x, expected.sample[i]!)));
}
