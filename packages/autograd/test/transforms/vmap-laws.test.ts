/** Every op on a batch is the stack of the op on each example, whichever inputs have the batch and along whichever axes. */
import { unrolledOps, vmap } from '@infinigrad/autograd';
import {
  apply,
  opNames,
  opTable,
  recordOf,
  stack,
  zeros,
  type Batch,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
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

function batches(op: OpName, numRuns = runs): void {
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
  fc.assert(law, { numRuns });
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

/** Ops that may run example by example; a new one should rather say in its record how a batch runs at once. */
const mayUnroll: ReadonlySet<OpName> = new Set();

describe('example by example', () => {
  const table = opTable as unknown as Record<OpName, { batch?: Batch; readonly kind: string }>;
  const withoutBatch = <T>(op: OpName, body: () => T): T => {
    const record = table[op];
    const { batch } = record;
    delete record.batch;
    try {
      return body();
    } finally {
      if (batch) record.batch = batch;
    }
  };
  const unrollable = opNames.filter((op) => table[op].kind === 'structured' || table[op].kind === 'view');

  it.each(unrollable)('%s is as right, where its record says nothing of batches', (op) =>
    withoutBatch(op, () => {
      const seen = unrolledOps(() => batches(op, 20));
      expect(seen.get(op)).toBe(20);
    }),
  );
  it('runs no op of the table whose record says how a batch runs', () => {
    const once = fc.property(fc.constantFrom(...opNames), fc.gen(), (op, g) => {
      const { attrs, inputs, inAxes } = drawBatch(g, op);
      const seen = unrolledOps(() => vmap((...xs: Tensor[]) => apply(op, xs, attrs), { inAxes })(...inputs));
      expect([...seen.keys()].filter((name) => !mayUnroll.has(name))).toEqual([]);
    });
    fc.assert(once, { numRuns: 5 * runs });
  });
  it('is counted by every listener around it, and by none that has ended', () => {
    const call = (): unknown => vmap((x: Tensor) => x.cumsum())(zeros([2, 3]));
    withoutBatch('cumsum', () => {
      let inner: ReadonlyMap<OpName, number> = new Map();
      const outer = unrolledOps(() => {
        call();
        inner = unrolledOps(call);
      });
      call();
      expect([[...inner], [...outer]]).toEqual([[['cumsum', 1]], [['cumsum', 2]]]);
    });
    expect([...unrolledOps(call)]).toEqual([]);
  });
});
