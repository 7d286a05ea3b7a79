/** Meanings of the Fourier transforms: the sums of their definition. */
import type { Attrs, OpName } from '@infinigrad/tensor';
import { naive, positive, put, range, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

/** Σ value(j) · e^(±2πi·jk/n) over j, its real or imaginary part. */
function sum(
  n: number,
  k: number,
  sign: number,
  value: (j: number) => [number, number],
  part: number,
): number {
  return range(n).reduce((total, j) => {
    const angle = (sign * 2 * Math.PI * ((j * k) % n)) / n;
    const [re, im] = value(j);
    return (
      total +
      (part === 0 ? re * Math.cos(angle) - im * Math.sin(angle) : re * Math.sin(angle) + im * Math.cos(angle))
    );
  }, 0);
}

export const fourierReferences: Partial<Record<OpName, Reference>> = {
  fft: ([x], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length - 1);
    return naive(x!.shape, (index) => {
      const pair = (j: number): [number, number] => {
        const at = put(index.slice(0, -1), axis, j);
        return [x!.at([...at, 0]), x!.at([...at, 1])];
      };
      return sum(x!.shape[axis]!, index[axis]!, attrs['inverse'] === true ? 1 : -1, pair, index.at(-1)!);
    });
  },
  rfft: ([x], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length);
    const n = x!.shape[axis]!;
    return naive([...x!.shape.with(axis, Math.floor(n / 2) + 1), 2], (index) => {
      const value = (j: number): [number, number] => [x!.at(put(index.slice(0, -1), axis, j)), 0];
      return sum(n, index[axis]!, -1, value, index.at(-1)!);
    });
  },
  irfft: ([x], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length - 1);
    const n = attrs['n'] as number;
    return naive(x!.shape.slice(0, -1).with(axis, n), (index) => {
      const pair = (k: number): [number, number] => {
        const mirrored = 2 * k > n;
        const at = put(index, axis, mirrored ? n - k : k);
        const alone = k === 0 || 2 * k === n;
        return [x!.at([...at, 0]), alone ? 0 : (mirrored ? -1 : 1) * x!.at([...at, 1])];
      };
      return sum(n, index[axis]!, 1, pair, 0);
    });
  },
};
