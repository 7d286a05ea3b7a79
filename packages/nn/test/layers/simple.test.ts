/** Bilinear, padded and scaled embeddings, feed-forward layers, residual branches. */
import * as nn from '@infinigrad/nn';
import {
  DTypeError,
  IndexError,
  Key,
  ones,
  ShapeError,
  tensor,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture, numbers } from '../support.ts';
import { callKey, layersConform, type TwinCase } from './conformance.ts';

const cases = fixture<Record<string, TwinCase>>('layers-simple');
const twin = (name: string) => ({ name, case: cases[name]! });
const dtype = 'f64' as const;
const key = new Key(0);
const normal = (shape: number[]) => (k: Key) => [k.normal(shape, { dtype })];
const ids = tensor(
  [
    [4, 0, 4],
    [1, 4, 2],
  ],
  { dtype: 'i32' },
);

/** Cases of an older form, where parameters are among the inputs. */
const older = fixture<Record<string, Omit<TwinCase, 'state'>>>('layers');
const olderTwin = (name: string, ...inputs: string[]) => {
  const { inputs: all, ...rest } = older[name]!;
  const pick = (wanted: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([key]) => inputs.includes(key) === wanted));
  return { name, case: { ...rest, inputs: pick(true), state: pick(false) } };
};

layersConform('layers of one tensor or two', {
  Linear: {
    make: (options) => new nn.Linear(6, 4, options),
    inputs: normal([2, 6]),
    twins: [olderTwin('linear', 'x')],
  },
  RMSNorm: {
    make: (options) => new nn.RMSNorm(6, { dtype: options.dtype, eps: 1e-3 }),
    inputs: normal([2, 6]),
    twins: [olderTwin('rmsNorm', 'x')],
  },
  LayerNorm: {
    make: (options) => new nn.LayerNorm(6, { dtype: options.dtype, eps: 1e-3 }),
    inputs: normal([2, 6]),
    twins: [olderTwin('layerNorm', 'x')],
  },
  Embedding: {
    make: (options) => new nn.Embedding(5, 3, options),
    inputs: () => [ids],
    naive: ({ weight }, [x]) => numbers(x!).flatMap((id) => numbers(weight!).slice(3 * id, 3 * id + 3)),
  },
  Bilinear: {
    make: (options) => new nn.Bilinear(3, 4, 5, options),
    inputs: (k) => [k.normal([2, 3], { dtype }), k.foldIn(1).normal([2, 4], { dtype })],
    twins: [
      twin('Bilinear'),
      {
        ...twin('Bilinear without bias'),
        make: (options) => new nn.Bilinear(3, 4, 5, { ...options, bias: false }),
      },
    ],
    errors: {
      'another size': {
        body: () => new nn.Bilinear(3, 4, 5, { key }).forward(ones([2, 4]), ones([2, 4])),
        type: ShapeError,
        says: 'Bilinear: the last axes must have sizes 3 and 4: [2, 4] f32, [2, 4] f32',
      },
      'other leading axes': {
        body: () => new nn.Bilinear(3, 4, 5, { key }).forward(ones([2, 3]), ones([3, 4])),
        type: ShapeError,
        says: 'Bilinear: all axes but the last must agree',
      },
      'no size': {
        body: () => new nn.Bilinear(3, 0, 5, { key }),
        type: ValueError,
        says: 'in2Features must be',
      },
    },
  },
  'Embedding with padding': {
    make: (options) => new nn.Embedding(5, 3, { ...options, paddingIndex: 4 }),
    // Without the padding: finite differences would see of its vector what the gradient leaves out. The twin has it.
    inputs: () => [ids.remainder(4)],
    twins: [twin('Embedding padded')],
    errors: {
      'a padding that is no token': {
        body: () => new nn.Embedding(5, 3, { key, paddingIndex: 5 }),
        type: IndexError,
        says: 'Embedding: paddingIndex 5 is out of range for 5 tokens',
      },
      'a scale that is none': {
        body: () => new nn.Embedding(5, 3, { key, scale: NaN }),
        type: ValueError,
        says: 'Embedding: the scale must be a number, got NaN',
      },
      'ids that are not whole': {
        body: () => new nn.Embedding(5, 3, { key }).forward(ones([2])),
        type: DTypeError,
        says: 'Embedding: ids must be integers',
      },
    },
  },
  'Embedding scaled, and as a head': {
    make: (options) => new nn.Embedding(5, 3, { ...options, scale: Math.sqrt(3) }),
    inputs: () => [ids],
    forward: (layer: nn.Embedding, [x]) => layer.attend(layer.forward(x!)),
    naive: ({ weight }, [x]) => {
      const table = Array.from({ length: 5 }, (_, i) => numbers(weight!).slice(3 * i, 3 * i + 3));
      const product = (a: number[], b: number[]): number => a.reduce((total, v, i) => total + v * b[i]!, 0);
      return numbers(x!).flatMap((id) => table.map((row) => Math.sqrt(3) * product(table[id]!, row)));
    },
    errors: {
      'another size of the head': {
        body: () => new nn.Embedding(5, 3, { key }).attend(ones([2, 4])),
        type: ShapeError,
        says: 'Embedding: the last axis must have size 3: [2, 4] f32, [5, 3] f32',
      },
    },
  },
  MLP: {
    make: (options) => new nn.MLP(4, 6, options),
    inputs: normal([2, 4]),
    twins: [twin('MLP')],
    errors: {
      'an activation that is not known': {
        body: () => new nn.MLP(4, 6, { key, activation: 'swish' as never }),
        type: ValueError,
        says: "MLP: activation 'swish' is not known",
      },
      'a probability that is none': {
        body: () => new nn.MLP(4, 6, { key, dropout: 2 }),
        type: ValueError,
        says: 'the probability must lie in [0, 1], got 2',
      },
    },
  },
  'MLP with dropout': {
    make: (options) =>
      new nn.MLP(4, 6, { ...options, dropout: 0.5, activation: 'tanh', outDim: 2, bias: false }),
    inputs: normal([3, 4]),
    forward: (layer: nn.MLP, [x], k) => layer.forward(x!, k),
    modes: 'differ',
    naive: (state, [x]) => {
      const hidden = x!.matmul(state['upProj.weight']!.transpose()).tanh();
      return callKey
        .bernoulli(0.5, [3, 6])
        .where(hidden.mul(2), 0)
        .matmul(state['downProj.weight']!.transpose());
    },
  },
  GEGLU: { make: (o) => new nn.GEGLU(4, 6, o), inputs: normal([2, 4]), twins: [twin('GEGLU')] },
  ReGLU: { make: (o) => new nn.ReGLU(4, 6, o), inputs: normal([2, 4]), twins: [twin('ReGLU')] },
  GatedMLP: { make: (o) => new nn.GatedMLP(4, 6, o), inputs: normal([2, 4]), twins: [twin('GLU')] },
  SwiGLU: { make: (o) => new nn.SwiGLU(4, 6, o), inputs: normal([2, 4]), twins: [twin('SwiGLU')] },
  ReLU2MLP: { make: (o) => new nn.ReLU2MLP(4, 6, o), inputs: normal([2, 4]), twins: [twin('ReLU2MLP')] },
  'GatedMLP with dropout': {
    make: (options) =>
      new nn.GatedMLP(4, 6, { ...options, dropout: 0.5, activation: (x) => x.sin(), bias: true }),
    inputs: normal([3, 4]),
    forward: (layer: nn.GatedMLP, [x], k) => layer.forward(x!, k),
    modes: 'differ',
    naive: (s, [x]) => {
      const line = (name: string, y: Tensor): Tensor =>
        y.matmul(s[`${name}.weight`]!.transpose()).add(s[`${name}.bias`]!);
      const hidden = line('gateProj', x!).sin().mul(line('upProj', x!));
      return line('downProj', callKey.bernoulli(0.5, [3, 6]).where(hidden.mul(2), 0));
    },
  },
  Sequential: {
    make: ({ key: k, dtype: d }) =>
      new nn.Sequential(
        new nn.Linear(4, 6, { key: k, dtype: d }),
        new nn.Tanh(),
        new nn.Sequential(new nn.Linear(6, 2, { key: k.foldIn(1), dtype: d })),
      ),
    inputs: normal([3, 4]),
    twins: [twin('Sequential')],
  },
  'Sequential with dropout': {
    make: (o) =>
      new nn.Sequential(new nn.Dropout(0.5), new nn.Linear(4, 4, o), new nn.Sequential(new nn.Dropout(0.5))),
    inputs: normal([3, 4]),
    forward: (layer: nn.Sequential, [x], k) => layer.forward(x!, k),
    modes: 'differ',
    naive: (s, [x]) => {
      const kept = (y: Tensor, k: Key): Tensor => k.bernoulli(0.5, y.shape).where(y.mul(2), 0);
      const y = kept(x!, callKey.foldIn(0)).matmul(s['1.weight']!.transpose()).add(s['1.bias']!);
      return kept(y, callKey.foldIn(2).foldIn(0));
    },
  },
  'Residual, pre-norm': {
    make: (o) =>
      new nn.Residual(new nn.Linear(4, 4, o), {
        norm: new nn.LayerNorm(4, { dtype: o.dtype, eps: 1e-2 }),
        scale: new nn.LayerScale(4, { dtype: o.dtype, initial: 0.5 }),
      }),
    inputs: normal([3, 4]),
    naive: (s, [x]) =>
      x!.add(
        x!
          .layerNorm(s['norm.weight']!, s['norm.bias']!, 1e-2)
          .matmul(s['inner.weight']!.transpose())
          .add(s['inner.bias']!)
          .mul(s['scale.weight']!),
      ),
    errors: {
      'a branch of another shape': {
        body: () => new nn.Residual(new nn.Linear(4, 3, { key })).forward(ones([2, 4])),
        type: ShapeError,
        says: 'Residual: the inner layer must keep the shape: [2, 4] f32, [2, 3] f32',
      },
      'another placement': {
        body: () => new nn.Residual(new nn.ReLU(), { placement: 'middle' as never }),
        type: ValueError,
        says: "Residual: placement must be pre or post, got 'middle'",
      },
      'a scale of another size': {
        body: () => new nn.LayerScale(3).forward(ones([2, 4])),
        type: ShapeError,
        says: 'LayerScale: the last axis must have size 3',
      },
    },
  },
  'Residual, post-norm, dropped by example': {
    make: (o) =>
      new nn.Residual(new nn.Sequential(new nn.Linear(4, 4, o), new nn.Dropout(0.5)), {
        norm: new nn.RMSNorm(4, { dtype: o.dtype, eps: 1e-2 }),
        placement: 'post',
        dropPath: 0.5,
      }),
    inputs: normal([6, 4]),
    forward: (layer: nn.Residual, [x], k) => layer.forward(x!, k),
    modes: 'differ',
    naive: (s, [x]) => {
      const y = x!.matmul(s['inner.0.weight']!.transpose()).add(s['inner.0.bias']!);
      const inner = callKey.foldIn(0).foldIn(1).bernoulli(0.5, [6, 4]).where(y.mul(2), 0);
      const branch = callKey.foldIn(1).bernoulli(0.5, [6, 1]).where(inner.mul(2), 0);
      return x!.add(branch).rmsNorm(s['norm.weight']!, 1e-2);
    },
  },
});

describe('Embedding', () => {
  test('the vector of the padding starts as zeros, and gets no gradient', () => {
    const layer = new nn.Embedding(5, 3, { key, dtype, paddingIndex: 4 });
    expect(numbers(layer.weight).slice(12)).toEqual([0, 0, 0]);
    expect(numbers(layer.weight).slice(0, 12)).toEqual(
      numbers(new nn.Embedding(5, 3, { key, dtype }).weight).slice(0, 12),
    );
    layer.weight.assign(ones([5, 3], { dtype }));
    const y = layer.forward(ids);
    expect(numbers(y).every((v) => v === 1)).toBe(true);
    y.sum().backward();
    expect(numbers(layer.weight.grad!)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
  });
});

test('SwiGLU starts from the numbers that it always started from', () => {
  const [gate, up, down] = key.split(3) as [Key, Key, Key];
  const layer = new nn.SwiGLU(4, 6, { key, dtype });
  const of = (k: Key, inputs: number, outputs: number): number[] =>
    numbers(new nn.Linear(inputs, outputs, { key: k, bias: false, dtype }).weight);
  expectNumbers(
    layer.parameters().flatMap(numbers),
    [...of(gate, 4, 6), ...of(up, 4, 6), ...of(down, 6, 4)],
    0,
  );
});
