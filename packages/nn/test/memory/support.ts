/** What the tests of the memory share: small layers in f64, and what goes into them. */
import {
  CompressiveMemory,
  type CompressiveMemoryOptions,
  type CompressiveMemoryOutput,
  type CompressiveMemoryRead,
} from '@infinigrad/nn';
import { Key, type Tensor } from '@infinigrad/tensor';
import { expect } from 'vitest';
import { distance } from '../linear-attention/rules.ts';
import { numbers } from '../support.ts';

export const key = new Key(61);
export const updates = ['linear', 'delta'] as const;
export const dtype = 'f64' as const;
export const sizes = { numHeads: 2, keyDim: 4, valueDim: 3, segmentLength: 4 };
export const inputDim = 5;
export const make = (options: Partial<CompressiveMemoryOptions> = {}, own = key): CompressiveMemory =>
  new CompressiveMemory({ ...sizes, inputDim, key: own, dtype, ...options });

export interface Drawn {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly local: Tensor;
  readonly x: Tensor;
}
export const draw = (length: number, seed = 1, batch = 2): Drawn => {
  const own = key.foldIn(seed);
  const normal = (i: number, ...shape: number[]): Tensor => own.foldIn(i).normal(shape, { dtype });
  return {
    q: normal(0, batch, 2, length, 4),
    k: normal(1, batch, 2, length, 4),
    v: normal(2, batch, 2, length, 3),
    local: normal(3, batch, 2, length, 3),
    x: normal(4, batch, length, inputDim),
  };
};
export const cut = (drawn: Drawn, start: number, length: number): Drawn =>
  Object.fromEntries(
    Object.entries(drawn as object as Record<string, Tensor>).map(([name, y]) => [
      name,
      y.narrow(name === 'x' ? 1 : 2, start, length),
    ]),
  ) as object as Drawn;
export const read = (
  memory: CompressiveMemory,
  { q, k, v, ...rest }: Drawn,
  options: CompressiveMemoryRead = {},
): CompressiveMemoryOutput => memory.read(q, k, v, { ...rest, ...options });
export const apart = (a: Tensor, b: Tensor): number => {
  expect(a.shape).toEqual(b.shape);
  return distance(numbers(a), numbers(b));
};
export const randomise = (memory: CompressiveMemory, seed: number): CompressiveMemory => {
  memory.parameters().forEach((p, i) => p.assign(key.foldIn(seed + i).normal(p.shape, { dtype })));
  return memory;
};
