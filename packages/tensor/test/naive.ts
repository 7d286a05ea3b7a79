/** Arrays of numbers with a shape, and ops on them by nested index loops: slow, separate from src, plainly right. */
import type { Tensor } from '@infinigrad/tensor';

export interface Naive {
  readonly shape: readonly number[];
  readonly at: (index: readonly number[]) => number;
}

/** Every index of a shape, in row-major order. */
export function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (rows, size) => rows.flatMap((row) => Array.from({ length: size }, (_, i) => [...row, i])),
    [[]],
  );
}

export const naive = (shape: readonly number[], at: Naive['at']): Naive => ({ shape, at });

/** The values of a naive array, row-major. */
export const flat = (x: Naive): number[] => indices(x.shape).map((index) => x.at(index));

/** Computes every element once. */
export function settled(x: Naive): Naive {
  const values = flat(x);
  return fromValues(values, x.shape);
}

export function fromValues(values: ArrayLike<number>, shape: readonly number[]): Naive {
  const place = (index: readonly number[]): number => index.reduce((at, i, axis) => at * shape[axis]! + i, 0);
  return naive(shape, (index) => values[place(index)]!);
}

export const fromTensor = (x: Tensor): Naive => fromValues(x.dataSync(), x.shape);

/** The index with one axis set to another value. */
export const put = (index: readonly number[], axis: number, value: number): number[] =>
  index.map((i, k) => (k === axis ? value : i));
export const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The shape in which shapes meet. */
export function meet(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return range(rank).map((axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** x read at an index of a shape that it broadcasts to. */
export function stretchedAt(x: Naive, index: readonly number[]): number {
  const tail = index.slice(index.length - x.shape.length);
  return x.at(tail.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)));
}

/** The values along one axis through an index. */
export const line = (x: Naive, axis: number, index: readonly number[]): number[] =>
  range(x.shape[axis]!).map((i) => x.at(put(index, axis, i)));
