/** Where each tool is tried: the default backend in f32, the reference in f64. */
import {
  Key,
  memoryStats,
  intercept,
  withBackend,
  type DType,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, it } from 'vitest';

export interface Kind {
  readonly backend: string;
  readonly dtype: DType;
  /** Normal numbers, the same ones for the same seed. */
  normal(shape: Shape, seed?: number): Tensor;
  leaf(shape: Shape, seed?: number): Tensor;
}

const kinds: readonly Kind[] = (
  [
    ['wasm', 'f32'],
    ['js', 'f64'],
  ] as const
).map(([backend, dtype]) => {
  const normal = (shape: Shape, seed = 0): Tensor => new Key(seed).normal(shape, { dtype });
  return { backend, dtype, normal, leaf: (shape, seed) => normal(shape, seed).requireGrad() };
});

/** A group of tests for each kind; the body of each test runs on its backend. */
export function onEachKind(body: (kind: Kind, test: (name: string, run: () => void) => void) => void): void {
  for (const kind of kinds)
    describe(`${kind.dtype} on ${kind.backend}`, () =>
      body(kind, (name, run) => it(name, () => withBackend(kind.backend, run))));
}

/** The highest that tensors' bytes come to while `body` runs, beyond what there is before. */
export function peakOf(body: () => void): number {
  const before = memoryStats().bytes;
  let peak = before;
  const stop = intercept((call, next) => {
    const output = next(call);
    peak = Math.max(peak, memoryStats().bytes);
    return output;
  });
  try {
    body();
  } finally {
    stop();
  }
  return peak - before;
}
