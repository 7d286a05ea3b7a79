/** What the tests share: how many cases a law is tried on, small tensors, and the garbage collector at call. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import '@infinigrad/autograd';
import { fromData, sizeOf, tensor, type NestedArray, type Shape, type Tensor } from '@infinigrad/tensor';
import { expect } from 'vitest';

const wanted = Number(process.env['INFINIGRAD_RUNS'] ?? 100);

/** Generated cases for each law; INFINIGRAD_RUNS raises it. */
export const runs = Math.max(100, Number.isFinite(wanted) ? wanted : 100);

/** A constant in f64. */
export const t = (values: NestedArray): Tensor => tensor(values, { dtype: 'f64' });

/** A leaf in f64. */
export const leaf = (values: NestedArray): Tensor => t(values).requireGrad();

export const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** The elements of a gradient that must be there. */
export function gradientOf(x: Tensor): number[] {
  expect(x.grad?.shape).toEqual(x.shape);
  expect(x.grad?.dtype).toBe(x.dtype);
  return list(x.grad!);
}

/** Numbers between -1 and 1 that differ from each other, the same ones every time. */
export function spread(shape: Shape, seed = 0): Tensor {
  const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1 + 2.3 * i + 7.1 * seed));
  return fromData(data, shape);
}

/** |actual - expected| within `tolerance`, absolute below 1 and relative above; NaN is never close. */
export function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-12): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    const error = Math.abs(value - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    expect(error <= tolerance, `element ${i}: ${value} instead of ${expected[i]}`).toBe(true);
  });
}

/** What was thrown; fails where nothing was. */
export function thrownBy(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** What `giveValue` does to a parameter: the same handle, other elements. */
export function giveValue(x: Tensor, value: Tensor): void {
  x.storage = value.storage;
  x.layout = value.layout;
  x.version++;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects everything that nothing leads to, after the present job has let go of what it has seen. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
  }
}
