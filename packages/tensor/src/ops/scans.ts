/** Running extremes, products and log-sums along an axis. */
import { sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { distinct, factors, real } from './domains.ts';
import { lineRecord, type LineOptions, type SameShape } from './lines.ts';
import type { FreeFunctions, FusedRecord, StructuredRecord } from './record.ts';

const runningExtreme = (doc: string): StructuredRecord<[x: Tensor, axis?: number]> & SameShape => ({
  kind: 'structured',
  ...lineRecord({ doc, promote: 'none', domain: distinct, maxSize: 6, result: 'i32' }),
  flops: ([x]) => sizeOf(x!.shape),
});

interface ScanOptions extends LineOptions {
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
  flops,
  combine,
  ...options
}: ScanOptions): FusedRecord<[x: Tensor, axis?: number]> & SameShape => ({
  kind: 'fused',
  ...lineRecord({ maxSize: 6, ...options }),
  compose: ([x], { axis }, free) => running(x!, axis as number, combine, free),
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
