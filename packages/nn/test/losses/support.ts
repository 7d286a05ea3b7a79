/** What the tests of losses draw, and the names of all losses. */
import * as nn from '@infinigrad/nn';
import { fromData, Key, type Tensor } from '@infinigrad/tensor';

export const dtype = 'f64' as const;
export const normal = (seed: number, shape: readonly number[]): Tensor =>
  new Key(seed).normal(shape, { dtype });
export const integers = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  fromData(Int32Array.from(values), shape);
export const reductions = ['mean', 'sum', 'none'] as const;

export const lossNames = (): string[] =>
  Object.keys(nn).filter((name) => name.endsWith('Loss') || /Entropy|^infoNCE$|^klDiv$/.test(name));
