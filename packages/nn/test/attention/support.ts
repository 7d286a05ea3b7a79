/** What the tests of attention draw. */
import { fromData, Key, type Tensor } from '@infinigrad/tensor';
import { dot, sum } from '../support.ts';

export const dtype = 'f64' as const;
export const normal = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape, { dtype });
export const bools = (values: readonly boolean[], shape: readonly number[]): Tensor =>
  fromData(Uint8Array.from(values, Number), shape, { dtype: 'bool' });

/** One head by loops: q [Tq][d], k [Tk][d], v [Tk][dv], and who may see whom beyond causality. */
export function reference(
  q: readonly number[][],
  k: readonly number[][],
  v: readonly number[][],
  allowed: (i: number, j: number) => boolean,
  scale: number,
): number[][] {
  const width = v[0]!.length;
  return q.map((query, i) => {
    const seen = k.flatMap((_, j) => (j <= i + k.length - q.length && allowed(i, j) ? [j] : []));
    const scores = seen.map((j) => scale * dot(query, k[j]!));
    const top = Math.max(...scores);
    const weights = scores.map((s) => Math.exp(s - top));
    const total = sum(weights);
    return Array.from({ length: width }, (_, c) =>
      seen.reduce((y, j, n) => y + (weights[n]! / total) * v[j]![c]!, 0),
    );
  });
}
