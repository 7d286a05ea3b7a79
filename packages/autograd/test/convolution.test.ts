/**
 * Convolution, pooling and resizing: values and first gradients against PyTorch in f64 (fixtures made by
 * scripts/fixtures/convolution.py), first and second gradients against finite differences.
 */
import { readFileSync } from 'node:fs';
import { gradcheck } from '@infinigrad/autograd';
import {
  compositions,
  fromData,
  memoryStats,
  scope,
  sizeOf,
  withBackend,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, list, spread } from './support.ts';

interface Stored {
  readonly shape: Shape;
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly arguments?: readonly unknown[];
  readonly inputs: Readonly<Record<'x' | 'weight' | 'bias', Stored>>;
  readonly output: Stored;
  readonly weights: Stored;
  readonly gradients: Readonly<Record<string, Stored>>;
  readonly indices?: Stored;
}

function casesOf(file: string): Case[] {
  const text = readFileSync(new URL(`fixtures/${file}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { cases: Case[] }).cases;
}

const restored = ({ shape, data }: Stored): Tensor => fromData(Float64Array.from(data), shape);

function expectStored(actual: Tensor, expected: Stored): void {
  expect(actual.shape).toEqual(expected.shape);
  expectClose(list(actual), expected.data, 1e-11);
}

type Result = Tensor | { readonly values: Tensor; readonly indices: Tensor };
type Method = (x: Tensor, ...rest: unknown[]) => Result;

/** The method of a case as a function of its tensors: x, and for convolutions the weight and perhaps the bias. */
function call(one: Case, [x, weight, bias]: readonly Tensor[]): Result {
  const method = (compositions as unknown as Record<string, Method>)[one.name]!;
  const before = weight ? [weight] : (one.arguments ?? []);
  const options = bias ? { ...one.options, bias } : one.options;
  return method(x!, ...before, ...(Object.keys(options).length > 0 ? [options] : []));
}

const valuesOf = (result: Result): Tensor => ('values' in result ? result.values : result);

const files = ['convolutions', 'poolings', 'resizings'].map((file) => [file, casesOf(file)] as const);

it('enough cases are there, of every method', () => {
  const all = files.flatMap(([, cases]) => cases);
  expect(all.length).toBeGreaterThan(90);
  expect(new Set(all.map(({ name }) => name)).size).toBeGreaterThan(25);
});

describe.each(['js', 'wasm'])('on %s', (backend) => {
  describe.each(files)('%s as PyTorch gives them', (_, cases) => {
    it.each(cases.map((one) => [one.name, JSON.stringify([one.arguments, one.options]), one] as const))(
      '%s %s',
      (_name, _options, one) =>
        withBackend(backend, () => {
          const leaves = Object.values(one.inputs).map((stored) => restored(stored).requireGrad());
          const result = call(one, leaves);
          expectStored(valuesOf(result), one.output);
          if (one.indices) expectStored((result as { indices: Tensor }).indices, one.indices);
          valuesOf(result).mul(restored(one.weights)).sum().backward();
          Object.keys(one.inputs).forEach((name, i) => expectStored(leaves[i]!.grad!, one.gradients[name]!));
        }),
    );
  });
});

describe.each(files)('%s by finite differences, to second order', (_, cases) => {
  it.each(cases.map((one) => [one.name, JSON.stringify([one.arguments, one.options]), one] as const))(
    '%s %s',
    (_name, _options, one) => {
      // A power of 1/2 is steep near 0.
      const positive = one.name.startsWith('lpPool');
      const inputs = Object.values(one.inputs).map((stored) =>
        positive ? restored(stored).abs().add(0.5) : restored(stored),
      );
      gradcheck((...given) => valuesOf(call(one, given)), inputs, { order: 2, mode: 'direction' });
    },
  );
});

it('a convolution that looks at one element of x at a time is a product of matrices', () => {
  const [x, w] = [spread([2, 3, 4, 5]), spread([6, 3, 1, 1], 1)];
  const product = w
    .reshape([6, 3])
    .matmul(x.reshape([2, 3, 20]))
    .reshape([2, 6, 4, 5]);
  expectClose(list(x.conv2d(w)), list(product), 1e-14);
  expect(sizeOf(product.shape)).toBe(240);
});

it('of equal maxima all share in maxPool2d; with indices the first has it all', () => {
  const x = (): Tensor => fromData(Float64Array.of(1, 1, 0, 1), [1, 2, 2]).requireGrad();
  const [all, first] = [x(), x()];
  all.maxPool2d(2).sum().backward();
  first.maxPool2dWithIndices(2).values.sum().backward();
  expectClose(list(all.grad!), [1 / 3, 1 / 3, 0, 1 / 3], 1e-15);
  expectClose(list(first.grad!), [1, 0, 0, 0], 0);
});

it('in f32 nothing but the result of a convolution lies in memory until the backward pass', () => {
  withBackend('wasm', () =>
    scope(() => {
      const [x, w] = [spread([2, 4, 16, 16]).cast('f32'), spread([8, 4, 3, 3], 1).cast('f32')];
      for (const leaf of [x, w]) leaf.requireGrad();
      x.conv2d(w);
      const before = memoryStats().bytes;
      const y = x.conv2d(w, { padding: 1 });
      expect(memoryStats().bytes - before).toBe(4 * y.size);
      y.sum().backward();
      expect([x.grad!.shape, w.grad!.shape]).toEqual([x.shape, w.shape]);
    }),
  );
});
