/** A helper thread that fails: its calls are made by the caller, the pool takes no further jobs, and says why. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Kernel, KernelCache } from '../../src/backends/wasm/kernels.ts';
import { ThreadPool } from '../../src/backends/wasm/threads/pool.ts';

/** Kernels whose module helpers cannot compile: `\0asm` and nonsense. */
function brokenCache(): KernelCache {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const place = { module: 0, index: 0, bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9) };
  return { heap: { memory }, placeOf: () => place } as unknown as KernelCache;
}

describe('a thread that fails', () => {
  it('costs nothing but its help', async () => {
    const pool = new ThreadPool(brokenCache(), 1);
    try {
      for (let i = 0; i < 500 && pool.ready === 0; i++) await sleep(10);
      expect(pool.ready).toBe(1);
      let made: number[] = [];
      const kernel: Kernel = (lane, call) => {
        made.push(lane! * 10 + call!);
        // Long enough that the helper gets a lane.
        for (const until = performance.now() + 5; performance.now() < until;);
        return undefined;
      };
      const lanes = Array.from({ length: 8 }, (_, lane) => [
        [lane, 0],
        [lane, 1],
      ]);
      const wanted = lanes.flat().map(([lane, call]) => lane! * 10 + call!);
      for (let i = 0; i < 50 && pool.failure === null; i++) {
        made = [];
        expect(pool.run(kernel, lanes)).toBe(true);
        expect(made.toSorted((a, b) => a - b)).toEqual(wanted);
      }
      expect(pool.failure).toMatch(/CompileError/);
      expect(pool.run(kernel, lanes)).toBe(false);
    } finally {
      pool.close();
    }
  });
});
