/** How rotary frequencies are stretched to sequences longer than a model was trained on: the schemes of Hugging Face. */
import { ValueError } from '@infinigrad/tensor';

/** All frequencies divided by a factor: position interpolation (arXiv 2306.15595). */
export interface LinearScaling {
  readonly type: 'linear';
  readonly factor: number;
}

/**
 * A base that grows with the sequence beyond `maxPositions` (NTK-aware). The frequencies depend on the length, so that
 * beyond it keys in a cache and keys read anew differ.
 */
export interface DynamicScaling {
  readonly type: 'dynamic';
  readonly factor: number;
  readonly maxPositions: number;
}

/** YaRN (arXiv 2309.00071): low frequencies are interpolated, high ones kept, and scores sharpened. */
export interface YarnScaling {
  readonly type: 'yarn';
  readonly factor: number;
  readonly originalMaxPositions: number;
  /** Turns within the original length above which a frequency is kept. Default 32. */
  readonly betaFast?: number | undefined;
  /** Turns below which it is interpolated. Default 1. */
  readonly betaSlow?: number | undefined;
  /** Factor of cosines and sines. Default 0.1 · mscale · ln(factor) + 1, divided by the same with `mscaleAllDim` where both are given. */
  readonly attentionFactor?: number | undefined;
  readonly mscale?: number | undefined;
  readonly mscaleAllDim?: number | undefined;
  /** Round the ends of the ramp to whole dimensions. Default true. */
  readonly truncate?: boolean | undefined;
}

/** LongRoPE (arXiv 2402.13753): a factor for each frequency, one list up to the original length and one beyond. */
export interface LongRopeScaling {
  readonly type: 'longrope';
  readonly shortFactor: readonly number[];
  readonly longFactor: readonly number[];
  readonly originalMaxPositions: number;
  /** The new length over the original one. */
  readonly factor: number;
  /** Factor of cosines and sines. Default √(1 + ln factor / ln originalMaxPositions), at least 1. */
  readonly attentionFactor?: number | undefined;
}

/** LLaMA 3.1's: wavelengths above one bound are stretched, those below another kept, those between blended. */
export interface Llama3Scaling {
  readonly type: 'llama3';
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalMaxPositions: number;
}

export type RopeScaling = LinearScaling | DynamicScaling | YarnScaling | LongRopeScaling | Llama3Scaling;

export interface RopeFrequencies {
  /** Angle per position of each pair. */
  readonly frequencies: Float64Array;
  /** Factor of cosines and sines. */
  readonly attentionFactor: number;
}

/** base^(-2i/dim). */
function plain(dim: number, base: number): Float64Array {
  return Float64Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));
}

const schemes: {
  readonly [Type in RopeScaling['type']]: (
    dim: number,
    base: number,
    scaling: Extract<RopeScaling, { type: Type }>,
    length: number,
  ) => RopeFrequencies;
} = {
  linear: (dim, base, { factor }) => ({
    frequencies: plain(dim, base).map((f) => f / factor),
    attentionFactor: 1,
  }),

  dynamic: (dim, base, { factor, maxPositions }, length) => {
    const stretch = (factor * Math.max(length, maxPositions)) / maxPositions - (factor - 1);
    return { frequencies: plain(dim, base * stretch ** (dim / (dim - 2))), attentionFactor: 1 };
  },

  yarn: (dim, base, scaling) => {
    const { factor, originalMaxPositions, betaFast = 32, betaSlow = 1, truncate = true } = scaling;
    // The dimension, as a fraction, whose pair makes so many turns within the original length.
    const dimensionOf = (turns: number): number =>
      (dim * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(base));
    const [from, to] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
    const low = Math.max(truncate ? Math.floor(from) : from, 0);
    const high = Math.min(truncate ? Math.ceil(to) : to, dim - 1);
    const span = high === low ? 0.001 : high - low;
    const frequencies = plain(dim, base).map((f, i) => {
      const ramp = Math.min(1, Math.max(0, (i - low) / span));
      return (f / factor) * ramp + f * (1 - ramp);
    });
    return { frequencies, attentionFactor: yarnAttention(scaling) };
  },

  longrope: (
    dim,
    base,
    { shortFactor, longFactor, originalMaxPositions, factor, attentionFactor },
    length,
  ) => {
    const factors = length > originalMaxPositions ? longFactor : shortFactor;
    return {
      frequencies: plain(dim, base).map((f, i) => f / factors[i]!),
      attentionFactor:
        attentionFactor ??
        (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions))),
    };
  },

  llama3: (dim, base, { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositions }) => ({
    frequencies: plain(dim, base).map((f) => {
      const wavelength = (2 * Math.PI) / f;
      if (wavelength < originalMaxPositions / high) return f;
      if (wavelength > originalMaxPositions / low) return f / factor;
      const smooth = (originalMaxPositions / wavelength - low) / (high - low);
      return ((1 - smooth) * f) / factor + smooth * f;
    }),
    attentionFactor: 1,
  }),
};

function yarnAttention({ factor, attentionFactor, mscale, mscaleAllDim }: YarnScaling): number {
  if (attentionFactor !== undefined) return attentionFactor;
  const scale = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale && mscaleAllDim ? scale(mscale) / scale(mscaleAllDim) : scale(1);
}

/**
 * Angles per position of the dim / 2 pairs, in f64.
 * @param length tokens of the whole sequence; matters to `dynamic` and `longrope` alone
 */
export function ropeFrequencies(
  dim: number,
  base: number,
  scaling: RopeScaling | null,
  length: number,
): RopeFrequencies {
  if (!scaling) return { frequencies: plain(dim, base), attentionFactor: 1 };
  const scheme = schemes[scaling.type] as (
    dim: number,
    base: number,
    scaling: RopeScaling,
    length: number,
  ) => RopeFrequencies;
  return scheme(dim, base, scaling, length);
}

/** Names the frequencies of a length: those of one name are the same. Null where every length has its own. */
export function frequenciesName(scaling: RopeScaling | null, length: number): string | null {
  if (scaling?.type === 'dynamic') return length > scaling.maxPositions ? null : 'short';
  if (scaling?.type === 'longrope') return length > scaling.originalMaxPositions ? 'long' : 'short';
  return 'any';
}

/** @throws ValueError for numbers that make no scaling of so many dimensions */
export function checkScaling(dim: number, scaling: RopeScaling): void {
  const fail = (problem: string): never => {
    throw new ValueError('RotaryEmbedding', problem);
  };
  if (!Object.hasOwn(schemes, scaling.type))
    fail(`scaling must be one of ${Object.keys(schemes).join(', ')}, got '${String(scaling.type)}'`);
  for (const [name, value] of Object.entries(scaling))
    if (typeof value === 'number' && !(value > 0 && value < Infinity))
      fail(`${name} of the scaling must be a number > 0, got ${value}`);
  for (const name of required[scaling.type])
    if (typeof (scaling as unknown as Record<string, unknown>)[name] !== 'number')
      fail(`the scaling '${scaling.type}' needs ${name}`);
  if (scaling.type === 'dynamic' && dim < 4) fail(`dynamic scaling needs 4 dimensions, got ${dim}`);
  if (scaling.type === 'llama3' && scaling.highFreqFactor <= scaling.lowFreqFactor)
    fail('highFreqFactor must be above lowFreqFactor');
  if (scaling.type !== 'longrope') return;
  for (const name of ['shortFactor', 'longFactor'] as const) {
    const factors = scaling[name];
    if (!Array.isArray(factors) || factors.length !== dim / 2 || factors.some((f) => !(f > 0)))
      fail(`${name} must hold ${dim / 2} numbers > 0, one for each pair`);
  }
}

const required: Readonly<Record<RopeScaling['type'], readonly string[]>> = {
  linear: ['factor'],
  dynamic: ['factor', 'maxPositions'],
  yarn: ['factor', 'originalMaxPositions'],
  longrope: ['factor', 'originalMaxPositions'],
  llama3: ['factor', 'lowFreqFactor', 'highFreqFactor', 'originalMaxPositions'],
};
