/** Initial values: moments, bounds, gains and fans as PyTorch has them, orthonormality, and rules for whole modules. */
import { init, initialize, Linear, Module, Parameter, type Initializer } from '@infinigrad/nn';
import {
  Key,
  ones,
  ShapeError,
  sizeOf,
  ValueError,
  withBackend,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers, sum } from './support.ts';

const key = new Key(3);

function moments(values: readonly number[]): { mean: number; variance: number; low: number; high: number } {
  const mean = sum([...values]) / values.length;
  const variance = sum(values.map((v) => (v - mean) ** 2)) / values.length;
  return { mean, variance, low: Math.min(...values), high: Math.max(...values) };
}

describe('gains and fans are those of PyTorch', () => {
  // torch.nn.init.calculate_gain of 2.13
  test.each([
    ['linear', undefined, 1],
    ['conv', undefined, 1],
    ['sigmoid', undefined, 1],
    ['tanh', undefined, 1.6666666666666667],
    ['relu', undefined, Math.SQRT2],
    ['leakyRelu', undefined, 1.4141428569978354],
    ['leakyRelu', 0.5, 1.2649110640673518],
    ['selu', undefined, 0.75],
  ] as const)('%s, %s', (of, slope, expected) => expect(init.gain(of, slope)).toBeCloseTo(expected, 15));
  test('of weights', () => {
    expect(init.fans([6, 4])).toEqual({ fanIn: 4, fanOut: 6 });
    expect(init.fans([6, 4, 3, 5])).toEqual({ fanIn: 60, fanOut: 90 });
  });
});

const shape: Shape = [64, 40, 3];
const [fanIn, fanOut] = [120, 192];
/** The density of a normal variable cut off at ±c: variance 1 - 2cφ(c) / (2Φ(c) - 1). */
const cutVariance = { 1: 0.291125, 2: 0.773741 };
const rows: Record<string, { initializer: Initializer; mean?: number; variance: number; bound?: number }> = {
  uniform: { initializer: init.uniform(), mean: 0.5, variance: 1 / 12 },
  'uniform between bounds': { initializer: init.uniform({ min: -3, max: 1 }), mean: -1, variance: 16 / 12 },
  normal: { initializer: init.normal(), variance: 1 },
  'normal, moved': { initializer: init.normal({ mean: 2, std: 0.1 }), mean: 2, variance: 0.01 },
  truncatedNormal: { initializer: init.truncatedNormal(), variance: cutVariance[2], bound: 2 },
  'truncatedNormal, narrow': {
    initializer: init.truncatedNormal({ std: 3, min: -3, max: 3 }),
    variance: 9 * cutVariance[1],
    bound: 3,
  },
  xavierUniform: {
    initializer: init.xavierUniform(),
    variance: 2 / (fanIn + fanOut),
    bound: Math.sqrt(6 / (fanIn + fanOut)),
  },
  'xavierNormal with a gain': {
    initializer: init.xavierNormal({ gain: 3 }),
    variance: 18 / (fanIn + fanOut),
  },
  kaimingUniform: { initializer: init.kaimingUniform(), variance: 2 / fanIn, bound: Math.sqrt(6 / fanIn) },
  // PyTorch's default of linear layers: slope √5 gives ±1/√fanIn
  'kaimingUniform with a slope': {
    initializer: init.kaimingUniform({ slope: Math.sqrt(5) }),
    variance: 1 / (3 * fanIn),
    bound: 1 / Math.sqrt(fanIn),
  },
  'kaimingNormal of outputs': {
    initializer: init.kaimingNormal({ mode: 'fanOut', nonlinearity: 'tanh' }),
    variance: 25 / 9 / fanOut,
  },
};

describe.each(Object.entries(rows))('%s', (_, { initializer, mean = 0, variance, bound }) => {
  test.each(['f32', 'f64', 'bf16'] as const)('has its mean, variance and bounds in %s', (dtype) => {
    const made = initializer(key, shape, dtype);
    expect([made.shape, made.dtype]).toEqual([shape, dtype]);
    const got = moments(numbers(made));
    const n = sizeOf(shape);
    expect(Math.abs(got.mean - mean)).toBeLessThan(5 * Math.sqrt(variance / n) + 1e-3 * Math.abs(mean));
    // The variance of a variance is at most 2σ⁴/n for all of these.
    expect(Math.abs(got.variance / variance - 1)).toBeLessThan(5 * Math.sqrt(2 / n) + 1e-3);
    if (bound === undefined) return;
    const slack = dtype === 'bf16' ? 1 + 2 ** -8 : 1 + 1e-7;
    expect(Math.max(-got.low, got.high)).toBeLessThanOrEqual(bound * slack);
    expect(Math.max(-got.low, got.high)).toBeGreaterThan(0.95 * bound);
  });
  test('is decided by its key, the same on every backend', () => {
    const [js, wasm] = ['js', 'wasm'].map((name) =>
      withBackend(name, () => {
        const made = initializer(key, [5, 4]);
        expect(made.backend.name).toBe(name);
        return numbers(made);
      }),
    );
    expect(js).toEqual(wasm);
    expect(numbers(initializer(key.foldIn(1), [5, 4]))).not.toEqual(js);
  });
});

test('zeros, ones, constant', () => {
  expect(numbers(init.zeros(key, [2]))).toEqual([0, 0]);
  expect(numbers(init.ones(key, [2], 'f64'))).toEqual([1, 1]);
  expect(numbers(init.constant(0.25)(key, [1, 2]))).toEqual([0.25, 0.25]);
});

describe('orthogonal', () => {
  test.each<[Shape]>([[[4, 4]], [[3, 7]], [[7, 3]], [[4, 2, 3]]])(
    '%j has orthonormal rows or columns',
    (of) => {
      const made = init.orthogonal({ gain: 2 })(key, of, 'f64');
      expect(made.shape).toEqual(of);
      const m = made.reshape([of[0]!, sizeOf(of.slice(1))]);
      const small = m.shape[0]! <= m.shape[1]! ? m.matmul(m.transpose()) : m.transpose().matmul(m);
      const n = small.shape[0]!;
      expectNumbers(
        numbers(small),
        Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0)),
        1e-12,
      );
      expect(numbers(init.orthogonal()(key.foldIn(1), of, 'f64'))).not.toEqual(
        numbers(init.orthogonal()(key, of, 'f64')),
      );
    },
  );
  test('favours no sign', () => {
    const traces = Array.from(
      { length: 200 },
      (_, i) => numbers(init.orthogonal()(key.foldIn(i), [3, 3], 'f64').diagonal().sum())[0]!,
    );
    // The trace of an evenly drawn orthogonal matrix has mean 0 and variance 1.
    const { mean, variance } = moments(traces);
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(200));
    expect(Math.abs(variance - 1)).toBeLessThan(0.5);
  });
});

describe('initialize', () => {
  class Model extends Module {
    readonly layers = [0, 1].map((i) => new Linear(4, 4, { key: key.foldIn(i) }));
    readonly scale = new Parameter(ones([3]));
  }
  const rules = [
    [/bias$/, init.zeros],
    ['layers', init.xavierUniform()],
  ] as const;
  test('gives each parameter the values of the first rule that fits, from a key of its own', () => {
    const model = new Model();
    expect(initialize(model, new Key(1), rules)).toEqual(['scale']);
    const [a, b] = model.layers as [Linear, Linear];
    expect([numbers(a.bias!), numbers(model.scale)]).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1],
    ]);
    expect(Math.max(...numbers(a.weight).map(Math.abs))).toBeLessThanOrEqual(Math.sqrt(6 / 8));
    expect(numbers(a.weight)).not.toEqual(numbers(b.weight));
    const other = new Model().to({ dtype: 'f64', backend: 'js' });
    initialize(other, new Key(1), rules);
    expect([other.layers[0]!.weight.dtype, other.layers[0]!.weight.backend.name]).toEqual(['f64', 'js']);
  });
  test('changes nothing where one fails', () => {
    const model = new Model();
    const before = model.parameters().map(numbers);
    expect(() => initialize(model, key, [[/./, init.orthogonal()]])).toThrow(ShapeError);
    expect(model.parameters().map(numbers)).toEqual(before);
  });
});

describe('errors', () => {
  const draw = (initializer: Initializer, of: Shape = [3]): Tensor => initializer(key, of);
  test.each<[string, () => unknown, new (...args: never[]) => Error, string]>([
    [
      'a function without a gain',
      () => init.gain('gelu' as never),
      ValueError,
      "init.gain: there is no gain of 'gelu'",
    ],
    [
      'a vector',
      () => draw(init.xavierNormal()),
      ShapeError,
      'init.fans: needs a weight [out, in, ...kernel], not one of 1 axes',
    ],
    ['a vector', () => draw(init.orthogonal()), ShapeError, 'init.orthogonal: needs two axes or more, not 1'],
    ['bounds', () => init.uniform({ min: 1, max: 1 }), ValueError, 'init.uniform: min 1 is not < max 1'],
    [
      'bounds',
      () => init.truncatedNormal({ min: 3 }),
      ValueError,
      'init.truncatedNormal: min 3 is not < max 2',
    ],
    [
      'bounds far out',
      () => draw(init.truncatedNormal({ min: 30, max: 31 })),
      ValueError,
      'hardly anything lies between 30 and 31',
    ],
    [
      'a standard deviation',
      () => init.normal({ std: -1 }),
      ValueError,
      'init.normal: the standard deviation must be a number ≥ 0, got -1',
    ],
    [
      'a mode',
      () => draw(init.kaimingNormal({ mode: 'in' as never }), [2, 2]),
      ValueError,
      "mode must be fanIn or fanOut, got 'in'",
    ],
  ])('%s', (_, body, type, says) => {
    expect(body).toThrow(type);
    expect(body).toThrow(says);
  });
});
