/** Helper threads: the same bits, no process kept alive, and no harm where one fails. */
import { execFileSync } from 'node:child_process';
import {
  Key,
  scope,
  setThreads,
  threadsReady,
  threadStats,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import { afterAll, describe, expect, it } from 'vitest';

const initially = threadStats().count;
afterAll(() => void setThreads(initially));

async function withHelpers(count: number): Promise<void> {
  setThreads(count);
  expect(await threadsReady()).toEqual({ count, helpersReady: count - 1, lack: null });
}

const work: Readonly<Record<string, () => Tensor>> = {
  'a product': () => new Key(2).normal([300, 257]).matmul(new Key(3).normal([257, 301])),
  'a batch of products': () => new Key(2).normal([32, 65, 33]).matmul(new Key(3).normal([32, 33, 70])),
  softmax: () => new Key(4).normal([2000, 131]).softmax(),
  'layer norm': () =>
    new Key(4).normal([2000, 131]).layerNorm(new Key(5).normal([131]), new Key(6).normal([131])),
  attention: () => {
    const part = (i: number): Tensor => new Key(i).normal([4, 4, 96, 32]);
    return part(7).attention(part(8), part(9), { causal: true });
  },
  exp: () => new Key(4).normal([500_000]).exp(),
  'a sum of rows': () => new Key(4).normal([3000, 131]).sum(1),
  'a sum of columns': () => new Key(4).normal([3000, 131]).sum(0),
};

describe('helper threads', () => {
  it.each(Object.keys(work))('%s: the same bits with one thread, two and three', async (name) => {
    const run = (): number[] => withBackend('wasm', () => Array.from(work[name]!().dataSync()));
    setThreads(1);
    const alone = run();
    for (const count of [2, 3]) {
      await withHelpers(count);
      for (let i = 0; i < 5; i++) expect(run()).toEqual(alone);
    }
  });

  it('do not keep the process alive', () => {
    const script = `
      import { Key, setBackend, setThreads, threadStats } from '@infinigrad/tensor';
      setBackend('wasm');
      setThreads(3);
      const x = new Key(0).normal([256, 256]);
      for (let i = 0; i < 100 && threadStats().helpersReady < 2; i++) {
        x.matmul(x);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      console.log(threadStats().helpersReady);
    `;
    const args = ['--conditions=@infinigrad/source', '--import', 'tsx', '--input-type=module', '-e', script];
    const out = execFileSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 60_000,
      cwd: import.meta.dirname,
    });
    expect(out.trim()).toBe('2');
  });

  it('start by themselves with large work, also where the event loop does not turn', () => {
    setThreads(2);
    const x = new Key(0).normal([256, 256]);
    const until = performance.now() + 20_000;
    withBackend('wasm', () => {
      while (threadStats().helpersReady === 0 && performance.now() < until) scope(() => void x.matmul(x));
    });
    expect(threadStats().helpersReady).toBe(1);
  });

  it('are refused in nonsensical numbers', () => {
    expect(() => setThreads(0)).toThrow('needs an integer ≥ 1, got 0');
    expect(() => setThreads(1.5)).toThrow('needs an integer ≥ 1');
    expect(setThreads(1)).toMatchObject({ count: 1, helpersReady: 0 });
    expect(setThreads(1000).count).toBeLessThanOrEqual(8);
  });
});
