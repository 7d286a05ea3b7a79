/** Activation modules: PyTorch's numbers, gradients, errors; and activations by name. */
import * as nn from '@infinigrad/nn';
import { Key, ShapeError, tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import { expect, test } from 'vitest';
import { fixture, numbers } from '../support.ts';
import { layersConform, type LayerOptions, type LayerRow, type TwinCase } from './conformance.ts';

const cases = fixture<Record<string, TwinCase>>('layers-activations');

/** Away from kinks, as the fixture is. */
function away(key: Key): Tensor {
  const kinks = [-3, -1, 0, 1, 3, 6];
  const values = numbers(key.normal([24], { dtype: 'f64', std: 2.5 })).map((x) =>
    kinks.some((kink) => Math.abs(x - kink) < 0.05) ? x + 0.1 : x,
  );
  return tensor(values, { dtype: 'f64' }).reshape([2, 3, 4]);
}

const makers: Record<string, (options: LayerOptions) => nn.Layer> = {
  ReLU: () => new nn.ReLU(),
  ReLU6: () => new nn.ReLU6(),
  LeakyReLU: () => new nn.LeakyReLU(),
  'LeakyReLU 0.2': () => new nn.LeakyReLU(0.2),
  PReLU: ({ dtype }) => new nn.PReLU(1, { dtype }),
  'PReLU 3': ({ dtype }) => new nn.PReLU(3, { dtype }),
  ELU: () => new nn.ELU(),
  'ELU 0.5': () => new nn.ELU(0.5),
  SELU: () => new nn.SELU(),
  'CELU 2': () => new nn.CELU(2),
  GELU: () => new nn.GELU(),
  'GELU tanh': () => new nn.GELU('tanh'),
  SiLU: () => new nn.SiLU(),
  Mish: () => new nn.Mish(),
  Softplus: () => new nn.Softplus(),
  'Softplus 2': () => new nn.Softplus(2),
  Softsign: () => new nn.Softsign(),
  Sigmoid: () => new nn.Sigmoid(),
  LogSigmoid: () => new nn.LogSigmoid(),
  Hardsigmoid: () => new nn.Hardsigmoid(),
  Hardswish: () => new nn.Hardswish(),
  Hardtanh: () => new nn.Hardtanh(),
  'Hardtanh -3 1': () => new nn.Hardtanh(-3, 1),
  Tanh: () => new nn.Tanh(),
  Softmax: () => new nn.Softmax(),
  'Softmax 1': () => new nn.Softmax(1),
  LogSoftmax: () => new nn.LogSoftmax(),
  Flatten: () => new nn.Flatten(),
  Identity: () => new nn.Identity(),
};

const rows: Record<string, LayerRow> = Object.fromEntries(
  Object.entries(makers).map(([name, make]) => [
    name,
    { make, inputs: (key: Key) => [away(key)], twins: [{ name, case: cases[name]! }] },
  ]),
);
rows['PReLU 3'] = {
  ...rows['PReLU 3']!,
  errors: {
    'another number of channels': {
      body: () => new nn.PReLU(3).forward(tensor([[1, 2]])),
      type: ShapeError,
      says: 'prelu: needs one slope, or one for each of 2 channels',
    },
  },
};
rows['ReLU2'] = {
  make: () => new nn.ReLU2(),
  inputs: (key) => [away(key)],
  naive: (_, [x]) => numbers(x!).map((v) => (v > 0 ? v * v : 0)),
};

layersConform('activations', rows);

test('the fixture has a row for every case', () => {
  expect(
    Object.keys(cases)
      .filter((name) => name !== 'torch')
      .sort(),
  ).toEqual(Object.keys(makers).sort());
});

test('a slope is learnt from where it starts', () => {
  expect(numbers(new nn.PReLU().weight)).toEqual([0.25]);
  expect(numbers(new nn.PReLU(2, { initial: 0.5 }).weight)).toEqual([0.5, 0.5]);
});

test.each<[string, () => unknown, string]>([
  ['LeakyReLU', () => new nn.LeakyReLU(Infinity), 'LeakyReLU: the slope must be a number'],
  ['PReLU', () => new nn.PReLU(0), 'PReLU: numParameters must be an integer ≥ 1, got 0'],
  ['PReLU', () => new nn.PReLU(1, { initial: NaN }), 'PReLU: the initial slope must be a number, got NaN'],
  ['ELU', () => new nn.ELU(NaN), 'ELU: alpha must be a number, got NaN'],
  ['CELU', () => new nn.CELU(0), 'CELU: alpha must be > 0, got 0'],
  ['GELU', () => new nn.GELU('erf' as never), "GELU: approximate must be none or tanh, got 'erf'"],
  ['Softplus', () => new nn.Softplus(-1), 'Softplus: beta must be > 0, got -1'],
  ['Hardtanh', () => new nn.Hardtanh(1, 1), 'Hardtanh: min 1 is not < max 1'],
])('%s refuses what makes no sense', (_, body, says) => {
  expect(body).toThrow(ValueError);
  expect(body).toThrow(says);
});

test('activations by name are the methods of tensors', () => {
  const names = [
    'relu',
    'relu2',
    'relu6',
    'leakyRelu',
    'elu',
    'selu',
    'celu',
    'gelu',
    'geluTanh',
    'silu',
    'mish',
    'softplus',
    'softsign',
    'sigmoid',
    'logSigmoid',
    'hardsigmoid',
    'hardswish',
    'hardtanh',
    'tanh',
  ] as const;
  const x = away(new Key(1));
  for (const name of names)
    expect(numbers(nn.activationOf('test', name)(x)), name).toEqual(numbers(x[name]()));
  expect(nn.activationOf('test', 'identity')(x)).toBe(x);
  expect(() => nn.activationOf('MLP', 'swish' as never)).toThrow(
    "MLP: activation 'swish' is not known. Hint: one of identity, relu",
  );
});
