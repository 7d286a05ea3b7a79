/** Keyed randomness: the same key gives the same numbers, on every backend and platform. There is no global generator. */
import { fromData } from '../creation.ts';
import { isHalf, roundTo, type FloatDType } from '../dtype.ts';
import { ValueError } from '../errors.ts';
import { checkShape, normalizeAxis, sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import type { Known } from '../types/shapes.ts';
import { inverseErf, portableLog } from './distributions.ts';
import { threefry2x32 } from './threefry.ts';

const two32 = 2 ** 32;
/** Drawn at once: as f32 they fill all the memory that there can be. */
const mostNumbers = 2 ** 30;

const rounding: Readonly<Record<FloatDType, (x: number) => number>> = {
  bf16: (x) => roundTo('bf16', x),
  f16: (x) => roundTo('f16', x),
  f32: Math.fround,
  f64: (x) => x,
};

/**
 * A random key: two words. Use a key once, and get fresh ones with `split` or `foldIn`. Keys, bits and uniform numbers
 * equal JAX's (threefry, partitionable), bit for bit.
 */
export class Key {
  /** The two words, unsigned. `Key.fromWords(key.words)` is the key again. */
  readonly words: readonly [number, number];

  /** @param seed an integer from 0 to 2^53 - 1 */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new ValueError('Key', `the seed must be an integer from 0 to 2^53 - 1, got ${seed}`);
    this.words = [Math.floor(seed / two32), seed % two32];
  }

  static fromWords(words: readonly [number, number]): Key {
    for (const word of words)
      if (!Number.isInteger(word) || word < 0 || word >= two32)
        throw new ValueError('Key.fromWords', `words must be integers from 0 to 2^32 - 1, got ${word}`);
    const key = Object.create(Key.prototype) as { words: readonly [number, number] };
    key.words = [words[0], words[1]];
    return key as Key;
  }

  /** The key numbered `data` (0 … 2^32 - 1) under this one. */
  foldIn(data: number): Key {
    if (!Number.isInteger(data) || data < 0 || data >= two32)
      throw new ValueError('Key.foldIn', `needs an integer from 0 to 2^32 - 1, got ${data}`);
    const pair = new Uint32Array(2);
    threefry2x32(this.words[0], this.words[1], 0, data, pair);
    return Key.fromWords([pair[0]!, pair[1]!]);
  }

  /** `count` independent keys. */
  split(count = 2): Key[] {
    return Array.from({ length: count }, (_, i) => this.foldIn(i));
  }

  /** Two random words for each of `count` counters. */
  private pairs(count: number): Uint32Array {
    if (!(count <= mostNumbers))
      throw new ValueError('Key', `${count} random numbers at once are more than 2^30`, {
        hint: 'sizes may have been mistaken; parts of it can be drawn with keys of their own',
      });
    const out = new Uint32Array(2 * count);
    const [k0, k1] = this.words;
    for (let i = 0; i < count; i++) threefry2x32(k0, k1, Math.floor(i / two32), i | 0, out, 2 * i);
    return out;
  }

  /** `count` random 32-bit words. */
  bits(count: number): Uint32Array {
    const pairs = this.pairs(count);
    const out = new Uint32Array(count);
    for (let i = 0; i < count; i++) out[i] = pairs[2 * i]! ^ pairs[2 * i + 1]!;
    return out;
  }

  /** Multiples of 2^-7 (bf16), 2^-10 (f16), 2^-23 (f32) or 2^-52 (f64) in [0, 1): what the dtype holds beside 1. */
  private units(count: number, dtype: FloatDType): Float32Array | Float64Array {
    // Loops: `from` with a function takes ten times as long.
    if (dtype === 'f64') {
      const pairs = this.pairs(count);
      const out = new Float64Array(count);
      for (let i = 0; i < count; i++)
        out[i] = (pairs[2 * i]! * 2 ** 20 + (pairs[2 * i + 1]! >>> 12)) / 2 ** 52;
      return out;
    }
    const words = this.bits(count);
    const out = new Float32Array(count);
    const [mask, shift] = { bf16: [0xff, 1], f16: [0xffff, 6], f32: [-1, 9] }[dtype] as [number, number];
    const unit = { bf16: 2 ** -7, f16: 2 ** -10, f32: 2 ** -23 }[dtype];
    for (let i = 0; i < count; i++) out[i] = ((words[i]! & mask) >>> shift) * unit;
    return out;
  }

  /** Uniform in [min, max). */
  uniform<S extends Shape>(
    shape: S,
    options: { min?: number; max?: number; dtype?: FloatDType } = {},
  ): Tensor<Known<S>> {
    const { min = 0, max = 1, dtype = 'f32' } = options;
    checkShape('Key.uniform', shape);
    if (!(min < max)) throw new ValueError('Key.uniform', `min ${min} is not < max ${max}`);
    const round = rounding[dtype];
    const low = round(min);
    const span = round(round(max) - low);
    const data = this.units(sizeOf(shape), dtype);
    if (low !== 0 || span !== 1)
      for (let i = 0; i < data.length; i++) data[i] = Math.max(low, round(round(data[i]! * span) + low));
    return fromData(data, shape, { dtype });
  }

  /** Normal with the given mean and standard deviation; f16 and bf16 are f32, rounded. */
  normal<S extends Shape>(
    shape: S,
    options: { mean?: number; std?: number; dtype?: FloatDType } = {},
  ): Tensor<Known<S>> {
    const { mean = 0, std = 1, dtype = 'f32' } = options;
    checkShape('Key.normal', shape);
    if (!(std >= 0)) throw new ValueError('Key.normal', `the standard deviation must be ≥ 0, got ${std}`);
    const drawn = isHalf(dtype) ? 'f32' : dtype;
    const data = this.units(sizeOf(shape), drawn);
    // √2 erfinv(u) with u uniform in the open interval (-1, 1)
    const low = drawn === 'f32' ? -1 + 2 ** -24 : -1 + 2 ** -53;
    for (let i = 0; i < data.length; i++) {
      const u = Math.max(low, data[i]! * (1 - low) + low);
      data[i] = mean + std * Math.SQRT2 * inverseErf(u);
    }
    return fromData(data, shape, { dtype });
  }

  /** True with the given probability. */
  bernoulli<S extends Shape>(probability: number, shape: S): Tensor<Known<S>> {
    checkShape('Key.bernoulli', shape);
    if (!(probability >= 0 && probability <= 1))
      throw new ValueError('Key.bernoulli', `the probability must lie in [0, 1], got ${probability}`);
    const units = this.units(sizeOf(shape), 'f64');
    const truths = new Uint8Array(units.length);
    for (let i = 0; i < units.length; i++) truths[i] = Number(units[i]! < probability);
    return fromData(truths, shape, { dtype: 'bool' });
  }

  /** Integers from `low` up to but not including `high`, i32. */
  randint<S extends Shape>(low: number, high: number, shape: S): Tensor<Known<S>> {
    checkShape('Key.randint', shape);
    const fits = [low, high].every(Number.isInteger) && low < high && low >= -(2 ** 31) && high <= 2 ** 31;
    if (!fits) throw new ValueError('Key.randint', `needs i32 integers low < high, got ${low} and ${high}`);
    const units = this.units(sizeOf(shape), 'f64');
    const integers = new Int32Array(units.length);
    for (let i = 0; i < units.length; i++) integers[i] = low + Math.floor(units[i]! * (high - low));
    return fromData(integers, shape);
  }

  /** Positions along an axis drawn with probability softmax(logits), by the Gumbel-max rule. The axis goes away. */
  categorical(logits: Tensor, axis = -1): Tensor {
    const at = normalizeAxis('Key.categorical', axis, logits);
    const dtype = logits.dtype === 'f64' ? 'f64' : 'f32';
    const noise = this.units(logits.size, dtype);
    // log needs a normal number > 0, and -log(u) one > 0 too
    const tiny = dtype === 'f32' ? 2 ** -24 : 2 ** -53;
    for (let i = 0; i < noise.length; i++) noise[i] = -portableLog(-portableLog(Math.max(noise[i]!, tiny)));
    return logits.add(fromData(noise, logits.shape, { backend: logits.backend })).argMax(at);
  }

  /** 0 … n - 1 in random order, i32. */
  permutation(n: number): Tensor {
    checkShape('Key.permutation', [n]);
    const rank = this.units(n, 'f64');
    return fromData(
      Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => rank[a]! - rank[b]! || a - b),
      [n],
    );
  }

  toJSON(): readonly [number, number] {
    return this.words;
  }
}
