/** A heap that is full: an error that says so, nothing changed, and work that goes on. */
import {
  fromData,
  getBackend,
  Key,
  scope,
  setMemoryLimit,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import { afterEach, describe, expect, it } from 'vitest';

const most = 2 ** 32;
afterEach(() => setMemoryLimit(most));

const megabyte = (): Tensor => fromData(new Float32Array(2 ** 18).fill(1.5), [2 ** 18]);

describe('a memory limit', () => {
  it('refuses what cannot fit, and leaves everything as it was', () => {
    withBackend('wasm', () => {
      const x = megabyte();
      setMemoryLimit(8 * 2 ** 20);
      const wide = x.reshape([2 ** 18, 1]).expand([2 ** 18, 16]);
      expect(() => wide.add(1)).toThrow(
        /allocate: 16\.0 MiB do not fit into the wasm heap: .* the limit is 8\.0 MiB/,
      );
      expect(x.sum().itemSync()).toBe(1.5 * 2 ** 18);
      expect(x.add(1).narrow(0, 7, 1).itemSync()).toBe(2.5);
    });
  });

  it('moves the oldest out and brings them back when they are wanted', () => {
    withBackend('wasm', () => {
      setMemoryLimit(8 * 2 ** 20);
      const all = Array.from({ length: 30 }, (_, i) => new Key(i).normal([2 ** 16]).add(i));
      const sums = all.map((x) => x.sum().itemSync());
      setMemoryLimit(most);
      expect(all.map((x) => x.sum().itemSync())).toEqual(sums);
      const { movedOut, broughtBack } = (
        getBackend('wasm') as unknown as { heapStats(): Record<string, number> }
      ).heapStats();
      expect(movedOut).toBeGreaterThan(0);
      expect(broughtBack).toBeGreaterThan(0);
    });
  });

  it('a tensor larger than there can be is refused', () => {
    withBackend('wasm', () => {
      const one = fromData(Float32Array.of(1), [1, 1]);
      expect(() => one.expand([2 ** 15, 2 ** 16]).add(1)).toThrow(
        /8192\.0 MiB do not fit into the wasm heap/,
      );
    });
  });

  it('holds for steps in scopes, however many', () => {
    withBackend('wasm', () => {
      const x = megabyte();
      setMemoryLimit(16 * 2 ** 20);
      for (let i = 0; i < 200; i++) scope(() => void x.add(1).mul(2).tanh());
      expect(x.sum().itemSync()).toBe(1.5 * 2 ** 18);
    });
  });

  it('is a number above 0', () => {
    expect(() => setMemoryLimit(0)).toThrow('needs a number of bytes > 0');
    expect(() => setMemoryLimit(NaN)).toThrow('needs a number of bytes > 0');
  });
});
