/** Seeded choices: file i of a run is the same whatever comes before it. */
export class Choices {
  #state: number;

  constructor(seed: number, file: number) {
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(file + 1, 0x85ebca6b)) >>> 0;
    for (let i = 0; i < 4; i++) this.word();
  }

  /** 32 bits. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** An integer from 0 up to but not including n; 0 where n is 0. */
  below(n: number): number {
    return n <= 0 ? 0 : Math.floor((this.word() / 2 ** 32) * n);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  chance(p: number): boolean {
    return this.word() / 2 ** 32 < p;
  }

  bytes(n: number): Uint8Array {
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = this.word();
    return out;
  }
}
