/** Convolutions and pooling as modules: PyTorch's numbers, gradients, initial values, errors. */
import * as nn from '@infinigrad/nn';
import { Key, ones, ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { fixture, numbers } from '../support.ts';
import { layersConform, type ErrorRow, type LayerRow, type TwinCase } from './conformance.ts';

const cases = fixture<Record<string, TwinCase>>('layers-convolutions');
const dtype = 'f64' as const;
const key = new Key(0);
const used = new Set<string>();
const twin = (name: string) => {
  used.add(name);
  return { name, case: cases[name]! };
};
const refuses = (body: () => unknown, says: string, type: ErrorRow['type'] = ValueError): ErrorRow => ({
  body,
  type,
  says,
});

const sizes = { 1: [5], 2: [3, 4], 3: [3, 2, 3] } as const;
const layers = {
  1: {
    Conv: nn.Conv1d,
    Transpose: nn.ConvTranspose1d,
    Max: nn.MaxPool1d,
    Avg: nn.AvgPool1d,
    AdaptiveAvg: nn.AdaptiveAvgPool1d,
    AdaptiveMax: nn.AdaptiveMaxPool1d,
  },
  2: {
    Conv: nn.Conv2d,
    Transpose: nn.ConvTranspose2d,
    Max: nn.MaxPool2d,
    Avg: nn.AvgPool2d,
    AdaptiveAvg: nn.AdaptiveAvgPool2d,
    AdaptiveMax: nn.AdaptiveMaxPool2d,
  },
  3: {
    Conv: nn.Conv3d,
    Transpose: nn.ConvTranspose3d,
    Max: nn.MaxPool3d,
    Avg: nn.AvgPool3d,
    AdaptiveAvg: nn.AdaptiveAvgPool3d,
    AdaptiveMax: nn.AdaptiveMaxPool3d,
  },
} as const;

const rows: Record<string, LayerRow> = {};
for (const d of [1, 2, 3] as const) {
  const { Conv, Transpose, Max, Avg, AdaptiveAvg, AdaptiveMax } = layers[d];
  const inputs = (k: Key): Tensor[] => [k.normal([1, 2, ...sizes[d]], { dtype })];
  const gradcheck = { mode: 'direction' } as const;
  const name = `Conv${d}d`;
  rows[name] = {
    make: (o) => new Conv(2, 2, 3, { ...o, padding: 1 }),
    inputs,
    gradcheck,
    twins: [
      twin(name),
      ...(['reflect', 'replicate', 'circular'] as const).map((paddingMode) => ({
        ...twin(`${name} ${paddingMode}`),
        make: (o: { key: Key; dtype: 'f64' | 'f32' | 'f16' | 'bf16' }) =>
          new Conv(2, 2, 3, { ...o, padding: 1, paddingMode }),
      })),
      { ...twin(`${name} same`), make: (o) => new Conv(2, 2, 2, { ...o, padding: 'same' }) },
      {
        ...twin(`${name} strided`),
        make: (o) => new Conv(2, 4, 2, { ...o, stride: 2, padding: 1, dilation: 2, groups: 2, bias: false }),
      },
    ],
    errors: {
      'another number of channels': refuses(
        () => new Conv(2, 2, 1, { key }).forward(ones([1, 3, ...sizes[d]])),
        `${name}: needs [batch, 2, …] with ${d} spatial axes`,
        ShapeError,
      ),
      'another number of axes': refuses(
        () => new Conv(2, 2, 1, { key }).forward(ones([2])),
        `${name}: needs [batch, 2, …]`,
        ShapeError,
      ),
      'a kernel that does not fit': refuses(
        () => new Conv(2, 2, 9, { key }).forward(ones([2, ...sizes[d]])),
        'does not fit a padded size of',
        ShapeError,
      ),
      'groups that do not part the channels': refuses(
        () => new Conv(2, 3, 1, { key, groups: 2 }),
        '2 and 3 channels do not part into 2 groups',
      ),
      'sizes for other axes': refuses(
        () => new Conv(2, 2, [1, 1, 1, 1], { key }),
        `kernelSize needs one entry for each of ${d} spatial axes, got 4`,
      ),
      'a stride of 0': refuses(
        () => new Conv(2, 2, 1, { key, stride: 0 }),
        'stride must be an integer ≥ 1, got 0',
      ),
      'another mode of padding': refuses(
        () => new Conv(2, 2, 1, { key, paddingMode: 'mirror' as never }),
        "paddingMode 'mirror' is not known",
      ),
      'another word for padding': refuses(
        () => new Conv(2, 2, 1, { key, padding: 'full' as never }),
        "padding 'full' is not known",
      ),
      'same with a stride': refuses(
        () => new Conv(2, 2, 1, { key, padding: 'same', stride: 2 }),
        "padding 'same' needs stride 1",
      ),
    },
  };
  rows[`ConvTranspose${d}d`] = {
    make: (o) => new Transpose(2, 3, 2, o),
    inputs,
    gradcheck,
    twins: [
      twin(`ConvTranspose${d}d`),
      {
        ...twin(`ConvTranspose${d}d strided`),
        make: (o) =>
          new Transpose(2, 4, 2, { ...o, stride: 2, padding: 1, outputPadding: 1, groups: 2, dilation: 2 }),
      },
    ],
    errors: {
      'another number of channels': refuses(
        () => new Transpose(2, 2, 1, { key }).forward(ones([1, 3, ...sizes[d]])),
        `ConvTranspose${d}d: needs [batch, 2, …]`,
        ShapeError,
      ),
      'an output padding as long as the stride': refuses(
        () => new Transpose(2, 2, 1, { key, outputPadding: 1 }),
        'outputPadding 1 is not less than stride or dilation (spatial axis 0)',
      ),
    },
  };
  const pool = (label: string, make: () => nn.Layer): LayerRow => ({
    make,
    inputs,
    gradcheck,
    twins: [twin(label)],
  });
  rows[`MaxPool${d}d`] = pool(`MaxPool${d}d`, () => new Max(2, { stride: 1 }));
  rows[`AvgPool${d}d`] = pool(`AvgPool${d}d`, () => new Avg(2, { padding: 1 }));
  rows[`AdaptiveAvgPool${d}d`] = pool(`AdaptiveAvgPool${d}d`, () => new AdaptiveAvg(2));
  rows[`AdaptiveMaxPool${d}d`] = pool(`AdaptiveMaxPool${d}d`, () => new AdaptiveMax(2));
}

layersConform('convolutions and pooling', rows);

test('the fixture has a row for every case', () =>
  expect(Object.keys(cases).filter((name) => name !== 'torch' && !used.has(name))).toEqual([]));

describe('initial values', () => {
  test('are uniform within ±1/√fanIn, bias too', () => {
    const bounds = (layer: nn.Conv2d | nn.ConvTranspose2d): number[] =>
      [layer.weight, layer.bias!].map((p) => Math.max(...numbers(p).map(Math.abs)));
    const within = (got: readonly number[], bound: number): void => {
      for (const value of got) expect(value).toBeLessThanOrEqual(bound);
      expect(got[0]).toBeGreaterThan(0.98 * bound);
      expect(got[1]).toBeGreaterThan(0.8 * bound);
    };
    within(bounds(new nn.Conv2d(8, 64, 3, { key, groups: 2 })), 1 / Math.sqrt(4 * 9));
    within(bounds(new nn.ConvTranspose2d(16, 32, 3, { key, groups: 2 })), 1 / Math.sqrt(16 * 9));
  });
  test('shapes are PyTorch’s', () => {
    expect(new nn.Conv2d(4, 6, [3, 2], { key, groups: 2 }).weight.shape).toEqual([6, 2, 3, 2]);
    expect(new nn.ConvTranspose2d(4, 6, [3, 2], { key, groups: 2 }).weight.shape).toEqual([4, 3, 3, 2]);
    expect(new nn.Conv1d(4, 6, 3, { key, bias: false }).bias).toBeNull();
  });
});
