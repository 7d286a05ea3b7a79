/** Running extremes, products and log-sums along an axis. */
import type { DType } from '../dtype.ts';
import { normalizeAxis, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis } from './batch.ts';
import { distinct, factors, real } from './domains.ts';
import { anyDType } from './families.ts';
import type { Domain, ErrorCase, FreeFunctions, FusedRecord, Promotion, StructuredRecord } from './record.ts';

/** The result has the shape of the input. */
export interface SameShape {
  readonly shapes: 'same';
}

const wrongAxis: ErrorCase = {
  inputs: [{ shape: [2, 3] }],
  attrs: { axis: 2 },
  error: 'IndexError',
  says: 'axis 2 is out of range',
};

const runningExtreme = (doc: string): StructuredRecord<[x: Tensor, axis?: number]> & SameShape => ({
  kind: 'structured',
  shapes: 'same',
  doc,
  promote: 'none',
  accepts: [anyDType],
  call: (x, axis = -1) => ({ inputs: [x], attrs: { axis } }),
  infer: ([x], attrs, op) => ({
    shape: x!.shape,
    dtype: 'i32',
    attrs: { axis: normalizeAxis(op, attrs['axis'] as number, x!) },
  }),
  batch: alongAxis,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxSize: 6 });
    return {
      inputs: [{ shape, domain: distinct }],
      attrs: { axis: draw.int(-shape.length, shape.length - 1) },
    };
  },
  errors: [wrongAxis],
  flops: ([x]) => sizeOf(x!.shape),
});

interface ScanOptions {
  readonly doc: string;
  readonly promote: Promotion;
  readonly domain: Domain;
  readonly flops: number;
  readonly combine: (before: Tensor, after: Tensor) => Tensor;
}

/** y[i] = x[0] ∘ … ∘ x[i] for an associative ∘, by steps of doubling width (Hillis and Steele 1986). */
function running(
  x: Tensor,
  axis: number,
  combine: (before: Tensor, after: Tensor) => Tensor,
  free: FreeFunctions,
): Tensor {
  const n = x.shape[axis]!;
  let y = x.clone();
  for (let width = 1; width < n; width *= 2) {
    const rest = n - width;
    y = free.concat(
      [y.narrow(axis, 0, width), combine(y.narrow(axis, 0, rest), y.narrow(axis, width, rest))],
      axis,
    );
  }
  return y;
}

const scan = ({
  doc,
  promote,
  domain,
  flops,
  combine,
}: ScanOptions): FusedRecord<[x: Tensor, axis?: number]> & SameShape => ({
  kind: 'fused',
  shapes: 'same',
  doc,
  promote,
  accepts: [anyDType],
  call: (x, axis = -1) => ({ inputs: [x], attrs: { axis } }),
  infer: ([x], attrs, op) => ({
    shape: x!.shape,
    dtype: x!.dtype as DType,
    attrs: { axis: normalizeAxis(op, attrs['axis'] as number, x!) },
  }),
  compose: ([x], { axis }, free) => running(x!, axis as number, combine, free),
  batch: alongAxis,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxSize: 6 });
    return {
      inputs: [{ shape, domain }],
      attrs: { axis: draw.int(-shape.length, shape.length - 1) },
    };
  },
  errors: [wrongAxis],
  flops: (_, { shape, attrs }) =>
    flops * sizeOf(shape) * Math.ceil(Math.log2(Math.max(2, shape[attrs['axis'] as number]!))),
});

const product = (a: Tensor, b: Tensor): Tensor => a.mul(b);

/** log(eᵃ + eᵇ) = h + softplus(l - h) for the higher and the lower of the two: smooth in both where they are equal. */
function logSum(a: Tensor, b: Tensor): Tensor {
  const ordered = a.ge(b);
  const [high, low] = [ordered.where(a, b), ordered.where(b, a)];
  // Of two equal infinities there is no difference.
  const both = high.eq(low).logicalAnd(high.abs().eq(Infinity));
  return high.add(both.where(0, low.sub(high)).softplus());
}

export const scans = {
  argCumMax: runningExtreme(
    'The position, i32, of the (latest) largest element so far along an axis (the last unless told); a NaN counts as largest.',
  ),
  argCumMin: runningExtreme(
    'The position, i32, of the (latest) smallest element so far along an axis (the last unless told); a NaN counts as smallest.',
  ),
  cumprod: scan({
    doc: 'Running product along an axis (the last unless told); bool and u8 multiply in i32. Its gradient is exact where elements are zero.',
    promote: 'total',
    domain: factors,
    flops: 1,
    combine: product,
  }),
  logCumSumExp: scan({
    doc: 'Running log Σ eˣ along an axis (the last unless told), without overflow.',
    promote: 'float',
    domain: real,
    flops: 24,
    combine: logSum,
  }),
};
