/** Windows to look at signals through, cosine transforms, and integrals of samples. */
import { arange, fromData, type CreationOptions } from '../creation.ts';
import { ValueError } from '../errors.ts';
import type { FourierNorm } from '../ops/fourier.ts';
import { normalizeAxis } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { complex } from './fourier.ts';
import { asFloat } from './linalg/support.ts';
import { within } from './within.ts';

export interface WindowOptions extends CreationOptions {
  /** Whether the window goes on evenly when repeated (for `stft`), else it is symmetric. Default true. */
  readonly periodic?: boolean;
}

/** Σ aᵢ cos(2πi·k/n), alternating in sign. */
const cosines =
  (op: string, factors: readonly number[]) =>
  (n: number, { periodic = true, ...options }: WindowOptions = {}): Tensor => {
    if (!Number.isInteger(n) || n < 0) throw new ValueError(op, `needs a size ≥ 0, got ${n}`);
    const turn = (2 * Math.PI) / (periodic ? n : n - 1);
    const values = new Float64Array(n);
    for (let k = 0; k < n; k++)
      values[k] =
        n === 1 ? 1 : factors.reduce((sum, a, i) => sum + (i % 2 ? -a : a) * Math.cos(i * k * turn), 0);
    return fromData(values, [n], { dtype: 'f32', ...options });
  };

/** Hann's window of n elements, 1/2 - 1/2 cos(2πk/n). @throws ValueError where n is no integer ≥ 0 */
export const hannWindow = cosines('hannWindow', [0.5, 0.5]);
/** Hamming's window of n elements, 0.54 - 0.46 cos(2πk/n). @throws ValueError where n is no integer ≥ 0 */
export const hammingWindow = cosines('hammingWindow', [0.54, 0.46]);
/** Blackman's window of n elements, 0.42 - 0.5 cos(2πk/n) + 0.08 cos(4πk/n). @throws ValueError where n is no integer ≥ 0 */
export const blackmanWindow = cosines('blackmanWindow', [0.42, 0.5, 0.08]);

type CosineNorm = Exclude<FourierNorm, 'forward'>;

/** x with the axis last, and its size. */
function lastOf(
  op: string,
  x: Tensor,
  axis: number,
  norm: CosineNorm,
): { line: Tensor; at: number; n: number } {
  const at = normalizeAxis(op, axis, x);
  if (norm !== 'backward' && norm !== 'ortho')
    throw new ValueError(op, `'${String(norm)}' is not a norm`, { hint: 'backward or ortho' });
  const n = x.shape[at]!;
  if (n === 0) throw new ValueError(op, 'no transform of 0 points', { operands: [x] });
  return { line: asFloat(x).moveAxis(at, -1), at, n };
}

/** e^(±πi k/2n) for k = 0 … n - 1. */
function quarterTurns(x: Tensor, n: number, sign: number): Tensor {
  const angles = arange(n, { dtype: 'f64', backend: x.backend }).mul((sign * Math.PI) / (2 * n));
  return complex(angles.cos(), angles.sin()).cast(x.dtype);
}

/** What makes the transform of n points orthonormal. */
function scales(x: Tensor, n: number): Tensor {
  const values = Float64Array.from({ length: n }, (_, k) => 1 / Math.sqrt((k === 0 ? 4 : 2) * n));
  return fromData(values, [n], { backend: x.backend }).cast(x.dtype);
}

export const signalMethods = {
  /**
   * The cosine transform of type 2 along an axis (the last unless told), 2 Σ xⱼ cos(πk(2j + 1)/2n), or with `ortho` that made
   * orthonormal, as in SciPy.
   * @throws ValueError for another norm, and for no points
   */
  dct: (x: Tensor, axis = -1, norm: CosineNorm = 'backward'): Tensor => {
    const { line, at, n } = lastOf('dct', x, axis, norm);
    // Those in even places, then the others backwards.
    const order = Int32Array.from({ length: n }, (_, i) => (2 * i < n ? 2 * i : 2 * (n - i) - 1));
    const v = line.indexSelect(-1, fromData(order, [n], { backend: x.backend }));
    const y = complex(v, v.mul(0))
      .fft()
      .complexMul(quarterTurns(line, n, -1))
      .real()
      .mul(2);
    return (norm === 'ortho' ? y.mul(scales(line, n)) : y).moveAxis(-1, at);
  },

  /** The inverse of `dct`. */
  idct: (x: Tensor, axis = -1, norm: CosineNorm = 'backward'): Tensor => {
    const { line, at, n } = lastOf('idct', x, axis, norm);
    const y = norm === 'ortho' ? line.div(scales(line, n)) : line;
    const lead = new Array<null>(line.rank - 1).fill(null);
    const mirrored = y
      .slice([...lead, [null, 0, -1]])
      .pad([...lead.map((): [number, number] => [0, 0]), [1, 0]]);
    const v = complex(y, mirrored.neg())
      .complexMul(quarterTurns(line, n, 1))
      .ifft()
      .real()
      .div(2);
    const order = Int32Array.from({ length: n }, (_, i) => (i % 2 ? n - (i + 1) / 2 : i / 2));
    return v.indexSelect(-1, fromData(order, [n], { backend: x.backend })).moveAxis(-1, at);
  },

  /**
   * The integral of samples along an axis (the last unless told) by trapezoids: Σ (xᵢ₊₁ - xᵢ)(yᵢ + yᵢ₊₁)/2.
   * @param spacing the distance of neighbours, or the places of all samples: a vector, or what broadcasts to y. Default 1
   * @throws ShapeError where the places do not broadcast to y
   */
  trapezoid: (y: Tensor, spacing: number | Tensor = 1, axis = -1): Tensor => {
    const at = normalizeAxis('trapezoid', axis, y);
    const samples = asFloat(y);
    const pairs = (t: Tensor): [Tensor, Tensor] => {
      const size = Math.max(0, t.shape[at]! - 1);
      return [t.narrow(at, Math.min(1, t.shape[at]!), size), t.narrow(at, 0, size)];
    };
    const [after, before] = pairs(samples);
    const middle = after.add(before).div(2);
    if (!(spacing instanceof Tensor)) return middle.mul(spacing).sum(at);
    const along = spacing.rank === 1 ? spacing.reshape(y.shape.map((_, i) => (i === at ? -1 : 1))) : spacing;
    const places = within('trapezoid', [y, spacing], () => along.expand(y.shape));
    const [next, place] = pairs(places);
    return middle.mul(next.sub(place)).sum(at);
  },
};
