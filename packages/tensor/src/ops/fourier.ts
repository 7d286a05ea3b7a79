/**
 * Discrete Fourier transforms. Complex numbers are pairs: a last axis of size 2 holds real and imaginary parts, and axes
 * are counted without it.
 */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { normalizeAxis, sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { real } from './domains.ts';
import { alongAxis } from './batch.ts';
import { anyDType } from './families.ts';
import type { ErrorCase, StructuredRecord } from './record.ts';

/** Which of forward and inverse transform carries the factor 1/n; `ortho`: both carry its root. */
export type FourierNorm = 'backward' | 'ortho' | 'forward';

/** The factor of a transform of n points. */
export function fourierScale(op: string, norm: FourierNorm, inverse: boolean, n: number): number {
  if (norm === 'ortho') return 1 / Math.sqrt(n);
  if (norm !== 'forward' && norm !== 'backward')
    throw new ValueError(op, `'${String(norm)}' is not a norm`, { hint: 'backward, ortho or forward' });
  return (norm === 'forward') === inverse ? 1 : 1 / n;
}

/** Refuses what are not pairs. */
export function checkPairs(op: string, x: OperandInfo): void {
  if (x.shape.length < 1 || x.shape.at(-1) !== 2)
    throw new ShapeError(op, 'needs complex numbers as pairs, a last axis of size 2', {
      operands: [x],
      hint: 'complex(re, im) makes them',
    });
}

/** The tensor cut off or filled up with zeros to `n` elements along an axis. */
export function resized(op: string, x: Tensor, axis: number, n: number): Tensor {
  if (!Number.isInteger(n) || n < 1)
    throw new ValueError(op, `needs a number of points ≥ 1, got ${n}`, { operands: [x] });
  const size = x.shape[axis]!;
  if (n === size) return x;
  if (n < size) return x.slice(x.shape.map((_, i) => (i === axis ? [0, n] : null)));
  return x.pad(x.shape.map((_, i): [number, number] => (i === axis ? [0, n - size] : [0, 0])));
}

const scaled =
  (factor: number) =>
  (y: Tensor): Tensor =>
    factor === 1 ? y : y.mul(factor);

/** The axis of a transform, counted among those that hold numbers. */
export const complexAxis = (op: string, axis: number, x: OperandInfo): number =>
  normalizeAxis(op, axis, { shape: x.shape.slice(0, -1), dtype: x.dtype });

function refuseNone(op: string, n: number, x: OperandInfo): void {
  if (n === 0) throw new ValueError(op, 'no transform of 0 points', { operands: [x] });
}

const notPairs: ErrorCase = {
  inputs: [{ shape: [4, 3] }],
  attrs: { axis: 0, inverse: false, n: 4 },
  error: 'ShapeError',
  says: 'a last axis of size 2',
};
const butterflies = (shape: Shape, n: number): number => 2.5 * sizeOf(shape) * Math.log2(Math.max(2, n));

const fft: StructuredRecord<[x: Tensor, n?: number, axis?: number, norm?: FourierNorm]> = {
  kind: 'structured',
  doc:
    'Discrete Fourier transform Σ xⱼ e^(-2πi jk/n) of pairs along an axis (the last unless told; counted without that of ' +
    'the pairs), cut off or filled up to n points.',
  promote: 'float',
  accepts: [anyDType],
  batch: alongAxis,
  call: (x, n, axis = -1, norm = 'backward') => {
    checkPairs('fft', x);
    const at = complexAxis('fft', axis, x);
    const points = n ?? x.shape[at]!;
    return {
      inputs: [resized('fft', x, at, points)],
      attrs: { axis: at, inverse: false },
      finish: scaled(fourierScale('fft', norm, false, points)),
    };
  },
  infer: ([x], attrs, op) => {
    checkPairs(op, x!);
    const axis = complexAxis(op, attrs['axis'] as number, x!);
    refuseNone(op, x!.shape[axis]!, x!);
    return { shape: x!.shape, dtype: x!.dtype as DType, attrs: { axis, inverse: attrs['inverse'] === true } };
  },
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxRank: 2, maxSize: 6 });
    return {
      inputs: [{ shape: [...shape, 2], domain: real }],
      attrs: { axis: draw.int(-shape.length, shape.length - 1), inverse: draw.bool() },
    };
  },
  errors: [
    notPairs,
    {
      inputs: [{ shape: [3, 2] }],
      attrs: { axis: 1, inverse: false },
      error: 'IndexError',
      says: 'axis 1 is out of range for rank 1',
    },
    {
      inputs: [{ shape: [3, 0, 2] }],
      attrs: { axis: 1, inverse: false },
      error: 'ValueError',
      says: 'no transform of 0 points',
    },
  ],
  flops: ([x], plan) => butterflies(plan.shape, x!.shape[plan.attrs['axis'] as number]!),
};

const rfft: StructuredRecord<[x: Tensor, n?: number, axis?: number, norm?: FourierNorm]> = {
  kind: 'structured',
  doc:
    'The first ⌊n/2⌋ + 1 numbers, as pairs, of the Fourier transform of real numbers along an axis (the last unless told), ' +
    'cut off or filled up to n points; the others are their conjugates.',
  promote: 'float',
  accepts: [anyDType],
  batch: alongAxis,
  call: (x, n, axis = -1, norm = 'backward') => {
    const at = normalizeAxis('rfft', axis, x);
    const points = n ?? x.shape[at]!;
    return {
      inputs: [resized('rfft', x, at, points)],
      attrs: { axis: at },
      finish: scaled(fourierScale('rfft', norm, false, points)),
    };
  },
  infer: ([x], attrs, op) => {
    const axis = normalizeAxis(op, attrs['axis'] as number, x!);
    const n = x!.shape[axis]!;
    refuseNone(op, n, x!);
    return {
      shape: [...x!.shape.with(axis, Math.floor(n / 2) + 1), 2],
      dtype: x!.dtype as DType,
      attrs: { axis },
    };
  },
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxRank: 2, maxSize: 6 });
    return {
      inputs: [{ shape, domain: real }],
      attrs: { axis: draw.int(-shape.length, shape.length - 1) },
    };
  },
  errors: [
    { inputs: [{ shape: [3, 2] }], attrs: { axis: 2 }, error: 'IndexError', says: 'axis 2 is out of range' },
    {
      inputs: [{ shape: [0] }],
      attrs: { axis: 0 },
      error: 'ValueError',
      says: 'no transform of 0 points',
    },
  ],
  flops: ([x], plan) => butterflies(x!.shape, x!.shape[plan.attrs['axis'] as number]!),
};

const irfft: StructuredRecord<[x: Tensor, n?: number, axis?: number, norm?: FourierNorm]> = {
  kind: 'structured',
  doc:
    'The n real numbers (2(m - 1) unless told) whose Fourier transform begins with m pairs along an axis (the last unless ' +
    'told; counted without that of the pairs). Imaginary parts of what must be real do not count.',
  promote: 'float',
  accepts: [anyDType],
  batch: alongAxis,
  call: (x, n, axis = -1, norm = 'backward') => {
    checkPairs('irfft', x);
    const at = complexAxis('irfft', axis, x);
    const points = n ?? 2 * (x.shape[at]! - 1);
    if (!Number.isInteger(points) || points < 1)
      throw new ValueError('irfft', `needs a number of points ≥ 1, got ${points}`, { operands: [x] });
    return {
      inputs: [resized('irfft', x, at, Math.floor(points / 2) + 1)],
      attrs: { axis: at, n: points },
      finish: scaled(fourierScale('irfft', norm, true, points)),
    };
  },
  infer: ([x], attrs, op) => {
    checkPairs(op, x!);
    const axis = complexAxis(op, attrs['axis'] as number, x!);
    const n = attrs['n'] as number;
    const size = x!.shape[axis]!;
    if (!Number.isInteger(n) || n < 1 || Math.floor(n / 2) + 1 !== size)
      throw new ShapeError(op, `${n} points do not go with ${size} pairs (axis ${axis})`, {
        operands: [x!],
        hint: 'the method irfft cuts off and fills up',
      });
    return { shape: x!.shape.slice(0, -1).with(axis, n), dtype: x!.dtype as DType, attrs: { axis, n } };
  },
  sample: (draw) => {
    const whole = draw.shape({ minRank: 1, maxRank: 2, maxSize: 6 });
    const axis = draw.int(0, whole.length - 1);
    const n = whole[axis]!;
    return {
      inputs: [{ shape: [...whole.with(axis, Math.floor(n / 2) + 1), 2], domain: real }],
      attrs: { axis: draw.bool() ? axis : axis - whole.length, n },
    };
  },
  errors: [
    { ...notPairs, attrs: { axis: 0, n: 6 } },
    {
      inputs: [{ shape: [3, 2] }],
      attrs: { axis: 0, n: 3 },
      error: 'ShapeError',
      says: '3 points do not go with 3 pairs',
    },
    {
      inputs: [{ shape: [3, 2] }],
      attrs: { axis: 1, n: 4 },
      error: 'IndexError',
      says: 'axis 1 is out of range for rank 1',
    },
  ],
  flops: (_, plan) => butterflies(plan.shape, plan.attrs['n'] as number),
};

export const fourier = { fft, rfft, irfft };
