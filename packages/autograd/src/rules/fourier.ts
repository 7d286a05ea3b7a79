/** Derivatives: discrete Fourier transforms of complex numbers held as pairs. They are linear. */
import { apply, fromData, type Tensor } from '@infinigrad/tensor';
import { linear } from './rule.ts';

/** How often each of the first ⌊n/2⌋ + 1 numbers stands in the whole spectrum: the first (and for even n the last) once, the others twice. */
function multiplicity(n: number, axis: number, g: Tensor, rank: number): Tensor {
  const size = Math.floor(n / 2) + 1;
  const counts = Float64Array.from({ length: size }, (_, k) => (k === 0 || 2 * k === n ? 1 : 2));
  const shape = new Array<number>(rank).fill(1).with(axis, size);
  return fromData(counts, shape, { backend: g.backend }).cast(g.dtype);
}

export const fourier = {
  // The matrix is symmetric: its conjugate transpose is that of the other direction.
  fft: linear((g, call) =>
    apply('fft', [g], { axis: call.attrs['axis'] as number, inverse: call.attrs['inverse'] !== true }),
  ),
  rfft: linear((g, call) => {
    const axis = call.attrs['axis'] as number;
    const n = call.shapes[0]![axis]!;
    return apply('irfft', [g.div(multiplicity(n, axis, g, g.rank))], { axis, n });
  }),
  irfft: linear((g, call) => {
    const { axis, n } = call.attrs as { axis: number; n: number };
    const spectrum = apply('rfft', [g], { axis });
    return spectrum.mul(multiplicity(n, axis, g, spectrum.rank));
  }),
};
