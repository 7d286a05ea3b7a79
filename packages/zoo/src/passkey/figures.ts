/** Small results of a step, packed into one tensor, so that a single read fetches them all. */
import { noGrad } from '@infinigrad/autograd';
import { concat, type Tensor } from '@infinigrad/tensor';

export interface Figures<K extends string> {
  /** f32, one axis. */
  readonly packed: Tensor;
  /** What was packed, from the elements of `packed`: a list for each tensor. */
  unpack(data: ArrayLike<number>): Record<K, number[][]>;
}

/** @param groups tensors of numbers that f32 holds */
export function packFigures<K extends string>(groups: Readonly<Record<K, readonly Tensor[]>>): Figures<K> {
  const entries = Object.entries(groups) as [K, readonly Tensor[]][];
  const tensors = entries.flatMap(([, list]) => list);
  const sizes = entries.map(([name, list]) => [name, list.map((x) => x.size)] as const);
  return {
    packed: noGrad(() => concat(tensors.map((x) => x.cast('f32').reshape([-1])))),
    unpack: (data) => {
      const all = Array.from(data);
      const groupOf = (list: readonly number[]): number[][] => list.map((size) => all.splice(0, size));
      return Object.fromEntries(sizes.map(([name, list]) => [name, groupOf(list)])) as Record<K, number[][]>;
    },
  };
}
