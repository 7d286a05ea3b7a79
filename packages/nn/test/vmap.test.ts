/** Losses and modules over a batch of examples, by vmap. */
import { grad, vmap } from '@infinigrad/autograd';
import { crossEntropy, Linear } from '@infinigrad/nn';
import { IndexError, Key, stack, tensor, type Tensor } from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { expect, it } from 'vitest';

const key = new Key(0);
const [xs, targets] = [
  key.foldIn(1).normal([3, 4, 5]),
  tensor(
    [
      [0, 1, 2, 0],
      [1, 1, 0, 2],
      [2, 0, 0, 1],
    ],
    { dtype: 'i32' },
  ),
];
const each = (f: (x: Tensor, target: Tensor) => Tensor): Tensor =>
  stack([0, 1, 2].map((i) => f(xs.select(0, i), targets.select(0, i))));

it('a model and its loss give what they give for each example, and the gradients of each', () => {
  const layer = new Linear(5, 3, { key: key.foldIn(2) });
  const loss = (x: Tensor, target: Tensor): Tensor =>
    crossEntropy(layer.forward(x), target, { ignoreIndex: 2 });
  expectAllClose(vmap(loss)(xs, targets), each(loss), { rtol: 1e-6 });
  const gradient = grad(loss);
  expectAllClose(vmap(gradient)(xs, targets), each(gradient), { rtol: 1e-5, atol: 1e-7 });
  vmap(loss)(xs, targets).sum().backward();
  const all = layer.weight.grad!;
  layer.weight.grad = null;
  each(loss).sum().backward();
  expectAllClose(all, layer.weight.grad!, { rtol: 1e-5, atol: 1e-6 });
});

it('a target out of range in one example is refused', () => {
  const loss = (x: Tensor, target: Tensor): Tensor => crossEntropy(x, target);
  expect(() => vmap(loss)(xs, targets.add(3))).toThrow(IndexError);
});
