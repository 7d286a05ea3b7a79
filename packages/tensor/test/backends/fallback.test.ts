/** Where the wasm backend has no kernel of its own, that is counted, and can be forbidden. */
import { BackendError, eye, fallbackStats, ones, setFallback, withBackend } from '@infinigrad/tensor';
import { afterEach, expect, it } from 'vitest';

const solve = (): void =>
  void eye(3, undefined, { dtype: 'f64' })
    .solve(ones([3, 1], { dtype: 'f64' }))
    .dataSync();
afterEach(() => setFallback('allow'));

it('counts calls by op', () =>
  withBackend('wasm', () => {
    const before = fallbackStats()['solve'] ?? 0;
    solve();
    expect(fallbackStats()['solve']).toBe(before + 1);
    const add = fallbackStats()['add'];
    ones([3]).add(1).dataSync();
    expect(fallbackStats()['add']).toBe(add);
  }));

it('refuses where it is forbidden, and does what has a kernel', () =>
  withBackend('wasm', () => {
    setFallback('forbid');
    expect(solve).toThrow(BackendError);
    expect(solve).toThrow('solve: the wasm backend has no kernel for it in f64');
    expect(
      ones([2, 2])
        .matmul(ones([2, 2]))
        .toArraySync(),
    ).toEqual([
      [2, 2],
      [2, 2],
    ]);
    setFallback('allow');
    solve();
  }));

it('knows two policies', () =>
  expect(() => setFallback('warn' as 'allow')).toThrow("setFallback: 'warn' is neither"));
