/** Random numbers one after another, decided by a key: whole numbers and uniforms, the same on every platform. */
import type { Key } from '@infinigrad/tensor';

const block = 64;

export class Draws {
  readonly #key: Key;
  #words: Uint32Array = new Uint32Array(0);
  #at = 0;
  #blocks = 0;

  constructor(key: Key) {
    this.#key = key;
  }

  #word(): number {
    if (this.#at === this.#words.length) {
      this.#words = this.#key.foldIn(this.#blocks++).bits(block);
      this.#at = 0;
    }
    return this.#words[this.#at++]!;
  }

  /** Uniform in [0, 1), a multiple of 2^-52. */
  unit(): number {
    const high = this.#word();
    return (high * 2 ** 20 + (this.#word() >>> 12)) / 2 ** 52;
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.unit() * n);
  }

  /** True with a probability. */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** Where in `cumulative`, which rises to 1, a uniform number falls. */
  pick(cumulative: ArrayLike<number>): number {
    const u = this.unit();
    let [low, high] = [0, cumulative.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (u < cumulative[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Puts a list into random order, in place (Fisher and Yates). */
  shuffle<T extends { length: number; [i: number]: V }, V>(list: T): T {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = list[i]!;
      list[i] = list[j]!;
      list[j] = kept;
    }
    return list;
  }
}

/** Sums from the left, divided by the total; the last is 1. */
export function cumulativeOf(weights: readonly number[]): Float64Array {
  const sums = new Float64Array(weights.length);
  let sum = 0;
  weights.forEach((weight, i) => {
    sum += weight;
    sums[i] = sum;
  });
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! / sum;
  return sums;
}
