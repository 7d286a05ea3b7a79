/** Layers under the transformations of functions: a whole batch by vmap, forward mode, checkpoints. */
import { checkpoint, grad, jvp, vmap } from '@infinigrad/autograd';
import * as nn from '@infinigrad/nn';
import { Key, stack, type Tensor } from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, test } from 'vitest';

const dtype = 'f64' as const;
const key = new Key(6);
const options = { key, dtype };

/** A layer, and the shape of one example. */
const layers: Record<string, { shape: number[]; forward: (x: Tensor) => Tensor }> = {};
const add = (name: string, shape: number[], layer: nn.Layer): void => {
  layers[name] = { shape, forward: (x) => layer.forward(x) };
};
add(
  'Bilinear with itself',
  [2, 3],
  new (class extends nn.Module {
    readonly form = new nn.Bilinear(3, 3, 2, options);
    forward(x: Tensor): Tensor {
      return this.form.forward(x, x);
    }
  })(),
);
add('MLP', [2, 3], new nn.MLP(3, 4, options));
add('GEGLU', [2, 3], new nn.GEGLU(3, 4, options));
add('Conv2d', [2, 3, 3], new nn.Conv2d(2, 3, 2, { ...options, padding: 1 }));
add(
  'Conv2d, reflecting',
  [1, 2, 3, 3],
  new nn.Conv2d(2, 3, 2, { ...options, padding: 1, paddingMode: 'reflect' }),
);
add('ConvTranspose1d', [1, 2, 3], new nn.ConvTranspose1d(2, 3, 2, { ...options, stride: 2 }));
add('MaxPool2d', [1, 1, 4, 4], new nn.MaxPool2d(2));
add('AvgPool1d', [1, 2, 5], new nn.AvgPool1d(2, { padding: 1 }));
add('GroupNorm', [2, 4, 3], new nn.GroupNorm(2, 4, { dtype }));
add('InstanceNorm1d', [2, 3, 4], new nn.InstanceNorm1d(3, { dtype }));
add('BatchNorm1d in evaluation', [2, 3], new nn.BatchNorm1d(3, { dtype }).eval());
add('BatchNorm1d without statistics', [3, 3], new nn.BatchNorm1d(3, { dtype, trackRunningStats: false }));
add('PReLU', [2, 3], new nn.PReLU(3, { dtype }));
add('Residual', [2, 3], new nn.Residual(new nn.MLP(3, 4, options), { norm: new nn.LayerNorm(3, { dtype }) }));
for (const [name, network] of Object.entries({
  GRU: new nn.GRU(2, 3, options),
  LSTM: new nn.LSTM(2, 3, options),
}))
  layers[name] = { shape: [2, 3, 2], forward: (x) => network.forward(x).output };

describe.each(Object.entries(layers))('%s', (_, { shape, forward }) => {
  const x = key.foldIn(1).normal(shape, { dtype });
  const xs = key.foldIn(2).normal([3, ...shape], { dtype });
  const loss = (y: Tensor): Tensor => forward(y).square().sum();

  test('a vmap is the layer on each example, and so are its gradients', () => {
    for (const f of [forward, grad(loss)])
      expectAllClose(vmap(f)(xs), stack([0, 1, 2].map((i) => f(xs.select(0, i)))), {
        rtol: 1e-11,
        atol: 1e-13,
      });
  });

  test('forward mode agrees with reverse mode', () => {
    const direction = key.foldIn(3).normal(shape, { dtype });
    const { tangent } = jvp(loss, [x], [direction]);
    expectAllClose(tangent as Tensor, grad(loss)(x).mul(direction).sum(), { rtol: 1e-11, atol: 1e-12 });
  });

  test('a checkpoint changes nothing', () => {
    const saved = checkpoint(forward);
    expectAllClose(grad((y: Tensor) => saved(y).square().sum())(x), grad(loss)(x), { rtol: 0, atol: 0 });
  });
});
