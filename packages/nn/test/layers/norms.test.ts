/** Norms over channels: PyTorch's numbers and running statistics, gradients, memory, functional use. */
import { checkpoint, grad, vmap } from '@infinigrad/autograd';
import * as nn from '@infinigrad/nn';
import { Key, ones, ShapeError, stack, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture, numbers, sum } from '../support.ts';
import {
  layersConform,
  type ErrorRow,
  type LayerOptions,
  type LayerRow,
  type TwinCase,
} from './conformance.ts';

const cases = fixture<Record<string, TwinCase>>('layers-norms');
const dtype = 'f64' as const;
const key = new Key(4);
const used = new Set<string>();
const twin = (name: string) => {
  used.add(name);
  return { name, case: cases[name]! };
};
const shapes = { 1: [4], 2: [3, 2], 3: [2, 2, 2] } as const;
const refuses = (body: () => unknown, says: string, type: ErrorRow['type'] = ShapeError): ErrorRow => ({
  body,
  type,
  says,
});

const rows: Record<string, LayerRow> = {
  GroupNorm: {
    make: (o) => new nn.GroupNorm(2, 6, { eps: 1e-3, dtype: o.dtype }),
    inputs: (k) => [k.normal([2, 6, 2], { dtype })],
    twins: [
      twin('GroupNorm'),
      { ...twin('GroupNorm plain'), make: () => new nn.GroupNorm(3, 6, { affine: false }) },
    ],
    errors: {
      'channels that do not part': refuses(
        () => new nn.GroupNorm(4, 6),
        '6 channels do not part into 4 groups',
        ValueError,
      ),
      'another number of channels': refuses(
        () => new nn.GroupNorm(2, 6).forward(ones([2, 4, 3])),
        'GroupNorm: needs [batch, 6, …]: [2, 4, 3] f32',
      ),
      'an eps that is none': refuses(
        () => new nn.GroupNorm(2, 6, { eps: -1 }),
        'eps must be a number ≥ 0',
        ValueError,
      ),
    },
  },
  'InstanceNorm1d without a batch': {
    make: (o) => new nn.InstanceNorm1d(3, { dtype: o.dtype }),
    inputs: (k) => [k.normal([3, 5], { dtype })],
    twins: [twin('InstanceNorm1d unbatched')],
  },
};

const instances = { 1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d } as const;
for (const d of [1, 2, 3] as const) {
  const Norm = instances[d];
  const tracked = ({ dtype: of }: LayerOptions): nn.Module =>
    new Norm(3, { affine: true, trackRunningStats: true, momentum: 0.3, dtype: of });
  rows[`InstanceNorm${d}d`] = {
    make: (o) => new Norm(3, { dtype: o.dtype }),
    inputs: (k) => [k.normal([2, 3, ...shapes[d]], { dtype })],
    twins: [twin(`InstanceNorm${d}d`)],
    errors: {
      'another number of axes': refuses(
        () => new Norm(3).forward(ones([3])),
        `InstanceNorm${d}d: needs ${d + 1} or ${d + 2} axes`,
      ),
      'a single place': refuses(
        () => new Norm(3).forward(ones([2, 3, ...shapes[d].map(() => 1)])),
        'needs more than one value for each mean in training',
      ),
    },
  };
  rows[`InstanceNorm${d}d tracked`] = {
    make: tracked,
    inputs: (k) => [k.normal([2, 3, ...shapes[d]], { dtype })],
    twins: [twin(`InstanceNorm${d}d tracked, training`), twin(`InstanceNorm${d}d tracked, evaluation`)],
    modes: 'differ',
  };
}

const batches = { 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d } as const;
const batchShapes = {
  1: [
    [4, 3],
    [4, 3, 2],
  ],
  2: [[2, 3, 2, 2]],
  3: [[2, 3, 2, 1, 2]],
} as const;
for (const d of [1, 2, 3] as const) {
  const Norm = batches[d];
  for (const shape of batchShapes[d])
    for (const momentum of [0.1, null]) {
      const label = `BatchNorm${d}d, ${shape.length} axes, momentum ${momentum === null ? 'None' : momentum}`;
      rows[label] = {
        make: (o) => new Norm(3, { momentum, eps: 1e-4, dtype: o.dtype }),
        inputs: (k) => [k.normal(shape, { dtype, mean: 1 })],
        twins: [twin(`${label}, training`), twin(`${label}, evaluation`)],
        modes: 'differ',
        errors: {
          'another number of axes': refuses(() => new Norm(3).forward(ones([3])), `BatchNorm${d}d: needs `),
          'another number of channels': refuses(
            () => new Norm(4).forward(ones(shape)),
            `BatchNorm${d}d: needs [batch, 4, …]: [${shape.join(', ')}] f32`,
          ),
          'one value for each channel': refuses(
            () => new Norm(3).forward(ones(shape.map((n, i) => (i === 1 ? n : 1)))),
            'needs more than one value for each mean in training',
          ),
          'a momentum that is none': refuses(
            () => new Norm(3, { momentum: 2 }),
            'momentum must lie in [0, 1] or be null, got 2',
            ValueError,
          ),
        },
      };
    }
}
const bare = (o: LayerOptions): nn.Module =>
  new nn.BatchNorm1d(3, { affine: false, trackRunningStats: false, dtype: o.dtype });
rows['BatchNorm1d without state'] = {
  make: bare,
  inputs: (k) => [k.normal([4, 3], { dtype })],
  twins: [twin('BatchNorm1d bare, training'), twin('BatchNorm1d bare, evaluation')],
};

layersConform('norms over channels', rows);

test('the fixture has a row for every case', () =>
  expect(Object.keys(cases).filter((name) => name !== 'torch' && !used.has(name))).toEqual([]));

describe('running statistics', () => {
  const batch = (i: number): Tensor => key.foldIn(i).normal([8, 3], { dtype, mean: 2, std: 3 });

  test('with momentum null are the plain means of what was seen', () => {
    const layer = new nn.BatchNorm1d(3, { momentum: null, dtype });
    for (let i = 0; i < 5; i++) layer.forward(batch(i));
    const column = (x: Tensor, c: number): number[] => numbers(x.select(1, c));
    const mean = (values: number[]): number => sum(values) / values.length;
    const variance = (values: number[]): number =>
      sum(values.map((v) => (v - mean(values)) ** 2)) / (values.length - 1);
    const all = [0, 1, 2, 3, 4].map(batch);
    const expected = (f: (values: number[]) => number): number[] =>
      [0, 1, 2].map((c) => mean(all.map((x) => f(column(x, c)))));
    expectNumbers(numbers(layer.runningMean!), expected(mean));
    expectNumbers(numbers(layer.runningVar!), expected(variance));
    expect(numbers(layer.numBatchesTracked!)).toEqual([5]);
    layer.resetRunningStats();
    expect([layer.runningMean!, layer.runningVar!, layer.numBatchesTracked!].map(numbers)).toEqual([
      [0, 0, 0],
      [1, 1, 1],
      [0],
    ]);
  });

  test('with momentum 0 stay as they are, and with 1 are those of the last batch', () => {
    const [still, quick] = [0, 1].map((momentum) => new nn.BatchNorm1d(3, { momentum, dtype }));
    for (const layer of [still!, quick!]) [0, 1].forEach((i) => layer.forward(batch(i)));
    expect([still!.runningMean!, still!.runningVar!].map(numbers)).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
    expectNumbers(numbers(quick!.runningMean!), numbers(batch(1).mean(0)));
    expectNumbers(numbers(quick!.runningVar!), numbers(batch(1).variance(0)));
  });

  test('stay as they are in evaluation, and need no gradient', () => {
    const layer = new nn.BatchNorm1d(3, { dtype });
    layer.forward(batch(0).requireGrad());
    const before = layer.buffers().map(numbers);
    expect(layer.runningMean!.requiresGrad).toBe(false);
    layer.eval();
    layer.forward(batch(1));
    expect(layer.buffers().map(numbers)).toEqual(before);
  });

  test('come back from functionalCall, and leave the layer alone', () => {
    const [layer, other] = [new nn.BatchNorm1d(3, { dtype }), new nn.BatchNorm1d(3, { dtype })];
    const after = nn.functionalCall(layer, layer.stateDict(), (m) => {
      m.forward(batch(0));
      m.forward(batch(1));
      return Object.fromEntries([...m.namedBuffers()].map(([name, x]) => [name, x.detach()]));
    });
    other.forward(batch(0));
    other.forward(batch(1));
    for (const [name, x] of other.namedBuffers()) expect(numbers(after[name]!), name).toEqual(numbers(x));
    expect(numbers(layer.runningMean!)).toEqual([0, 0, 0]);
  });

  test('count a batch once where a checkpoint calls the layer again', () => {
    const [plain, again] = [new nn.BatchNorm1d(3, { dtype }), new nn.BatchNorm1d(3, { dtype })];
    const gradient = (f: (x: Tensor) => Tensor): number[] =>
      numbers(grad((x: Tensor) => f(x).mul(batch(1)).sum())(batch(0)));
    const expected = gradient((x) => plain.forward(x));
    expect(gradient(checkpoint((x: Tensor) => again.forward(x)))).toEqual(expected);
    expect(again.buffers().map(numbers)).toEqual(plain.buffers().map(numbers));
    expect(numbers(again.numBatchesTracked!)).toEqual([1]);
  });

  test('inside a vmap: refused where the layer would be changed, each its own in a functionalCall, free in evaluation', () => {
    const layer = new nn.BatchNorm1d(3, { dtype });
    const xs = stack([0, 1, 2].map(batch));
    const forward = (x: Tensor): Tensor => layer.forward(x);
    expect(() => vmap(forward)(xs)).toThrow(
      'BatchNorm1d: its buffer runningMean cannot take a value for every example of a vmap',
    );
    const means = vmap((x: Tensor) =>
      nn.functionalCall(layer, layer.stateDict(), (m) => {
        m.forward(x);
        return m.namedBuffers().get('runningMean')!.detach();
      }),
    )(xs);
    expectAllClose(means, stack([0, 1, 2].map((i) => batch(i).mean(0).mul(0.1))), { rtol: 1e-12 });
    layer.eval();
    expectAllClose(vmap(forward)(xs), stack([0, 1, 2].map((i) => forward(batch(i)))), { rtol: 1e-12 });
  });
});

test('halves are computed in f32 and rounded once', () => {
  const x = key.normal([6, 3]).cast('bf16');
  for (const layer of [new nn.BatchNorm1d(3, { dtype: 'bf16' }), new nn.GroupNorm(1, 3, { dtype: 'bf16' })]) {
    const y = layer.forward(x);
    const exact = layer.deepCopy().to({ dtype: 'f32' }).forward(x.cast('f32')).cast('bf16');
    expect([y.dtype, numbers(y)]).toEqual(['bf16', numbers(exact)]);
  }
});

test('constant channels are no division by zero', () => {
  const x = zeros([4, 3]).add(tensor([1, 2, 3]));
  expect(numbers(new nn.BatchNorm1d(3).forward(x)).every((v) => v === 0)).toBe(true);
});
