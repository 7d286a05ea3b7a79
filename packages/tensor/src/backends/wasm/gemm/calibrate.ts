/**
 * Which micro-kernel is fastest on this engine is found out by timing them, once the work done makes it worth a few
 * milliseconds. All give the same sums: the choice shows in nothing but the time.
 */
import type { Kernel, KernelCache } from '../kernels.ts';
import { keyOf, tileShape, type Variant } from './shape.ts';
import { buildTile } from './tile.ts';

/** Multiplications after which the candidates are warmed up, and after which they are timed. */
const warmAfter = 2 ** 28;
const timeAfter = 2 ** 29;
/** A sample, in milliseconds; samples of each candidate when they are timed. */
const sampleTime = 0.25;
const samples = 5;
/** Another than the first candidate must be faster by so much. */
const advantage = 0.96;
/** The problem: so many tiles, so many elements of the inner axis. */
const tiles = 4;
const inner = 128;
/** Bytes that it takes, for tiles of up to eight rows. */
export const calibrationBytes = 65536;

export class Calibration {
  readonly #kernels: KernelCache;
  readonly #room: () => number;
  readonly #candidates: readonly Variant[];
  readonly #fused: boolean;
  readonly #clock: () => number;
  #done = 0;
  #warm = false;
  #over: boolean;

  /**
   * @param room the address of memory to work in
   * @param clock in milliseconds
   */
  constructor(
    kernels: KernelCache,
    room: () => number,
    candidates: readonly Variant[],
    fused: boolean,
    clock = (): number => performance.now(),
  ) {
    this.#kernels = kernels;
    this.#room = room;
    this.#candidates = candidates;
    this.#fused = fused;
    this.#clock = clock;
    this.#over = candidates.length < 2;
  }

  /**
   * To be told of all work.
   * @returns the fastest candidate, once
   */
  after(multiplications: number): Variant | null {
    if (this.#over) return null;
    this.#done += multiplications;
    if (!this.#warm && this.#done >= warmAfter) {
      // What is called often enough is compiled again, better, in the background.
      this.#warm = true;
      for (const run of this.#runs()) for (let i = 0; i < 4; i++) this.#sample(run);
    } else if (this.#warm && this.#done >= timeAfter) {
      this.#over = true;
      return this.#fastest();
    }
    return null;
  }

  #fastest(): Variant {
    const runs = this.#runs();
    const best = runs.map(() => Infinity);
    for (let round = 0; round < samples; round++)
      runs.forEach((run, i) => (best[i] = Math.min(best[i]!, this.#sample(run) / this.#candidates[i]!.rows)));
    const least = best.indexOf(Math.min(...best));
    return this.#candidates[best[least]! < best[0]! * advantage ? least : 0]!;
  }

  /** Milliseconds of one call. */
  #sample(run: () => void): number {
    const start = this.#clock();
    for (let calls = 0; ;) {
      for (let i = 0; i < 32; i++) run();
      calls += 32;
      const time = this.#clock() - start;
      if (time >= sampleTime) return time / calls;
    }
  }

  #runs(): (() => void)[] {
    const room = this.#room();
    this.#kernels.heap.bytes.fill(0, room, room + calibrationBytes);
    const step = inner * 4;
    const [b, c] = [room + tiles * 8 * step, room + tiles * 8 * step + inner * 32];
    return this.#candidates.map((variant) => {
      const { rows } = variant;
      const shape = tileShape('f32', this.#fused, variant);
      const kernel: Kernel = this.#kernels.get(`gemm ${keyOf(shape)} tile`, (module) =>
        buildTile(module, shape, { rows, left: 'along', right: 'packed', edge: 'full' }),
      )[`tile full ${rows}`]!;
      return () => void kernel(room, b, c, tiles, inner, step, 0, 0, 32, 0, shape.columns);
    });
  }
}
