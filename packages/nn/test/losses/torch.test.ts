/** Losses against PyTorch in f64, forward and backward (fixture made by scripts/fixtures/nn/losses.py). */
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  bradleyTerryLoss,
  cosineEmbeddingLoss,
  crossEntropy,
  ctcLoss,
  huberLoss,
  infoNCE,
  klDiv,
  l1Loss,
  linearCrossEntropy,
  mseLoss,
  nllLoss,
  smoothL1Loss,
  tripletMarginLoss,
} from '@infinigrad/nn';
import type { DType, Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectClose, fixture, numbers, restored, type Stored } from '../support.ts';

interface TypedStored extends Stored {
  readonly dtype?: DType;
}

interface LossCase {
  readonly function: string;
  readonly options: Readonly<Record<string, any>>;
  readonly inputs: Readonly<Record<string, TypedStored>>;
  readonly output: Stored;
  readonly weights: Stored;
  readonly gradients: Readonly<Record<string, Stored>>;
}

const { cases, infinite } = fixture<{
  cases: Record<string, LossCase>;
  infinite: { x: Stored; targets: TypedStored; output: string[] };
}>('loss-functions');

type Inputs = Record<string, Tensor>;
type Call = (inputs: any, options: any) => Tensor;

const ofTwo =
  (loss: (x: Tensor, y: Tensor, options: object) => Tensor): Call =>
  ({ x, targets }: Inputs, options: object) =>
    loss(x!, targets!, options);

const calls: Record<string, Call> = {
  crossEntropy: ({ x, targets, weight }, options) =>
    crossEntropy(x, targets, { ...options, ...(weight && { weight }) }),
  linearCrossEntropy: ({ x, weight, bias, targets }, options) =>
    linearCrossEntropy(x, weight, targets, { ...options, bias }),
  nllLoss: ({ x, targets, weight }, options) =>
    nllLoss(x, targets, { ...options, ...(weight && { weight }) }),
  binaryCrossEntropy: ({ x, targets, weight }, options) =>
    binaryCrossEntropy(x, targets, { ...options, ...(weight && { weight }) }),
  binaryCrossEntropyWithLogits: ({ x, targets, weight, posWeight }, options) =>
    binaryCrossEntropyWithLogits(x, targets, { ...options, weight, posWeight }),
  klDiv: ofTwo(klDiv),
  mseLoss: ofTwo(mseLoss),
  l1Loss: ofTwo(l1Loss),
  huberLoss: ofTwo(huberLoss),
  smoothL1Loss: ofTwo(smoothL1Loss),
  tripletMarginLoss: ({ anchor, positive, negative }, options) =>
    tripletMarginLoss(anchor, positive, negative, options),
  cosineEmbeddingLoss: ({ a, b, targets }, options) => cosineEmbeddingLoss(a, b, targets, options),
  infoNCE: ({ a, b, negatives }, options) => infoNCE(a, b, { ...options, ...(negatives && { negatives }) }),
  bradleyTerryLoss: ({ a, b, margin }, options) => bradleyTerryLoss(a, b, { ...options, margin }),
  ctcLoss: ({ x, targets }, { inputLengths, targetLengths, ...options }) =>
    ctcLoss(x.logSoftmax(-1), targets, inputLengths, targetLengths, options),
};

describe('as PyTorch', () => {
  test.each(Object.entries(cases))('%s', (_, one) => {
    const inputs = Object.fromEntries(
      Object.entries(one.inputs).map(([name, stored]) => {
        const x = restored(stored, stored.dtype ?? 'f64');
        return [name, Object.hasOwn(one.gradients, name) ? x.requireGrad() : x];
      }),
    );
    const y = calls[one.function]!(inputs, one.options);
    expectClose(y, one.output, 1e-11);
    if (Object.keys(one.gradients).length > 0) y.mul(restored(one.weights)).sum().backward();
    for (const [name, stored] of Object.entries(one.gradients))
      expectClose(inputs[name]!.grad!, stored, 1e-11);
  });

  test('every loss has its cases, in every reduction, nearly all with gradients', () => {
    const all = Object.values(cases);
    for (const name of Object.keys(calls)) {
      const own = all.filter((one) => one.function === name);
      expect(new Set(own.map(({ options }) => options['reduction'])), name).toEqual(
        new Set(name === 'klDiv' ? ['mean', 'sum', 'none', 'batchMean'] : ['mean', 'sum', 'none']),
      );
      expect(
        own.filter(({ gradients }) => Object.keys(gradients).length > 0).length,
        name,
      ).toBeGreaterThanOrEqual(3);
    }
    expect(new Set(all.map((one) => one.function))).toEqual(new Set(Object.keys(calls)));
  });

  test('a CTC target that cannot be reached costs infinitely much, the other in its batch what it costs', () => {
    const x = restored(infinite.x).requireGrad();
    const loss = ctcLoss(x.logSoftmax(-1), restored(infinite.targets, 'i32'), [3, 3], [3, 3], {
      reduction: 'none',
    });
    expect(infinite.output[0]).toBe('inf');
    expect(numbers(loss)[0]).toBe(Infinity);
    expect(numbers(loss)[1]).toBeCloseTo(Number(infinite.output[1]), 12);
    loss.sum().backward();
    const lines = numbers(x.grad!.permute([1, 0, 2]));
    expect(lines.slice(0, 12)).toEqual(new Array(12).fill(0));
    expect(lines.slice(12).every((g) => g !== 0 && Number.isFinite(g))).toBe(true);
  });
});
