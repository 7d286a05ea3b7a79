/** The short-time Fourier transform and its inverse. */
import { apply } from '../apply.ts';
import { fromData, zeros } from '../creation.ts';
import { ShapeError, ValueError } from '../errors.ts';
import { checkPairs } from '../ops/fourier.ts';
import type { Tensor } from '../tensor.ts';

export interface SpectrogramOptions {
  /** Elements from one frame to the next. Default ⌊nFft / 4⌋. */
  readonly hopLength?: number;
  /** The weights of a frame, [winLength] with winLength ≤ nFft; zeros fill it up on both sides. Default ones. */
  readonly window?: Tensor;
  /** Whether frame t has its middle at element t · hopLength (else its start). Default true. */
  readonly center?: boolean;
  /** Whether frames carry the factor 1/√nFft. Default false. */
  readonly normalized?: boolean;
}

export interface StftOptions extends SpectrogramOptions {
  /** What lies beyond the ends of a centered signal: its mirror image or zeros. Default 'reflect'. */
  readonly padMode?: 'reflect' | 'constant';
}

export interface IstftOptions extends SpectrogramOptions {
  /** Elements of the result. Default: as many as the frames cover. */
  readonly length?: number;
}

interface Settings {
  readonly hop: number;
  readonly window: Tensor | null;
  readonly center: boolean;
  readonly norm: 'ortho' | 'backward';
}

function settings(
  op: string,
  x: Tensor,
  nFft: number,
  { hopLength = Math.floor(nFft / 4), window, center = true, normalized = false }: SpectrogramOptions,
): Settings {
  if (!Number.isInteger(nFft) || nFft < 1)
    throw new ValueError(op, `needs nFft ≥ 1, got ${nFft}`, { operands: [x] });
  if (!Number.isInteger(hopLength) || hopLength < 1)
    throw new ValueError(op, `needs hopLength ≥ 1, got ${hopLength}`, { operands: [x] });
  let filled: Tensor | null = null;
  if (window) {
    if (window.rank !== 1 || window.size > nFft || window.size < 1)
      throw new ShapeError(op, `the window needs shape [1 … ${nFft}]`, { operands: [x, window] });
    const before = Math.floor((nFft - window.size) / 2);
    filled = window.pad([[before, nFft - window.size - before]]);
  }
  return { hop: hopLength, window: filled, center, norm: normalized ? 'ortho' : 'backward' };
}

/** The elements of frames, one after the other. */
function positions(frames: number, nFft: number, hop: number, place: (at: number) => number): Int32Array {
  return Int32Array.from({ length: frames * nFft }, (_, i) => place(Math.floor(i / nFft) * hop + (i % nFft)));
}

/**
 * The Fourier transforms of overlapping frames along the last axis of real numbers [..., T], as pairs
 * [..., ⌊nFft/2⌋ + 1, frames, 2] (PyTorch's layout, one-sided).
 * @throws ValueError where the signal is shorter than a frame, or too short for its mirror image
 */
export function stft(x: Tensor, nFft: number, options: StftOptions = {}): Tensor {
  const { hop, window, center, norm } = settings('stft', x, nFft, options);
  const { padMode = 'reflect' } = options;
  if (x.rank < 1) throw new ShapeError('stft', 'needs an axis of time', { operands: [x] });
  if (padMode !== 'reflect' && padMode !== 'constant')
    throw new ValueError('stft', `padMode '${String(padMode)}' is not known`, {
      hint: 'reflect or constant',
    });
  const size = x.shape.at(-1)!;
  const side = center ? Math.floor(nFft / 2) : 0;
  const mirrored = center && padMode === 'reflect';
  if (mirrored && side >= size)
    throw new ValueError('stft', `a mirror image of ${side} elements needs more than ${size}`, {
      operands: [x],
    });
  const total = size + 2 * side;
  if (nFft > total)
    throw new ValueError('stft', `a frame of ${nFft} does not fit into ${total} elements`, { operands: [x] });
  const frames = 1 + Math.floor((total - nFft) / hop);
  const mirror = (at: number): number => {
    const i = Math.abs(at - side);
    return i < size ? i : 2 * (size - 1) - i;
  };
  const lead = x.shape.slice(0, -1);
  const signal = center && !mirrored ? x.pad([...lead.map((): [number, number] => [0, 0]), [side, side]]) : x;
  const index = fromData(positions(frames, nFft, hop, mirrored ? mirror : (at) => at), [frames * nFft], {
    backend: x.backend,
  });
  const cut = signal.indexSelect(-1, index).reshape([...lead, frames, nFft]);
  return (window ? cut.mul(window) : cut).rfft(nFft, -1, norm).transpose(-3, -2);
}

/**
 * The signal [..., T] with the least squared distance to a short-time Fourier transform [..., ⌊nFft/2⌋ + 1, frames, 2]: frames
 * transformed back, windowed and added up, over the sum of the squared windows.
 * @throws ValueError where the windows leave out elements
 */
export function istft(x: Tensor, nFft: number, options: IstftOptions = {}): Tensor {
  checkPairs('istft', x);
  const { hop, window, center, norm } = settings('istft', x, nFft, options);
  if (x.rank < 3 || x.shape.at(-3) !== Math.floor(nFft / 2) + 1)
    throw new ShapeError('istft', `needs [..., ${Math.floor(nFft / 2) + 1}, frames, 2] for nFft ${nFft}`, {
      operands: [x],
    });
  const frames = x.shape.at(-2)!;
  const side = center ? Math.floor(nFft / 2) : 0;
  const total = nFft + hop * (frames - 1);
  const length = options.length ?? total - 2 * side;
  if (!Number.isInteger(length) || length < 1)
    throw new ValueError('istft', `needs a length ≥ 1, got ${length}`, { operands: [x] });
  const lead = x.shape.slice(0, -3);
  const back = x.transpose(-3, -2).irfft(nFft, -1, norm);
  const index = fromData(
    positions(frames, nFft, hop, (at) => at),
    [frames * nFft],
    { backend: x.backend },
  );
  const gathered = (parts: Tensor, before: readonly number[]): Tensor => {
    const none = zeros([...before, total], { dtype: parts.dtype, backend: parts.backend });
    return apply('indexAdd', [none, index, parts.reshape([...before, frames * nFft])], {
      axis: before.length,
    });
  };
  const sum = gathered(window ? back.mul(window) : back, lead);
  const ones = zeros([nFft], { dtype: back.dtype, backend: x.backend }).add(1);
  const weight = gathered((window ? window.square() : ones).expand([frames, nFft]), []);
  const end = Math.min(total, side + length);
  const middle = (y: Tensor): Tensor => y.narrow(-1, side, Math.max(0, end - side));
  const weights = middle(weight);
  if (weights.size > 0 && !(weights.min().itemSync() > 1e-11))
    throw new ValueError('istft', 'the windows leave out some elements', {
      operands: [x],
      hint: 'a smaller hopLength, or a window without zeros at its ends',
    });
  const y = middle(sum).div(weights);
  return length > end - side
    ? y.pad([...lead.map((): [number, number] => [0, 0]), [0, length - end + side]])
    : y;
}
