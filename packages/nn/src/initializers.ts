/**
 * Initial values as functions of a key, under the name `init`: `init.kaimingNormal({ mode: 'fanOut' })(key, [64, 3, 7, 7])`. All draw
 * the same numbers on every backend and platform.
 */
import {
  currentBackend,
  fromData,
  full,
  isHalf,
  Key,
  ShapeError,
  sizeOf,
  ValueError,
  withBackend,
  type FloatDType,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import type { Module } from './module.ts';
import { carriedOver } from './move.ts';
import { matches, type NamePattern } from './pattern.ts';

/** Makes the initial values of a parameter. dtype: default f32. */
export type Initializer = (key: Key, shape: Shape, dtype?: FloatDType) => Tensor;

/** Functions that a layer may be followed by, as far as their gains go. */
export type GainOf = 'linear' | 'conv' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu';

const gains: Readonly<Record<GainOf, (slope: number) => number>> = {
  linear: () => 1,
  conv: () => 1,
  sigmoid: () => 1,
  tanh: () => 5 / 3,
  relu: () => Math.SQRT2,
  leakyRelu: (slope) => Math.sqrt(2 / (1 + slope ** 2)),
  selu: () => 3 / 4,
};

/** By how much weights are scaled so that variances survive a function, as PyTorch's calculate_gain. `slope`: of leakyRelu, 0.01 unless told. */
export function gain(of: GainOf, slope = 0.01): number {
  if (!Object.hasOwn(gains, of))
    throw new ValueError('init.gain', `there is no gain of '${String(of)}'`, {
      hint: `one of ${Object.keys(gains).join(', ')}`,
    });
  return gains[of](slope);
}

/**
 * Inputs and outputs of a weight [out, in, ...kernel], each times the size of the kernel.
 * @throws ShapeError for fewer than two axes
 */
export function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2)
    throw new ShapeError('init.fans', `needs a weight [out, in, ...kernel], not one of ${shape.length} axes`);
  const field = sizeOf(shape.slice(2));
  return { fanIn: shape[1]! * field, fanOut: shape[0]! * field };
}

/** f16 and bf16 are drawn in f32 and rounded: of their own they would be drawn from a coarse grid. */
const drawnIn = (dtype: FloatDType): 'f32' | 'f64' => (isHalf(dtype) ? 'f32' : dtype);

function checkStd(op: string, std: number): void {
  if (!(std >= 0 && std < Infinity))
    throw new ValueError(op, `the standard deviation must be a number ≥ 0, got ${std}`);
}

/** The same everywhere. */
export function constant(value: number): Initializer {
  return (_, shape, dtype = 'f32') => full(shape, value, { dtype });
}

export const zeros: Initializer = constant(0);
export const ones: Initializer = constant(1);

/** Uniform in [min, max). Default [0, 1). */
export function uniform({
  min = 0,
  max = 1,
}: { readonly min?: number; readonly max?: number } = {}): Initializer {
  if (!(min < max)) throw new ValueError('init.uniform', `min ${min} is not < max ${max}`);
  return (key, shape, dtype = 'f32') => {
    const drawn = key.uniform(shape, { min, max, dtype: drawnIn(dtype) });
    return isHalf(dtype) ? drawn.cast(dtype) : drawn;
  };
}

/** Normal. Defaults: mean 0, std 1. */
export function normal({
  mean = 0,
  std = 1,
}: { readonly mean?: number; readonly std?: number } = {}): Initializer {
  checkStd('init.normal', std);
  return (key, shape, dtype = 'f32') => key.normal(shape, { mean, std, dtype });
}

export interface TruncatedNormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Default 1. */
  readonly std?: number;
  /** Bounds, in the units of the values themselves as in PyTorch. Defaults -2 and 2. */
  readonly min?: number;
  readonly max?: number;
}

const mostRounds = 2000;

/**
 * Normal, with what lies outside [min, max] drawn again.
 * @throws ValueError for bounds between which hardly anything lies
 */
export function truncatedNormal(options: TruncatedNormalOptions = {}): Initializer {
  const { mean = 0, std = 1, min = -2, max = 2 } = options;
  checkStd('init.truncatedNormal', std);
  if (!(min < max)) throw new ValueError('init.truncatedNormal', `min ${min} is not < max ${max}`);
  return (key, shape, dtype = 'f32') => {
    const backend = currentBackend();
    const draw = (k: Key, count: number): ArrayLike<number> =>
      withBackend('js', () => k.normal([count], { mean, std, dtype: drawnIn(dtype) }).dataSync());
    const data = Float64Array.from(draw(key.foldIn(0), sizeOf(shape)));
    let outside = [...data.keys()].filter((i) => !(data[i]! >= min && data[i]! <= max));
    for (let round = 1; outside.length > 0; round++) {
      if (round > mostRounds)
        throw new ValueError('init.truncatedNormal', `hardly anything lies between ${min} and ${max}`, {
          hint: `the mean is ${mean}, the standard deviation ${std}`,
        });
      const again = draw(key.foldIn(round), outside.length);
      outside.forEach((place, i) => (data[place] = again[i]!));
      outside = outside.filter((i) => !(data[i]! >= min && data[i]! <= max));
    }
    return fromData(data, shape, { dtype, backend });
  };
}

export interface XavierOptions {
  /** Default 1; `gain('tanh')` and so on. */
  readonly gain?: number;
}

const xavierStd = (shape: Shape, by: number): number => {
  const { fanIn, fanOut } = fans(shape);
  return by * Math.sqrt(2 / (fanIn + fanOut));
};

/** Uniform with variance gain² · 2 / (fanIn + fanOut) (Glorot and Bengio 2010, eq. 16). */
export function xavierUniform({ gain: by = 1 }: XavierOptions = {}): Initializer {
  return evenly((shape) => xavierStd(shape, by));
}

/** Normal with variance gain² · 2 / (fanIn + fanOut). */
export function xavierNormal({ gain: by = 1 }: XavierOptions = {}): Initializer {
  return (key, shape, dtype) => normal({ std: xavierStd(shape, by) })(key, shape, dtype);
}

export interface KaimingOptions {
  /** Keep variances of the forward pass (`fanIn`, the default) or of the backward pass (`fanOut`). */
  readonly mode?: 'fanIn' | 'fanOut';
  /** The function after the layer. Default `leakyRelu` with slope 0. */
  readonly nonlinearity?: GainOf;
  /** Of leakyRelu. Default 0. */
  readonly slope?: number;
}

function kaimingStd(shape: Shape, options: KaimingOptions): number {
  const { mode = 'fanIn', nonlinearity = 'leakyRelu', slope = 0 } = options;
  if (mode !== 'fanIn' && mode !== 'fanOut')
    throw new ValueError('init.kaiming', `mode must be fanIn or fanOut, got '${String(mode)}'`);
  return gain(nonlinearity, slope) / Math.sqrt(fans(shape)[mode]);
}

/** Uniform with variance gain² / fan (arXiv 1502.01852, eq. 10 and 14). */
export function kaimingUniform(options: KaimingOptions = {}): Initializer {
  return evenly((shape) => kaimingStd(shape, options));
}

/** Normal with variance gain² / fan. */
export function kaimingNormal(options: KaimingOptions = {}): Initializer {
  return (key, shape, dtype) => normal({ std: kaimingStd(shape, options) })(key, shape, dtype);
}

/** Uniform around 0 with a standard deviation: within ±√3 of it. */
function evenly(std: (shape: Shape) => number): Initializer {
  return (key, shape, dtype) => {
    const bound = Math.sqrt(3) * std(shape);
    return uniform({ min: -bound, max: bound })(key, shape, dtype);
  };
}

/**
 * gain times a matrix with orthonormal rows, or columns where those are fewer; a weight [out, in, ...kernel] is the matrix
 * [out, in · kernel] (arXiv 1312.6120). Computed in f64.
 * @throws ShapeError for fewer than two axes
 */
export function orthogonal({ gain: by = 1 }: XavierOptions = {}): Initializer {
  return (key, shape, dtype = 'f32') => {
    if (shape.length < 2)
      throw new ShapeError('init.orthogonal', `needs two axes or more, not ${shape.length}`);
    const [rows, columns] = [shape[0]!, sizeOf(shape.slice(1))];
    const wide = rows < columns;
    const value = withBackend('js', () => {
      const drawn = key.normal(wide ? [columns, rows] : [rows, columns], { dtype: 'f64' });
      // The diagonal of r is ≥ 0: only then is q evenly distributed over all such matrices.
      const even = drawn.qr().q.mul(by);
      return (wide ? even.transpose() : even).reshape(shape).cast(dtype).clone();
    });
    return carriedOver(value, currentBackend());
  };
}

/**
 * Gives parameters of a module new values; the first rule that fits a name counts:
 *
 * ```ts
 * initialize(model, new Key(1), [[/bias$/, init.zeros], ['head', init.normal({ std: 0.02 })]]);
 * ```
 *
 * Every parameter draws from a key of its own, which depends on its place among all of them.
 * @returns the names that no rule fits: their values stay
 */
export function initialize(
  module: Module,
  key: Key,
  rules: readonly (readonly [NamePattern, Initializer])[],
): string[] {
  const left: string[] = [];
  const made = [...module.namedParameters()].flatMap(([name, parameter], i) => {
    const rule = rules.find(([pattern]) => matches(pattern, name, true));
    if (!rule) left.push(name);
    const { shape, dtype, backend } = parameter;
    return rule
      ? [{ parameter, value: () => carriedOver(rule[1](key.foldIn(i), shape, dtype as FloatDType), backend) }]
      : [];
  });
  const values = made.map(({ value }) => value());
  made.forEach(({ parameter }, i) => parameter.assign(values[i]!));
  return left;
}
