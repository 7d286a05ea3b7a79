/** Data that is all at hand: samples by number. */
import { fromData, ShapeError, Tensor, ValueError } from '@infinigrad/tensor';

/** Samples by their number, from 0 to length - 1. */
export interface Dataset<T> {
  readonly length: number;
  get(index: number): T | Promise<T>;
  /** A whole batch at once, where that is faster than one by one. */
  batch?(indices: readonly number[]): unknown;
}

/** The items of an array. */
export function arrayDataset<T>(items: readonly T[]): Dataset<T> {
  return { length: items.length, get: (index) => items[index]! };
}

/**
 * The slices along the first axis of tensors that go together, as `{ x, y }`.
 * @throws ShapeError where they are not of one length
 */
export function tensorDataset<K extends string>(
  tensors: Readonly<Record<K, Tensor>>,
): Dataset<Record<K, Tensor>> & { batch(indices: readonly number[]): Record<K, Tensor> } {
  const entries = Object.entries(tensors) as [K, Tensor][];
  const [first] = entries;
  if (!first) throw new ValueError('tensorDataset', 'needs at least one tensor');
  const length = first[1].shape[0];
  if (length === undefined || entries.some(([, x]) => x.shape[0] !== length))
    throw new ShapeError('tensorDataset', 'the tensors must be of one length along their first axis', {
      operands: entries.map(([, x]) => x),
    });
  const pick = (take: (x: Tensor) => Tensor): Record<K, Tensor> =>
    Object.fromEntries(entries.map(([name, x]) => [name, take(x)])) as Record<K, Tensor>;
  return {
    length,
    get: (index) => pick((x) => x.select(0, index)),
    batch: (indices) => {
      const { backend } = first[1];
      const at = fromData(Int32Array.from(indices), [indices.length], { backend });
      return pick((x) => x.indexSelect(0, at));
    },
  };
}
