/** What there is to see of a tensor that was made. */
import { InfinigradError, type DType, type Tensor } from '@infinigrad/tensor';
import { expect } from 'vitest';

export const list = (x: Tensor): number[] => Array.from(x.dataSync());
export const facts = (x: Tensor): [DType, readonly number[], number[]] => [x.dtype, x.shape, list(x)];

export type Kind = new (...args: never[]) => InfinigradError;
export function expectRefused(body: () => unknown, kind: Kind, says: string): void {
  expect(body).toThrow(kind);
  expect(body).toThrow(says);
}
