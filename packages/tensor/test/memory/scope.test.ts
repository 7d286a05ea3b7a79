/** Scopes: what goes, what stays, what is told about it. */
import {
  DisposedError,
  fromData,
  inScope,
  keep,
  memoryReport,
  memoryStats,
  openScope,
  pin,
  retire,
  scope,
  setMemoryDebug,
  tensor,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import { afterEach, describe, expect, it } from 'vitest';

const numbers = (x: Tensor): number[] => Array.from(x.dataSync());
const made = (...values: number[]): Tensor => fromData(Float32Array.from(values), [values.length]);

afterEach(() => setMemoryDebug(false));

describe.each(['js', 'wasm'])('on %s, a scope', (backend) => {
  const test = (name: string, body: () => void): void => it(name, () => withBackend(backend, body));

  test('keeps what it returns, in arrays, maps and objects too, and gives the rest back', () => {
    const before = memoryStats();
    const lost: Tensor[] = [];
    const result = scope(() => {
      const x = made(1, 2);
      lost.push(x, x.exp());
      return { one: x.add(1), more: [x.mul(2)], map: new Map([['a', x.neg()]]), text: 'kept', none: null };
    });
    expect(numbers(result.one)).toEqual([2, 3]);
    expect(numbers(result.more[0]!)).toEqual([2, 4]);
    expect(numbers(result.map.get('a')!)).toEqual([-1, -2]);
    for (const x of lost) expect(() => x.add(1)).toThrow(DisposedError);
    for (const x of lost) expect(() => x.dataSync()).toThrow(DisposedError);
    expect(memoryStats().tiers.scoped).toBe(before.tiers.scoped);
    // Three results, and the scalars 1 and 2 if they are new.
    expect(memoryStats().buffers - before.buffers).toBeLessThanOrEqual(5);
  });

  test('keeps a view by what it is a view of', () => {
    const view = scope(() => made(1, 2, 3, 4).reshape([2, 2]).transpose().narrow(0, 1, 1));
    expect(numbers(view)).toEqual([2, 4]);
  });

  test('nested: a kept tensor lives until the scope around ends', () => {
    let inner!: Tensor;
    scope(() => {
      scope(() => {
        inner = keep(made(7));
      });
      expect(numbers(inner)).toEqual([7]);
    });
    expect(() => inner.dataSync()).toThrow(DisposedError);
    expect(numbers(keep(made(8)))).toEqual([8]);
  });

  test('ends when its body throws', () => {
    let x!: Tensor;
    expect(() =>
      scope(() => {
        x = made(1);
        throw new Error('out');
      }),
    ).toThrow('out');
    expect(inScope()).toBe(false);
    expect(() => x.dataSync()).toThrow(DisposedError);
  });

  test('refuses asynchronous bodies, and to end before those inside', () => {
    expect(() => scope(async () => made(1))).toThrow('the body is asynchronous');
    const outer = openScope();
    const inner = openScope();
    expect(() => outer.close()).toThrow('innermost first');
    inner.close();
    inner.close();
    outer.close();
    expect(inScope()).toBe(false);
  });

  test('ends with its block under `using`', () => {
    let x!: Tensor;
    {
      using inner = openScope();
      x = made(1);
      expect(inScope()).toBe(true);
      expect(inner.parent).toBeNull();
    }
    expect(inScope()).toBe(false);
    expect(() => x.dataSync()).toThrow(DisposedError);
  });

  test('does not touch what was made outside, nor what is pinned', () => {
    const outside = made(1);
    const pinned = scope(() => {
      outside.add(1);
      const x = made(5);
      void pin(x);
      return [() => numbers(x), x.storage] as const;
    });
    expect(numbers(outside)).toEqual([1]);
    expect(pinned[0]()).toEqual([5]);
    expect(pinned[1].pinned).toBe(true);
  });

  test('takes a pinned tensor whose time has come, unless somebody may hold it', () => {
    const unknown = pin(made(1));
    retire(unknown.storage);
    expect(numbers(unknown)).toEqual([1]);
    let own!: Tensor;
    scope(() => {
      own = made(2);
      own.storage.pin();
    });
    scope(() => {
      retire(own.storage);
      expect(numbers(own)).toEqual([2]);
    });
    expect(() => own.dataSync()).toThrow(DisposedError);
  });

  test('a storage pinned twice must be retired twice', () => {
    let x!: Tensor;
    scope(() => {
      x = made(3);
      x.storage.pin();
      x.storage.pin();
    });
    retire(x.storage);
    expect(x.storage.disposed).toBe(false);
    retire(x.storage);
    expect(x.storage.disposed).toBe(true);
  });

  test('error messages name the op, what made the tensor and, debugging, where', () => {
    setMemoryDebug(true);
    const x = scope(() => {
      const y = made(1).exp();
      return [y.shape, () => y] as const;
    })[1]();
    expect(() => x.add(1)).toThrow(
      /^add: a tensor's scope has ended \(it was made by exp, made at .*scope\.test\.ts/,
    );
    setMemoryDebug(false);
    const z = scope(() => {
      const y = made(1).exp();
      return [() => y] as const;
    })[0]();
    expect(() => z.mul(1)).toThrow(/setMemoryDebug\(true\) tells where/);
  });

  test('a memory report lists the survivors by origin', () => {
    setMemoryDebug(true);
    const kept = [1, 2, 3].map((i) => made(i, i).exp());
    const line = memoryReport().find(({ madeBy }) => madeBy === 'exp');
    expect(line).toMatchObject({ tier: 'free', buffers: 3, bytes: 24 });
    expect(line!.site).toContain('scope.test.ts');
    expect(kept).toHaveLength(3);
  });

  test('ten thousand steps take no more memory than a hundred', () => {
    const parameter = pin(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    );
    const step = (): void => scope(() => void parameter.matmul(parameter).exp().sum().add(1));
    for (let i = 0; i < 100; i++) step();
    const before = memoryStats();
    for (let i = 0; i < 10_000; i++) step();
    const after = memoryStats();
    expect(after.bytes).toBeLessThanOrEqual(before.bytes);
    expect(after.peakBytes).toBe(before.peakBytes);
  });
});
