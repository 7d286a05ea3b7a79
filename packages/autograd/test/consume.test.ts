/** A backward pass that gives back what the graph has saved as it goes. */
import { grad } from '@infinigrad/autograd';
import { keep, Key, memoryStats, scope, withBackend, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

const layers = 24;
const input = (): Tensor => new Key(0).normal([64, 64]);

/** A deep chain whose every step is saved. */
function chain(x: Tensor, seen: (y: Tensor) => void = () => {}): Tensor {
  let y = x;
  for (let i = 0; i < layers; i++) seen((y = y.tanh().add(0.1)));
  return y.square().sum();
}

/** Bytes at the end of a step in a scope, before the scope ends, beyond those at its start. */
function left(consume: boolean): { bytes: number; gradient: number[] } {
  const x = input().requireGrad();
  return scope(() => {
    const before = memoryStats().bytes;
    chain(x).backward(undefined, { consume });
    return { bytes: memoryStats().bytes - before, gradient: Array.from(x.grad!.dataSync()) };
  });
}

describe.each(['js', 'wasm'])('on %s, backward with consume', (backend) => {
  const test = (name: string, body: () => void): void => it(name, () => withBackend(backend, body));

  test('gives the same gradient, and most of the memory back', () => {
    const [kept, consumed] = [left(false), left(true)];
    expect(consumed.gradient).toEqual(kept.gradient);
    // Of each layer the tanh is saved, and the sum after it is not.
    expect(kept.bytes - consumed.bytes).toBeGreaterThanOrEqual(layers * 64 * 64 * 4);
  });

  test('spares the loss, what was kept, and what the scope does not own', () => {
    const x = input().requireGrad();
    let middle!: Tensor;
    const loss = scope(() => {
      let i = 0;
      const y = chain(x, (z) => {
        if (++i === 3) middle = keep(z.detach());
      });
      y.backward(undefined, { consume: true });
      expect(Number.isFinite(y.itemSync())).toBe(true);
      return y.detach();
    });
    expect(Number.isFinite(loss.itemSync())).toBe(true);
    expect(middle.dataSync()).toHaveLength(64 * 64);
    expect(x.detach().dataSync()).toHaveLength(64 * 64);
  });

  test('is what grad does', () => {
    const peak = (): number => {
      const before = memoryStats().bytes;
      const g = grad((x: Tensor) => chain(x))(input());
      expect(g.shape).toEqual([64, 64]);
      return memoryStats().bytes - before;
    };
    expect(peak()).toBeLessThanOrEqual(4 * 64 * 64 * 4);
  });
});
