/** inferenceMode: the same results as noGrad, in less memory, that can never be part of a graph. */
import { backward, enableGrad, grad, inferenceMode, noGrad, recording, vjp } from '@infinigrad/autograd';
import { GradientError, keep, memoryStats, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { gradientOf, leaf, list, t, thrownBy } from '../support.ts';
import { onEachKind, peakOf } from './kinds.ts';

onEachKind(({ normal, leaf: leafOf, dtype }, test) => {
  const model = (x: Tensor, w: Tensor): Tensor =>
    x.matmul(w).add(1).gelu().mul(0.5).tanh().softmax().matmul(w);

  test('gives what noGrad gives, to the bit, without a graph', () => {
    const [x, w] = [leafOf([8, 8]), leafOf([8, 8], 1)];
    const y = inferenceMode(() => model(x, w));
    expect([y.requiresGrad, y.isLeaf, list(y)]).toEqual([false, true, list(noGrad(() => model(x, w)))]);
  });
  test('gives back what it makes, but for what is returned or kept', () => {
    const x = leafOf([4]);
    let [gone, kept]: Tensor[] = [];
    const { result } = inferenceMode(() => {
      gone = x.exp();
      kept = keep(gone.mul(2));
      return { result: gone.add(1) };
    });
    expect(gone!.storage.disposed).toBe(true);
    expect(list(kept!.sub(result))).toEqual(list(x.detach().exp().mul(2).sub(x.detach().exp().add(1))));
  });
  test('needs no memory for a chain, and leaves none', () => {
    const x = normal([64, 64]);
    const chain = (y: Tensor): Tensor => y.add(1).mul(2).tanh().sub(3).square();
    const bytes = x.storage.bytes;
    inferenceMode(() => chain(x));
    const before = memoryStats().bytes;
    const loop = (): number =>
      peakOf(() => {
        inferenceMode(() => chain(x).sum().itemSync());
      });
    for (let i = 0; i < 5; i++) loop();
    expect(memoryStats().bytes).toBeLessThanOrEqual(before);
    // In f32 on wasm the chain is one pass.
    expect(loop()).toBeLessThanOrEqual((dtype === 'f32' ? 2 : 6) * bytes);
  });
  test('results go on to where no gradient is wanted', () => {
    const x = leafOf([3]);
    const [y, index] = inferenceMode(() => [x.exp(), x.argMax()] as const);
    expect(y.mul(2).requiresGrad).toBe(false);
    expect(noGrad(() => y.mul(x)).requiresGrad).toBe(false);
    // Positions have no gradients, and stand in a graph as any other.
    x.indexSelect(0, index.reshape([1]))
      .sum()
      .backward();
    expect(gradientOf(x).filter((g) => g === 1)).toHaveLength(1);
    x.grad = null;
    x.mul(y.clone()).sum().backward();
    expect(gradientOf(x)).toEqual(list(y));
    const free = y.clone().requireGrad();
    free.sum().backward();
    expect(gradientOf(free)).toEqual([1, 1, 1]);
  });
});

describe('refuses', () => {
  const [x, y] = [leaf([1, 2]), inferenceMode(() => leaf([3, 4]).mul(1))];
  it.each<[string, () => unknown, string]>([
    [
      'a result beside what needs a gradient',
      () => x.mul(y),
      'mul: input 1 was made in inferenceMode and cannot be part of a graph: [2] f64, [2] f64. Hint: clone() it, or make it under noGrad',
    ],
    ['its detached self', () => y.detach().mul(x), 'mul: input 0 was made in inferenceMode'],
    [
      'a gradient for a result',
      () => y.requireGrad(),
      'requiresGrad: the tensor was made in inferenceMode and has no gradients: [2] f64. Hint: clone() it',
    ],
    [
      'a gradient at a result',
      () => grad((z: Tensor) => z.sum())(y),
      'grad: input 0 was made in inferenceMode and cannot be part of a graph',
    ],
    [
      'a gradient of a result',
      () => backward(y, t([1, 1])),
      'backward: the tensor does not depend on any tensor that needs a gradient',
    ],
    ['a hook on a result', () => y.registerHook(() => {}), 'registerHook: the tensor needs no gradient'],
    [
      'enableGrad inside',
      () => inferenceMode(() => enableGrad(() => x.mul(2))),
      'enableGrad: inside inferenceMode nothing can be differentiated. Hint: use noGrad',
    ],
    [
      'grad inside',
      () => inferenceMode(() => grad((z: Tensor) => z.sum())(x)),
      'inside inferenceMode nothing can be differentiated',
    ],
    [
      'vjp inside',
      () => inferenceMode(() => vjp((z: Tensor) => z.sum(), t([1]))),
      'inside inferenceMode nothing can be differentiated',
    ],
    [
      'backward inside',
      () => inferenceMode(() => x.mul(2).sum().backward()),
      'backward: inside inferenceMode nothing can be differentiated',
    ],
    [
      'backward inside, of a graph from outside',
      () => {
        const z = x.mul(2).sum();
        inferenceMode(() => z.backward());
      },
      'backward: inside inferenceMode nothing can be differentiated',
    ],
  ])('%s', (_, body, message) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(message);
    expect([recording(), x.grad]).toEqual([true, null]);
  });
});

it('holds inside noGrad, and noGrad inside it', () => {
  const x = leaf([1]);
  for (const made of [
    inferenceMode(() => noGrad(() => x.mul(2))),
    noGrad(() => inferenceMode(() => x.mul(2))),
    inferenceMode(() => inferenceMode(() => x.mul(2))),
  ])
    expect(() => made.mul(x)).toThrow('was made in inferenceMode');
  // What is given to it stays as it is.
  inferenceMode(() => x.mul(2));
  expect(x.requiresGrad).toBe(true);
  const data = inferenceMode(() => tensor([1, 2]));
  expect(data.requireGrad().requiresGrad).toBe(true);
});
