/** Every op on a batch is the stack of the op on each example, whichever inputs have the batch and along whichever axes. */
import { unrolledOps, vmap } from '@infinigrad/autograd';
import { apply, opNames, recordOf, stack, type OpName, type Tensor } from '@infinigrad/tensor';
import { drawFrom, expectAllClose, fillSample, inputsOf, type Generator } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

const upTo = (max: number): fc.Arbitrary<number> => fc.nat({ max });

interface DrawnBatch {
  readonly attrs: Parameters<typeof apply>[2];
  /** The inputs of each example. */
  readonly examples: readonly (readonly Tensor[])[];
  /** The inputs of the batch, and where it lies in them. */
  readonly inputs: readonly Tensor[];
  readonly inAxes: readonly (number | null)[];
}

function drawBatch(g: Generator, op: OpName): DrawnBatch {
  const sample = recordOf(op).sample(drawFrom(g));
  const size = 1 + g(upTo, 2);
  const calls = Array.from({ length: size }, () => inputsOf(fillSample(g, op, sample, { dtype: 'f64' })));
  const first = calls[0]!;
  const chosen = first.map(() => g(fc.boolean));
  if (!chosen.includes(true)) chosen[g(upTo, first.length - 1)] = true;
  const inAxes = first.map((x, i) => (chosen[i] ? g(upTo, x.rank) : null));
  return {
    attrs: sample.attrs ?? {},
    examples: calls.map((xs) => xs.map((x, i) => (chosen[i] ? x : first[i]!))),
    inputs: first.map((x, i) =>
      inAxes[i] === null
        ? x
        : stack(
            calls.map((xs) => xs[i]!),
            inAxes[i],
          ),
    ),
    inAxes,
  };
}

function batches(op: OpName): void {
  const law = fc.property(fc.gen(), (g) => {
    const { attrs, examples, inputs, inAxes } = drawBatch(g, op);
    const each = examples.map((xs) => apply(op, xs, attrs));
    const outAxes = g(upTo, each[0]!.rank);
    const f = (...xs: Tensor[]): Tensor => {
      xs.forEach((x, i) =>
        expect([x.shape, x.dtype]).toEqual([examples[0]![i]!.shape, examples[0]![i]!.dtype]),
      );
      const y = apply(op, xs, attrs);
      expect([y.shape, y.dtype]).toEqual([each[0]!.shape, each[0]!.dtype]);
      return y;
    };
    const all = vmap(f, { inAxes, outAxes })(...inputs);
    expect(all.dtype).toBe(each[0]!.dtype);
    expectAllClose(all, stack(each, outAxes), { rtol: 1e-11, atol: 1e-11 });
  });
  fc.assert(law, { numRuns: runs });
}

describe.each(opNames)('%s', (op) => {
  it('of a batch is the stack of what it gives for each example', () => batches(op));
});

it('of no example has the shape that it has of some', () => {
  const law = fc.property(fc.constantFrom(...opNames), fc.gen(), (op, g) => {
    const { attrs, examples, inputs, inAxes } = drawBatch(g, op);
    const none = inputs.map((x, i) => (inAxes[i] === null ? x : x.narrow(inAxes[i]!, 0, 0)));
    const y = vmap((...xs: Tensor[]) => apply(op, xs, attrs), { inAxes })(...none);
    const one = apply(op, examples[0]!, attrs);
    expect([y.shape, y.dtype]).toEqual([[0, ...one.shape], one.dtype]);
  });
  fc.assert(law, { numRuns: 5 * runs });
});

it.skip('unrolled', () => {
  const all = new Map<string, number>();
  for (const op of opNames) {
    const g = fc.sample(fc.gen(), { numRuns: 20, seed: 1 });
    for (const one of g)
      for (const [name, n] of unrolledOps(() => {
        const { attrs, inputs, inAxes } = drawBatch(one, op);
        vmap((...xs: Tensor[]) => apply(op, xs, attrs), { inAxes })(...inputs);
      }))
        all.set(`${op}:${name}`, (all.get(`${op}:${name}`) ?? 0) + n);
  }
  console.log([...all]);
});
