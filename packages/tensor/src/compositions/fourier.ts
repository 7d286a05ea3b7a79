/**
 * Fourier transforms over one, two and more axes, by PyTorch's names, and arithmetic of complex numbers. Complex numbers are
 * pairs: a last axis of size 2 holds real and imaginary parts, and the axes of transforms are counted without it.
 */
import { apply } from '../apply.ts';
import { fromData, type CreationOptions } from '../creation.ts';
import { ValueError } from '../errors.ts';
import { checkPairs, fourierScale, resized, type FourierNorm } from '../ops/fourier.ts';
import { broadcastShapes, normalizeAxes, normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { stft, istft } from './spectrogram.ts';

type Axes = number | readonly number[];

const times = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : x.mul(factor));

/** The axes of a transform over several, counted among `rank`, with the sizes asked for. */
function several(
  op: string,
  x: Tensor,
  rank: number,
  sizes: readonly number[] | undefined,
  axes: Axes | undefined,
): { axes: number[]; sizes: (number | undefined)[] } {
  const among = { shape: x.shape.slice(0, rank), dtype: x.dtype };
  const named =
    axes !== undefined
      ? [axes].flat()
      : Array.from({ length: sizes?.length ?? rank }, (_, i) => i - (sizes?.length ?? rank));
  const list = named.map((axis) => normalizeAxis(op, axis, among));
  normalizeAxes(op, list, among);
  if (sizes && sizes.length !== list.length)
    throw new ValueError(op, `${sizes.length} sizes for ${list.length} axes`, { operands: [x] });
  if (list.length === 0) throw new ValueError(op, 'needs at least one axis', { operands: [x] });
  return { axes: list, sizes: list.map((_, i) => sizes?.[i]) };
}

/** The transform of pairs along one axis after the other. */
function alongEach(
  op: string,
  x: Tensor,
  inverse: boolean,
  { axes, sizes }: ReturnType<typeof several>,
  norm: FourierNorm,
): Tensor {
  let y = x;
  let factor = 1;
  axes.forEach((axis, i) => {
    const n = sizes[i] ?? x.shape[axis]!;
    y = apply('fft', [resized(op, y, axis, n)], { axis, inverse });
    factor *= fourierScale(op, norm, inverse, n);
  });
  return times(y, factor);
}

function alongAll(
  op: string,
  x: Tensor,
  inverse: boolean,
  sizes: readonly number[] | undefined,
  axes: Axes | undefined,
  norm: FourierNorm,
): Tensor {
  checkPairs(op, x);
  return alongEach(op, x, inverse, several(op, x, x.rank - 1, sizes, axes), norm);
}

/** All but the last, along which the transform is one of real numbers. */
const butLast = ({ axes, sizes }: ReturnType<typeof several>): ReturnType<typeof several> => ({
  axes: axes.slice(0, -1),
  sizes: sizes.slice(0, -1),
});

function realOverAll(
  op: string,
  x: Tensor,
  sizes: readonly number[] | undefined,
  axes: Axes | undefined,
  norm: FourierNorm,
): Tensor {
  const over = several(op, x, x.rank, sizes, axes);
  const y = x.rfft(over.sizes.at(-1), over.axes.at(-1)!, norm);
  return alongEach(op, y, false, butLast(over), norm);
}

function realFromAll(
  op: string,
  x: Tensor,
  sizes: readonly number[] | undefined,
  axes: Axes | undefined,
  norm: FourierNorm,
): Tensor {
  checkPairs(op, x);
  const over = several(op, x, x.rank - 1, sizes, axes);
  const y = alongEach(op, x, true, butLast(over), norm);
  return y.irfft(over.sizes.at(-1), over.axes.at(-1)!, norm);
}

/** Half of each axis moved from one end to the other. */
function shifted(op: string, x: Tensor, axes: Axes | undefined, half: (n: number) => number): Tensor {
  const list = normalizeAxes(op, axes, x);
  return list.length === 0
    ? x
    : x.roll(
        list.map((axis) => half(x.shape[axis]!)),
        list,
      );
}

export const fourierMethods = {
  /** The inverse of `fft`: Σ xₖ e^(2πi jk/n) / n of pairs along an axis, cut off or filled up to n points. */
  ifft: (x: Tensor, n?: number, axis = -1, norm: FourierNorm = 'backward'): Tensor => {
    checkPairs('ifft', x);
    return alongAll('ifft', x, true, n === undefined ? undefined : [n], [axis], norm);
  },

  /** `fft` over several axes (all unless told) of pairs, cut off or filled up to the sizes. */
  fftn: (x: Tensor, sizes?: readonly number[], axes?: Axes, norm: FourierNorm = 'backward'): Tensor =>
    alongAll('fftn', x, false, sizes, axes, norm),

  /** The inverse of `fftn`. */
  ifftn: (x: Tensor, sizes?: readonly number[], axes?: Axes, norm: FourierNorm = 'backward'): Tensor =>
    alongAll('ifftn', x, true, sizes, axes, norm),

  /** `fft` over two axes (the last two unless told) of pairs. */
  fft2: (
    x: Tensor,
    sizes?: readonly number[],
    axes: Axes = [-2, -1],
    norm: FourierNorm = 'backward',
  ): Tensor => alongAll('fft2', x, false, sizes, axes, norm),

  /** The inverse of `fft2`. */
  ifft2: (
    x: Tensor,
    sizes?: readonly number[],
    axes: Axes = [-2, -1],
    norm: FourierNorm = 'backward',
  ): Tensor => alongAll('ifft2', x, true, sizes, axes, norm),

  /** The Fourier transform of real numbers over several axes (all unless told): pairs, halved along the last of them. */
  rfftn: (x: Tensor, sizes?: readonly number[], axes?: Axes, norm: FourierNorm = 'backward'): Tensor =>
    realOverAll('rfftn', x, sizes, axes, norm),

  /** The inverse of `rfftn`: the last size (2(m - 1) unless told) is that of the real numbers. */
  irfftn: (x: Tensor, sizes?: readonly number[], axes?: Axes, norm: FourierNorm = 'backward'): Tensor =>
    realFromAll('irfftn', x, sizes, axes, norm),

  /** `rfftn` over two axes (the last two unless told). */
  rfft2: (
    x: Tensor,
    sizes?: readonly number[],
    axes: Axes = [-2, -1],
    norm: FourierNorm = 'backward',
  ): Tensor => realOverAll('rfft2', x, sizes, axes, norm),

  /** `irfftn` over two axes (the last two unless told). */
  irfft2: (
    x: Tensor,
    sizes?: readonly number[],
    axes: Axes = [-2, -1],
    norm: FourierNorm = 'backward',
  ): Tensor => realFromAll('irfft2', x, sizes, axes, norm),

  /** The zero frequency in the middle: ⌊n/2⌋ elements moved to the front. Axes are the tensor's own (all unless told): of pairs, name them. */
  fftshift: (x: Tensor, axes?: Axes): Tensor => shifted('fftshift', x, axes, (n) => Math.floor(n / 2)),

  /** The inverse of `fftshift`. */
  ifftshift: (x: Tensor, axes?: Axes): Tensor => shifted('ifftshift', x, axes, (n) => -Math.floor(n / 2)),

  /** The real parts of pairs. */
  real: (x: Tensor): Tensor => part('real', x, 0),

  /** The imaginary parts of pairs. */
  imag: (x: Tensor): Tensor => part('imag', x, 1),

  /** Products of complex numbers as pairs; their axes broadcast. */
  complexMul: (x: Tensor, y: Tensor): Tensor => {
    const [a, b, c, d] = [
      part('complexMul', x, 0),
      part('complexMul', x, 1),
      part('complexMul', y, 0),
      part('complexMul', y, 1),
    ];
    return complex(a.mul(c).sub(b.mul(d)), a.mul(d).add(b.mul(c)));
  },

  /** Absolute values √(re² + im²) of pairs, without overflow. Where one is 0 its gradient is taken as 0. */
  complexAbs: (x: Tensor): Tensor => part('complexAbs', x, 0).hypot(part('complexAbs', x, 1)),

  /** Pairs with their imaginary parts negated. */
  complexConj: (x: Tensor): Tensor => complex(part('complexConj', x, 0), part('complexConj', x, 1).neg()),

  stft,
  istft,
};

function part(op: string, x: Tensor, which: 0 | 1): Tensor {
  checkPairs(op, x);
  return x.select(-1, which);
}

/** Complex numbers as pairs, [..., 2], from real and imaginary parts, which broadcast. */
export function complex(re: Tensor, im: Tensor): Tensor {
  const shape = broadcastShapes('complex', [re, im]);
  return apply(
    'concat',
    [re, im].map((x) => x.expand(shape).unsqueeze(-1)),
    { axis: shape.length },
  );
}

function frequencies(
  op: string,
  n: number,
  spacing: number,
  { count, positive }: { count: number; positive: number },
  options: CreationOptions,
): Tensor {
  if (!Number.isInteger(n) || n < 1) throw new ValueError(op, `needs a number of points ≥ 1, got ${n}`);
  if (!(Number.isFinite(spacing) && spacing !== 0))
    throw new ValueError(op, `needs a spacing other than 0, got ${spacing}`);
  const values = Float64Array.from({ length: count }, (_, k) => (k < positive ? k : k - n) / (n * spacing));
  return fromData(values, [count], { dtype: 'f32', ...options });
}

/** The frequencies of `fft`, in cycles per unit of the spacing: 0, 1, … , -2, -1, over n · spacing. f32 unless told. */
export function fftfreq(n: number, spacing = 1, options: CreationOptions = {}): Tensor {
  return frequencies('fftfreq', n, spacing, { count: n, positive: Math.ceil(n / 2) }, options);
}

/** The frequencies of `rfft`: 0, 1, … ⌊n/2⌋, over n · spacing. f32 unless told. */
export function rfftfreq(n: number, spacing = 1, options: CreationOptions = {}): Tensor {
  return frequencies('rfftfreq', n, spacing, { count: Math.floor(n / 2) + 1, positive: n }, options);
}
