/** What a graph keeps alive, and that `backward` lets go of it. */
import { noGrad } from '@infinigrad/autograd';
import type { Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { collectGarbage, gradientOf, spread } from './support.ts';

/** Whether the tensor behind a weak reference is still there once nothing but the graph can hold it. */
async function alive(ref: WeakRef<Tensor>): Promise<boolean> {
  await collectGarbage();
  return ref.deref() !== undefined;
}

/** A loss whose rule needs `middle`, and nothing but the graph to hold it. */
function lossOver(x: Tensor): { loss: Tensor; middle: WeakRef<Tensor> } {
  const middle = x.exp();
  return { loss: middle.square().sum(), middle: new WeakRef(middle) };
}

describe('a graph', () => {
  it('keeps what its rules will need, and lets go of it after backward though the loss stays', async () => {
    const x = spread([50]).requireGrad();
    const { loss, middle } = lossOver(x);
    expect(await alive(middle)).toBe(true);
    loss.backward();
    expect(await alive(middle)).toBe(false);
    expect([loss.requiresGrad, loss.size]).toEqual([true, 1]);
  });

  it('keeps it where it was told to, until the next pass', async () => {
    const x = spread([50]).requireGrad();
    const { loss, middle } = lossOver(x);
    loss.backward(undefined, { retainGraph: true });
    expect(await alive(middle)).toBe(true);
    loss.backward();
    expect(await alive(middle)).toBe(false);
  });

  it('goes away with its loss', async () => {
    const x = spread([50]).requireGrad();
    const build = (): WeakRef<Tensor> => lossOver(x).middle;
    const middle = build();
    expect(await alive(middle)).toBe(false);
    expect(x.grad).toBeNull();
  });

  it('keeps nothing for linear ops', async () => {
    const x = spread([50]).requireGrad();
    const build = (): { loss: Tensor; middle: WeakRef<Tensor> } => {
      const middle = x.neg();
      return { loss: middle.add(1).reshape([5, 10]).transpose().sum(0).mean(), middle: new WeakRef(middle) };
    };
    const { loss, middle } = build();
    expect(await alive(middle)).toBe(false);
    loss.backward();
    expect(new Set(gradientOf(x))).toEqual(new Set([-1 / 5]));
  });

  it('is not made under noGrad', async () => {
    const x = spread([50]).requireGrad();
    const { loss, middle } = noGrad(() => lossOver(x));
    expect(await alive(middle)).toBe(false);
    expect(loss.requiresGrad).toBe(false);
  });

  it('is not held by gradients taken without createGraph, and is by those taken with it', async () => {
    const x = spread([50]).requireGrad();
    const build = (createGraph: boolean): WeakRef<Tensor> => {
      const { loss, middle } = lossOver(x);
      loss.backward(undefined, { createGraph });
      return middle;
    };
    const plain = build(false);
    expect(await alive(plain)).toBe(false);
    const differentiable = build(true);
    expect(await alive(differentiable)).toBe(true);
    x.grad = null;
    expect(await alive(differentiable)).toBe(false);
  });

  it('does not grow with the steps of a loop that starts anew each time', async () => {
    const x = spread([50]).requireGrad();
    const step = (): WeakRef<Tensor> => {
      const { loss, middle } = lossOver(x);
      loss.backward();
      return middle;
    };
    const refs = Array.from({ length: 20 }, step);
    await collectGarbage();
    expect(refs.filter((ref) => ref.deref() !== undefined)).toEqual([]);
  });
});
