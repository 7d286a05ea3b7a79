/** What the tests of this package share: PyTorch's fixtures, comparisons, and modules as functions of their parameters. */
import { readFileSync } from 'node:fs';
import { gradcheck, type GradcheckOptions } from '@infinigrad/autograd';
import type { Module } from '@infinigrad/nn';
import { fromData, sizeOf, Tensor, type DType } from '@infinigrad/tensor';
import { expect } from 'vitest';

/** A tensor in a fixture file. */
export interface Stored {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Inputs, and what PyTorch made of them; gradients are of Σ output · weights. */
export interface Case {
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, Stored>>;
  readonly output: Stored;
  readonly weights: Stored;
  readonly gradients: Readonly<Record<string, Stored>>;
}

/** A file of scripts/fixtures/nn.py. */
export function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8')) as T;
}

export function restored({ shape, data }: Stored, dtype: DType = 'f64'): Tensor {
  return fromData(Float64Array.from(data), shape, { dtype });
}

export const numbers = (x: Tensor): number[] => Array.from(x.dataSync());

/** Shape equal, and elements within `tolerance`, absolute below 1 and relative above. A NaN is never close. */
export function expectClose(actual: Tensor, expected: Stored, tolerance = 1e-12): void {
  expect(actual.shape).toEqual(expected.shape);
  expectNumbers(numbers(actual), expected.data, tolerance);
}

export function expectNumbers(
  actual: readonly number[],
  expected: readonly number[],
  tolerance = 1e-12,
): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  actual.forEach((value, i) => {
    const error = Math.abs(value - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    worst = error <= worst ? worst : error;
  });
  expect(worst).toBeLessThanOrEqual(tolerance);
}

/** Holds a forward pass and its gradients against a case: `forward` gets the inputs by name. */
export function expectCase(
  { inputs, output, weights, gradients }: Case,
  forward: (x: Record<string, Tensor>) => Tensor,
  tolerance = 1e-12,
): void {
  const leaves = Object.fromEntries(
    Object.entries(inputs).map(([name, stored]) => [
      name,
      Object.hasOwn(gradients, name) ? restored(stored).requireGrad() : restored(stored, 'i32'),
    ]),
  );
  const y = forward(leaves);
  expectClose(y, output, tolerance);
  y.mul(restored(weights)).sum().backward();
  expect(Object.keys(gradients).length).toBeGreaterThan(0);
  for (const [name, stored] of Object.entries(gradients)) expectClose(leaves[name]!.grad!, stored, tolerance);
}

/** Runs `body` with other tensors in the places of a module's parameters. */
export function withParameters<T>(
  module: Module,
  values: Readonly<Record<string, Tensor>>,
  body: () => T,
): T {
  const places = Object.keys(values).map((path) => {
    const steps = path.split('.');
    const field = steps.pop()!;
    const owner = steps.reduce<Record<string, unknown>>(
      (at, step) => at[step] as Record<string, unknown>,
      module as unknown as Record<string, unknown>,
    );
    expect(owner[field]).toBeInstanceOf(Tensor);
    return { owner, field, before: owner[field] };
  });
  const set = (pick: (i: number) => unknown): void =>
    places.forEach(({ owner, field }, i) => (owner[field] = pick(i)));
  const all = Object.values(values);
  set((i) => all[i]);
  try {
    return body();
  } finally {
    set((i) => places[i]!.before);
  }
}

/** gradcheck with respect to the inputs and to every parameter of an f64 module. */
export function gradcheckModule(
  module: Module,
  forward: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): void {
  const names = [...module.namedParameters().keys()];
  const values = module.parameters().map((p) => p.detach());
  expect(names.length).toBeGreaterThan(0);
  gradcheck(
    (...all) =>
      withParameters(
        module,
        Object.fromEntries(names.map((name, i) => [name, all[inputs.length + i]!])),
        () => forward(...all.slice(0, inputs.length)),
      ),
    [...inputs, ...values],
    options,
  );
}

/** Every parameter receives a gradient of its shape with a nonzero element. */
export function expectGradients(module: Module, loss: Tensor): void {
  loss.backward();
  for (const [name, parameter] of module.namedParameters()) {
    expect(parameter.grad?.shape, name).toEqual(parameter.shape);
    expect(
      numbers(parameter.grad!).some((g) => g !== 0 && Number.isFinite(g)),
      name,
    ).toBe(true);
  }
}

/** The elements as lines along the last axis. */
export function lines(x: Tensor): number[][] {
  const n = x.shape.at(-1)!;
  const all = numbers(x);
  return Array.from({ length: sizeOf(x.shape.slice(0, -1)) }, (_, i) => all.slice(i * n, (i + 1) * n));
}

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, x, i) => total + x * b[i]!, 0);
export const sum = (a: readonly number[]): number => a.reduce((total, x) => total + x, 0);
