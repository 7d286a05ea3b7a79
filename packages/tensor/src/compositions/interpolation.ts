/** Resizing along one, two or three spatial axes, as PyTorch's functional.interpolate does it. */
import { ShapeError, ValueError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { pick, resample, type Taps } from './resample.ts';
import { perAxis, spatialAxes, type PerAxis } from './spatial.ts';

export type InterpolationMode =
  | 'nearest'
  | 'nearest-exact'
  | 'linear'
  | 'bilinear'
  | 'trilinear'
  | 'bicubic'
  | 'area';

export interface InterpolateOptions {
  /** The sizes to reach; either this or `scaleFactor`. */
  readonly size?: PerAxis;
  /** Factors of the sizes, which are rounded down. */
  readonly scaleFactor?: PerAxis;
  /** Default `nearest`. `linear`, `bilinear` and `trilinear` are for one, two and three spatial axes, `bicubic` for two. */
  readonly mode?: InterpolationMode;
  /** First and last elements stay where they are; else the outer edges of the elements do. Default false. */
  readonly alignCorners?: boolean;
  /** Widen the filter where sizes shrink; for `bilinear` and `bicubic`. Default false. */
  readonly antialias?: boolean;
  /** Take the ratio of the sizes in place of `scaleFactor` where they differ by rounding. Default false. */
  readonly recomputeScaleFactor?: boolean;
}

/** One axis to be resized. */
interface Resizing {
  readonly from: number;
  readonly to: number;
  /** Elements of x for one of the result. */
  readonly scale: number;
  readonly alignCorners: boolean;
}

const spatialRank: Partial<Record<InterpolationMode, number>> = {
  linear: 1,
  bilinear: 2,
  trilinear: 3,
  bicubic: 2,
};
const modes: readonly string[] = [
  'nearest',
  'nearest-exact',
  'linear',
  'bilinear',
  'trilinear',
  'bicubic',
  'area',
];

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Where element i of the result lies in x. */
function sourceOf({ scale, alignCorners }: Resizing, i: number): number {
  return alignCorners ? i * scale : (i + 0.5) * scale - 0.5;
}

/** Weights on all of `places`, those outside standing for the edge. */
function clampedTap(places: readonly number[], weights: readonly number[], n: number): Taps[number] {
  const at = places.map((place) => Math.min(Math.max(place, 0), n - 1));
  const start = Math.min(...at);
  const own = new Array<number>(Math.max(...at) - start + 1).fill(0);
  at.forEach((place, k) => (own[place - start]! += weights[k]!));
  return { start, weights: own };
}

function linearTaps(axis: Resizing): Taps {
  return upTo(axis.to).map((i) => {
    const at = Math.max(0, sourceOf(axis, i));
    const low = Math.min(Math.floor(at), axis.from - 1);
    const part = Math.min(at - low, 1);
    return clampedTap([low, low + 1], [1 - part, part], axis.from);
  });
}

/** The piecewise cubic kernel of Keys (1981, eq. 15, with its free parameter a). */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

function cubicTaps(axis: Resizing): Taps {
  return upTo(axis.to).map((i) => {
    const at = sourceOf(axis, i);
    const places = [-1, 0, 1, 2].map((k) => Math.floor(at) + k);
    return clampedTap(
      places,
      places.map((place) => cubic(at - place, -0.75)),
      axis.from,
    );
  });
}

/** A filter as wide as elements of the result are far apart, so that none of x is passed over. */
function antialiasedTaps({ from, to, scale }: Resizing, radius: number, filter: (x: number) => number): Taps {
  const widened = Math.max(scale, 1);
  return upTo(to).map((i) => {
    const centre = scale * (i + 0.5);
    const start = Math.max(Math.trunc(centre - radius * widened + 0.5), 0);
    const end = Math.min(Math.trunc(centre + radius * widened + 0.5), from);
    const raw = upTo(Math.max(1, end - start)).map((k) => filter((start + k - centre + 0.5) / widened));
    const total = raw.reduce((a, b) => a + b, 0);
    return { start, weights: raw.map((weight) => (total === 0 ? weight : weight / total)) };
  });
}

const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));

function tapsOf(mode: InterpolationMode, antialias: boolean, axis: Resizing): Taps {
  if (mode === 'bicubic')
    return antialias ? antialiasedTaps(axis, 2, (x) => cubic(x, -0.5)) : cubicTaps(axis);
  return antialias ? antialiasedTaps(axis, 1, triangle) : linearTaps(axis);
}

function nearest({ from, to, scale }: Resizing, centred: boolean): number[] {
  return upTo(to).map((i) => Math.min(Math.floor((centred ? i + 0.5 : i) * scale), from - 1));
}

function checkMode(
  x: Tensor,
  mode: InterpolationMode,
  { alignCorners, antialias }: InterpolateOptions,
): void {
  const axes = x.rank - 2;
  if (!modes.includes(mode))
    throw new ValueError('interpolate', `mode '${mode}' is not known`, {
      hint: `one of ${modes.join(', ')}`,
    });
  const own = spatialRank[mode];
  if (own !== undefined && own !== axes)
    throw new ValueError('interpolate', `mode '${mode}' is for ${own} spatial axes, not ${axes}`, {
      operands: [x],
    });
  if (alignCorners && own === undefined)
    throw new ValueError('interpolate', `alignCorners has no meaning in mode '${mode}'`);
  if (antialias && mode !== 'bilinear' && mode !== 'bicubic')
    throw new ValueError('interpolate', `antialias is for bilinear and bicubic, not for ${mode}`);
}

/** The sizes to reach, and the elements of x for one of the result where factors say so. */
function targets(
  x: Tensor,
  options: InterpolateOptions,
): { to: number[]; factors: readonly number[] | null } {
  const { size, scaleFactor, recomputeScaleFactor = false } = options;
  const axes = x.rank - 2;
  if ((size === undefined) === (scaleFactor === undefined))
    throw new ValueError('interpolate', 'needs either size or scaleFactor');
  if (size !== undefined) return { to: perAxis('interpolate', 'size', size, axes, 1), factors: null };
  const factors = typeof scaleFactor === 'number' ? upTo(axes).map(() => scaleFactor) : scaleFactor!;
  if (factors.length !== axes || !factors.every((f) => f > 0 && Number.isFinite(f)))
    throw new ValueError(
      'interpolate',
      `scaleFactor needs a number > 0 for each of ${axes} spatial axes, got [${factors.join(', ')}]`,
    );
  const to = factors.map((factor, i) => Math.floor(x.shape[2 + i]! * factor));
  return { to: perAxis('interpolate', 'size', to, axes, 1), factors: recomputeScaleFactor ? null : factors };
}

export const interpolationMethods = {
  /**
   * x [N, C, ...spatial] resized along its spatial axes, to `size` or by `scaleFactor`. Numbers agree with PyTorch's in
   * every mode. In floating point the dtype stays; integers become f32 but where elements are only picked (`nearest…`).
   * Throws a ValueError where mode and options do not go together.
   */
  interpolate: (x: Tensor, options: InterpolateOptions): Tensor => {
    const { mode = 'nearest', alignCorners = false, antialias = false } = options;
    if (x.rank < 3 || x.rank > 5)
      throw new ShapeError('interpolate', 'needs [batch, channels, one to three spatial axes]', {
        operands: [x],
      });
    checkMode(x, mode, options);
    const { to, factors } = targets(x, options);
    if (x.shape.slice(2).some((n) => n === 0))
      throw new ShapeError('interpolate', 'there is nothing to resize', { operands: [x] });
    if (mode === 'area') {
      if (to.length === 1) return x.adaptiveAvgPool1d(to);
      return to.length === 2 ? x.adaptiveAvgPool2d(to) : x.adaptiveAvgPool3d(to);
    }
    return spatialAxes(x, to.length).reduce((y, axis, i) => {
      const from = x.shape[axis]!;
      const ratio = factors ? 1 / factors[i]! : from / to[i]!;
      const corners = to[i] === 1 ? 0 : (from - 1) / (to[i]! - 1);
      const scale = alignCorners ? corners : ratio;
      const resizing: Resizing = { from, to: to[i]!, scale, alignCorners };
      if (mode === 'nearest' || mode === 'nearest-exact')
        return pick(y, axis, nearest(resizing, mode === 'nearest-exact'));
      return resample(y, axis, tapsOf(mode, antialias, resizing));
    }, x);
  },
};
