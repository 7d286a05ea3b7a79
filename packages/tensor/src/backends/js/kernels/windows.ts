/** Kernels: windows added back in at their places. */
import type { KernelCall } from '../../backend.ts';
import { arrayOf, positions } from './walk.ts';

/** Sums are taken in f64 whatever the dtype. */
function overlapAdd({ inputs, output, attrs }: KernelCall): void {
  const x = inputs[0]!;
  const axes = attrs['axes'] as readonly number[];
  const steps = attrs['steps'] as readonly number[];
  const dilations = attrs['dilations'] as readonly number[];
  const rank = output.shape.length;
  const [source, target] = [arrayOf(x), arrayOf(output)];
  const firstStrides = [...output.strides];
  axes.forEach((axis, i) => (firstStrides[axis]! *= steps[i]!));
  const counts = x.shape.slice(0, rank);
  const sizes = x.shape.slice(rank);
  const from = positions({ shape: counts, strides: x.strides.slice(0, rank), offset: x.offset });
  const to = positions({ shape: counts, strides: firstStrides, offset: 0 });
  const inFrom = positions({ shape: sizes, strides: x.strides.slice(rank), offset: 0 });
  const inTo = positions({
    shape: sizes,
    strides: axes.map((axis, i) => output.strides[axis]! * dilations[i]!),
    offset: 0,
  });
  const size = output.shape.reduce((a, b) => a * b, 1);
  const sums = new Float64Array(size);
  for (let k = 0; k < inFrom.length; k++)
    for (let i = 0; i < from.length; i++) sums[to[i]! + inTo[k]!]! += source[from[i]! + inFrom[k]!]!;
  for (let i = 0; i < size; i++) target[output.offset + i] = sums[i]!;
}

export const windowingKernels = { overlapAdd };
