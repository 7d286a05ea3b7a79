/** The layers: what every layer must show, and that one token after the other equals all at once. */
import {
  DeltaNet,
  GatedDeltaNet,
  GatedLinearAttention,
  LinearAttention,
  RecurrentCache,
  Retention,
  ShortConvolution,
  type MixerState,
  type RecurrentMixer,
} from '@infinigrad/nn';
import { arange, concat, Key, ShapeError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import {
  layersConform,
  type ErrorRow,
  type LayerOptions,
  type LayerRow,
  type TwinCase,
} from '../layers/conformance.ts';
import { fixture, numbers } from '../support.ts';
import { distance } from './rules.ts';

const { layers: cases } = fixture<{ layers: Record<string, TwinCase> }>('linear-attention');
const key = new Key(53);
const dim = 8;
const shared = { numHeads: 2 };

const makers: Readonly<Record<string, (options: LayerOptions) => RecurrentMixer>> = {
  LinearAttention: (o) => new LinearAttention(dim, { ...shared, ...o }),
  'LinearAttention with norm and gate': (o) =>
    new LinearAttention(dim, {
      ...shared,
      featureMap: 'squaredRelu',
      normalize: false,
      outputGate: true,
      ...o,
    }),
  Retention: (o) => new Retention(dim, { ...shared, ...o }),
  GatedLinearAttention: (o) => new GatedLinearAttention(dim, { ...shared, gateLowRank: 3, ...o }),
  DeltaNet: (o) => new DeltaNet(dim, { ...shared, ...o }),
  'DeltaNet without convolution': (o) =>
    new DeltaNet(dim, { ...shared, convSize: 0, outputGate: true, allowNegativeEigenvalues: true, ...o }),
  GatedDeltaNet: (o) => new GatedDeltaNet(dim, { ...shared, expandK: 0.5, expandV: 1, convSize: 3, ...o }),
};

const refusals: Readonly<Record<string, ErrorRow>> = {
  'heads that do not divide': {
    body: () => new DeltaNet(8, { numHeads: 3, key }),
    type: ValueError,
    says: 'DeltaNet: dim · expandK = 8 is no multiple of numHeads 3',
  },
  'no heads': {
    body: () => new Retention(8, { numHeads: 0, key }),
    type: ValueError,
    says: 'Retention: numHeads must be an integer ≥ 1',
  },
  'a convolution of half a token': {
    body: () => new LinearAttention(8, { ...shared, convSize: 0.5, key }),
    type: ValueError,
    says: 'convSize must be an integer ≥ 0',
  },
  'chunks of 3': {
    body: () => new LinearAttention(8, { ...shared, chunkSize: 3, key }),
    type: ValueError,
    says: 'chunkSize must be a power of two, got 3',
  },
  'another size': {
    body: () => new LinearAttention(8, { ...shared, key }).forward(zeros([1, 2, 7])),
    type: ShapeError,
    says: 'LinearAttention: needs [batch, T, 8]',
  },
  'a decay above 1': {
    body: () => new Retention(8, { ...shared, decays: [0.5, 1.5], key }),
    type: ValueError,
    says: 'Retention: needs 2 decays in (0, 1]',
  },
  'a gate normaliser of 0': {
    body: () => new GatedLinearAttention(8, { ...shared, gateNormalizer: 0, key }),
    type: ValueError,
    says: 'gateNormalizer must be a number > 0',
  },
  'a range upside down': {
    body: () => new GatedDeltaNet(8, { ...shared, decayRange: [2, 1], expandK: 1, key }),
    type: ValueError,
    says: 'decayRange must be two numbers > 0 in order',
  },
};

const row = (name: string): LayerRow => ({
  make: makers[name]!,
  inputs: (own) => [own.normal([2, 5, dim], { dtype: 'f64' })],
  twins: [{ name, case: cases[name]! }],
  ...(name === 'LinearAttention' && { errors: refusals }),
});

layersConform('linear attention', {
  ...Object.fromEntries(Object.keys(makers).map((name) => [name, row(name)])),
  ShortConvolution: {
    make: (options) => new ShortConvolution(dim, { kernelSize: 3, bias: true, ...options }),
    inputs: (own) => [own.normal([2, 5, dim], { dtype: 'f64' })],
    twins: [{ name: 'conv1d, padded on the left', case: cases['ShortConvolution']! }],
    errors: {
      'other channels': {
        body: () => new ShortConvolution(3, { key }).forward(zeros([1, 2, 4])),
        type: ShapeError,
        says: 'ShortConvolution: needs [batch, T, 3]',
      },
      'a state of another size': {
        body: () =>
          new ShortConvolution(3, { key }).read(zeros([1, 2, 3]), { initialState: zeros([1, 2, 3]) }),
        type: ShapeError,
        says: 'the state must be [1, 3, 3]',
      },
      'no kernel': {
        body: () => new ShortConvolution(3, { key, kernelSize: 0 }),
        type: ValueError,
        says: 'kernelSize must be an integer ≥ 1',
      },
    },
  },
});

describe.each(Object.entries(makers))('%s', (_, make) => {
  const layer = make({ key, dtype: 'f64' });
  const x = key.foldIn(1).normal([2, 23, dim], { dtype: 'f64' });
  const pieces = (sizes: readonly number[], forward: (piece: Tensor) => Tensor): Tensor => {
    let start = 0;
    return concat(
      sizes.map((n) => forward(x.narrow(1, start, ((start += n), n)))),
      1,
    );
  };
  const closeTo = (actual: Tensor, expected: Tensor, tolerance = 1e-12): void => {
    expect(actual.shape).toEqual(expected.shape);
    expect(distance(numbers(actual), numbers(expected))).toBeLessThan(tolerance);
  };

  test('one token at a time gives what all at once give', () => {
    const whole = layer.forward(x);
    const cache = new RecurrentCache<MixerState>();
    closeTo(
      pieces([9, ...new Array<number>(14).fill(1)], (piece) => layer.forward(piece, { cache })),
      whole,
    );
    expect(cache.length).toBe(23);
  });

  test('its cache stays as large as it is, can be cloned and reordered, and not be cut', () => {
    const cache = new RecurrentCache<MixerState>();
    layer.forward(x.narrow(1, 0, 5), { cache });
    const { bytes } = cache;
    const branch = cache.clone();
    const next = layer.forward(x.narrow(1, 5, 18), { cache });
    expect(cache.bytes).toBe(bytes);
    branch.reorder([1, 0]);
    const swapped = layer.forward(x.narrow(1, 5, 18).flip(0), { cache: branch });
    closeTo(swapped.flip(0), next);
    expect(() => cache.truncate(3)).toThrow(ValueError);
  });

  test('gradients flow through the state that `read` takes and returns', () => {
    const early = x.narrow(1, 0, 4).detach().requireGrad();
    const { state } = layer.read(early);
    const { output } = layer.read(x.narrow(1, 4, 2), { initialState: state, offset: 4 });
    closeTo(output, layer.forward(x.narrow(1, 0, 6)).narrow(1, 4, 2));
    output
      .mul(key.normal(output.shape, { dtype: 'f64' }))
      .sum()
      .backward();
    expect(numbers(early.grad!.square().sum(-1)).every((g) => g > 0)).toBe(true);
  });

  test('packed documents are read one by one', () => {
    const lengths = [7, 2, 14];
    const documents = tensor([lengths.flatMap((n, i) => new Array<number>(n).fill(i))], {
      dtype: 'i32',
    }).expand([2, 23]);
    const apart = pieces(lengths, (piece) => layer.forward(piece));
    // Rotary positions go on across documents; what counts is their distance.
    closeTo(layer.forward(x, { documents }), apart);
    const after = layer.read(x, { documents }).state;
    const { state } = layer.read(x.narrow(1, 9, 14), { offset: 9 });
    closeTo(after.recurrent.matrix, state.recurrent.matrix);
    after.convolutions.forEach((one, i) => closeTo(one, state.convolutions[i]!));
  });

  test('padding on either side changes nothing', () => {
    const whole = layer.read(x);
    const junk = key.foldIn(9).normal([2, 4, dim], { dtype: 'f64' });
    const padded = layer.read(concat([junk, x, junk], 1), {
      mask: arange(31).ge(4).logicalAnd(arange(31).lt(27)).unsqueeze(0).expand([2, 31]),
    });
    closeTo(padded.output.narrow(1, 4, 23), whole.output);
    padded.state.convolutions.forEach((one, i) => closeTo(one, whole.state.convolutions[i]!));
    if (layer instanceof Retention) return;
    closeTo(padded.state.recurrent.matrix, whole.state.recurrent.matrix);
  });

  test('a batch of several lengths goes on from each row’s own end', () => {
    const long = layer.read(x.narrow(1, 0, 10));
    const mask = arange(10)
      .unsqueeze(0)
      .lt(tensor([[10], [1]]));
    const both = layer.read(x.narrow(1, 0, 10), { mask });
    const short = layer.read(x.narrow(1, 0, 1));
    [long, short].forEach((alone, i) => {
      closeTo(both.state.recurrent.matrix.select(0, i), alone.state.recurrent.matrix.select(0, i));
      both.state.convolutions.forEach((one, j) =>
        closeTo(one.select(0, i), alone.state.convolutions[j]!.select(0, i)),
      );
    });
  });

  test('in f32 does not drift over 1,000 pieces', () => {
    const single = make({ key, dtype: 'f32' });
    single.loadStateDict(layer.stateDict());
    const cache = new RecurrentCache<MixerState>();
    const exact = new RecurrentCache<MixerState>();
    let worst = 0;
    for (let i = 0; i < 1000; i++) {
      const piece = key.foldIn(100 + i).normal([1, 2, dim], { dtype: 'f64' });
      const y = single.forward(piece.cast('f32'), { cache });
      const expected = layer.forward(piece, { cache: exact });
      worst = Math.max(worst, distance(numbers(y), numbers(expected)));
    }
    expect(worst).toBeLessThan(1e-4);
  });

  test('a copy is the same layer', () => closeTo(layer.deepCopy().forward(x), layer.forward(x), 1e-15));
});
