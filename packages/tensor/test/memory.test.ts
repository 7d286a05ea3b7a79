/** The account of memory: what counts, what does not, and that it goes down again. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  backendNames,
  dtypes,
  fromData,
  memoryStats,
  tensor,
  withBackend,
  zeros,
  type MemoryStats,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    gc();
  }
}

/** What a body adds to the account while its result lives. */
function costOf<T>(body: () => T): {
  result: T;
  buffers: number;
  bytes: number;
  allocations: number;
  allocatedBytes: number;
} {
  const before = memoryStats();
  const result = body();
  const after = memoryStats();
  const more = (name: 'buffers' | 'bytes' | 'allocations' | 'allocatedBytes'): number =>
    after[name] - before[name];
  return {
    result,
    buffers: more('buffers'),
    bytes: more('bytes'),
    allocations: more('allocations'),
    allocatedBytes: more('allocatedBytes'),
  };
}

describe.each(backendNames())('memoryStats on %s', (backend) => {
  const test = (name: string, body: () => void | Promise<void>): void =>
    it(name, () => withBackend(backend, body));

  test('counts elements at the size of their dtype', () => {
    for (const dtype of dtypes) {
      const size = { bool: 1, u8: 1, i32: 4, f16: 2, bf16: 2, f32: 4, f64: 8 }[dtype];
      const { buffers, bytes, allocations, allocatedBytes } = costOf(() =>
        fromData(new Float64Array(100), [10, 10], { dtype }),
      );
      expect([buffers, bytes, allocations, allocatedBytes]).toEqual([1, 100 * size, 1, 100 * size]);
    }
  });
  test('counts the result of an op once it is there', () => {
    const x = tensor(new Float32Array(250));
    const { bytes, buffers } = costOf(() => x.exp());
    expect([bytes, buffers]).toEqual([1000, 1]);
    const row = costOf(() => x.reshape([10, 25]).sum(1));
    expect([row.bytes, row.buffers]).toEqual([40, 1]);
  });
  test('views cost nothing', () => {
    const x = tensor(new Float32Array(240)).reshape([2, 10, 12]);
    const { bytes, allocations } = costOf(() => [
      x.transpose(),
      x.reshape([-1]),
      x.slice([null, [2, 8, 3]]),
      x.select(0, 1).flip(),
      x.unsqueeze(0).expand([50, 2, 10, 12]),
    ]);
    expect([bytes, allocations]).toEqual([0, 0]);
  });
  test('reading costs nothing that stays', () => {
    const x = tensor(new Float32Array(100)).reshape([10, 10]);
    expect(costOf(() => x.dataSync()).bytes).toBe(0);
    expect(costOf(() => x.toArraySync()).bytes).toBe(0);
  });
  test('the parts add up, and the peak is never below', () => {
    const check = (stats: MemoryStats): void => {
      const { scoped, free, pinned } = stats.tiers;
      expect(scoped + free + pinned).toBe(stats.bytes);
      expect(stats.peakBytes).toBeGreaterThanOrEqual(stats.bytes);
      expect(stats.allocations).toBeGreaterThanOrEqual(stats.buffers);
      expect(stats.allocatedBytes).toBeGreaterThanOrEqual(stats.bytes);
      expect(Object.values(stats.tiers).every((n) => n >= 0)).toBe(true);
    };
    check(memoryStats());
    const x = tensor(new Float64Array(1000));
    check(memoryStats());
    x.add(x).mul(x);
    check(memoryStats());
  });
  test('is a snapshot', () => {
    const before = memoryStats();
    const copy = structuredClone(before);
    const x = zeros([10]).add(1);
    expect(before).toEqual(copy);
    expect(memoryStats().allocations).toBeGreaterThan(before.allocations);
    expect(x.size).toBe(10);
  });
  test('goes down again when nothing leads to a tensor any more, though not while a view does', async () => {
    const make = (): Tensor => tensor(new Float32Array(1e6)).narrow(0, 10, 5);
    await collectGarbage();
    const before = memoryStats();
    let view: Tensor | null = make();
    expect(memoryStats().bytes - before.bytes).toBe(4e6);
    await collectGarbage();
    expect(memoryStats().bytes - before.bytes).toBe(4e6);
    expect(view.dataSync()).toEqual(new Float32Array(5));
    view = null;
    await collectGarbage();
    expect(memoryStats().bytes).toBeLessThan(before.bytes + 4e6);
    expect(memoryStats().peakBytes).toBeGreaterThanOrEqual(before.bytes + 4e6);
  });
});
