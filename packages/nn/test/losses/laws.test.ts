/** Losses by their own laws: gradients to second order, storage of 16 bits, classes and weights, extremes. */
import { gradcheck } from '@infinigrad/autograd';
import * as nn from '@infinigrad/nn';
import { Key, tensor, zeros, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { dtype, integers, lossNames, normal, reductions } from './support.ts';

const share = (seed: number, shape: readonly number[]): Tensor =>
  new Key(seed).uniform(shape, { min: 0.05, max: 0.95, dtype });

/** Losses of floating inputs, with points away from their kinks. */
const smooth: Record<string, { inputs: readonly Tensor[]; loss: (...x: Tensor[]) => Tensor }> = {
  'crossEntropy, weighted, smoothed, with z-loss': {
    inputs: [normal(1, [3, 4]), share(2, [4])],
    loss: (x, weight) =>
      nn.crossEntropy(x!, integers([0, -100, 3]), { weight: weight!, labelSmoothing: 0.2, zLoss: 0.1 }),
  },
  linearCrossEntropy: {
    inputs: [normal(1, [5, 3]), normal(2, [4, 3]), normal(3, [4])],
    loss: (h, w, b) =>
      nn.linearCrossEntropy(h!, w!, integers([0, -100, 3, 1, 1]), { bias: b!, chunkSize: 2, zLoss: 0.1 }),
  },
  'linearCrossEntropy, none': {
    inputs: [normal(1, [5, 3]), normal(2, [4, 3])],
    loss: (h, w) =>
      nn.linearCrossEntropy(h!, w!, integers([0, -100, 3, 1, 1]), { chunkSize: 2, reduction: 'none' }),
  },
  nllLoss: {
    inputs: [normal(1, [3, 4]), share(2, [4])],
    loss: (x, weight) => nn.nllLoss(x!, integers([0, -100, 3]), { weight: weight! }),
  },
  binaryCrossEntropy: {
    inputs: [share(1, [3, 2]), share(2, [3, 2]), share(3, [2])],
    loss: (p, t, weight) => nn.binaryCrossEntropy(p!, t!, { weight: weight! }),
  },
  binaryCrossEntropyWithLogits: {
    inputs: [normal(1, [3, 2]), share(2, [3, 2]), share(3, [2]), share(4, [2])],
    loss: (x, t, weight, posWeight) =>
      nn.binaryCrossEntropyWithLogits(x!, t!, { weight: weight!, posWeight: posWeight! }),
  },
  klDiv: { inputs: [normal(1, [3, 2]), share(2, [3, 2])], loss: (q, p) => nn.klDiv(q!, p!) },
  'klDiv, log target': {
    inputs: [normal(1, [3, 2]), normal(2, [3, 2])],
    loss: (q, p) => nn.klDiv(q!, p!, { logTarget: true, reduction: 'batchMean' }),
  },
  mseLoss: { inputs: [normal(1, [4]), normal(2, [4])], loss: (x, y) => nn.mseLoss(x!, y!) },
  l1Loss: { inputs: [normal(1, [4]), normal(2, [4])], loss: (x, y) => nn.l1Loss(x!, y!) },
  huberLoss: {
    inputs: [normal(1, [9]), normal(2, [9])],
    loss: (x, y) => nn.huberLoss(x!, y!, { delta: 0.7 }),
  },
  smoothL1Loss: {
    inputs: [normal(1, [9]), normal(2, [9])],
    loss: (x, y) => nn.smoothL1Loss(x!, y!, { beta: 0.7 }),
  },
  infoNCE: {
    inputs: [normal(1, [3, 4]), normal(2, [3, 4]), normal(3, [2, 4])],
    loss: (a, b, negatives) => nn.infoNCE(a!, b!, { temperature: 0.5, negatives: negatives! }),
  },
  'infoNCE, symmetric': {
    inputs: [normal(1, [3, 4]), normal(2, [3, 4])],
    loss: (a, b) => nn.infoNCE(a!, b!, { temperature: 0.5, symmetric: true }),
  },
  tripletMarginLoss: {
    inputs: [normal(1, [4, 3]), normal(2, [4, 3]), normal(3, [4, 3])],
    loss: (a, b, c) => nn.tripletMarginLoss(a!, b!, c!, { swap: true }),
  },
  cosineEmbeddingLoss: {
    inputs: [normal(1, [4, 3]), normal(2, [4, 3])],
    loss: (a, b) => nn.cosineEmbeddingLoss(a!, b!, integers([1, -1, 1, -1])),
  },
  bradleyTerryLoss: {
    inputs: [normal(1, [4]), normal(2, [4]), normal(3, [4])],
    loss: (a, b, margin) => nn.bradleyTerryLoss(a!, b!, { margin: margin!, labelSmoothing: 0.1 }),
  },
  ctcLoss: {
    inputs: [normal(1, [5, 2, 3])],
    loss: (x) => nn.ctcLoss(x!.logSoftmax(-1), integers([1, 1, 2, 0], [2, 2]), [5, 3], [2, 1]),
  },
};

describe('gradients to second order', () => {
  test.each(Object.entries(smooth))('%s', (_, { inputs, loss }) => gradcheck(loss, inputs, { order: 2 }));
  test('every loss has a row', () => {
    const rows = new Set(Object.keys(smooth).map((name) => name.split(',')[0]));
    expect(lossNames().length).toBeGreaterThan(14);
    expect(lossNames().filter((name) => !rows.has(name))).toEqual([]);
  });
});

describe('f16 and bf16', () => {
  test.each(Object.entries(smooth))('%s gives what f32 gives, rounded', (_, { inputs, loss }) => {
    for (const kind of ['f16', 'bf16'] as const) {
      const halves = inputs.map((x) => x.cast(kind));
      const y = loss(...halves);
      expect(y.dtype).toBe(kind);
      expect(numbers(y)).toEqual(numbers(loss(...halves.map((x) => x.cast('f32'))).cast(kind)));
    }
  });
  test('sums beyond the largest f16 are Infinity, means of them are right', () => {
    const [x, y] = [zeros([70_000], { dtype: 'f16' }), zeros([70_000], { dtype: 'f16' }).add(2)];
    expect(nn.mseLoss(x, y).itemSync()).toBe(4);
    expect(nn.mseLoss(x, y, { reduction: 'sum' }).itemSync()).toBe(Infinity);
  });
});

describe('crossEntropy', () => {
  const drawn = fc.record({
    seed: fc.nat(),
    rows: fc.integer({ min: 1, max: 4 }),
    classes: fc.integer({ min: 2, max: 5 }),
  });
  test('weights of 1 and a z-loss of 0 change nothing', () =>
    fc.assert(
      fc.property(drawn, ({ seed, rows, classes }) => {
        const x = normal(seed, [rows, classes]);
        const t = new Key(seed).foldIn(1).randint(0, classes, [rows]);
        for (const labelSmoothing of [0, 0.3])
          expectNumbers(
            numbers(
              nn.crossEntropy(x, t, { weight: zeros([classes], { dtype }).add(1), zLoss: 0, labelSmoothing }),
            ),
            numbers(nn.crossEntropy(x, t, { labelSmoothing })),
          );
      }),
    ));
  test('nllLoss of log-softmax is crossEntropy', () =>
    fc.assert(
      fc.property(drawn, ({ seed, rows, classes }) => {
        const [x, weight] = [normal(seed, [rows, classes]), share(seed, [classes])];
        const t = new Key(seed).foldIn(1).randint(0, classes, [rows]);
        for (const reduction of reductions)
          expectNumbers(
            numbers(nn.nllLoss(x.logSoftmax(-1), t, { weight, reduction }).reshape([-1])),
            numbers(nn.crossEntropy(x, t, { weight, reduction }).reshape([-1])),
          );
      }),
    ));
  test('targets that all are ignored, or weigh nothing, give 0 and no NaN', () => {
    const none = zeros([3], { dtype });
    for (const [t, weight] of [
      [integers([-100, -100]), share(1, [3])],
      [integers([0, 1]), none],
    ] as const)
      for (const loss of [nn.crossEntropy, nn.nllLoss]) {
        const x = normal(1, [2, 3]).requireGrad();
        const y = loss(x, t, { weight });
        y.backward();
        expect([y.itemSync() + 0, ...numbers(x.grad!).map((g) => g + 0)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
      }
  });
});

describe('extremes', () => {
  test('binaryCrossEntropyWithLogits does not overflow', () => {
    const x = tensor([1e4, -1e4, 1e30], { dtype }).requireGrad();
    const y = nn.binaryCrossEntropyWithLogits(x, tensor([0, 0, 1], { dtype }), { reduction: 'none' });
    y.sum().backward();
    expect([numbers(y), numbers(x.grad!).map((g) => g + 0)]).toEqual([
      [1e4, 0, 0],
      [1, 0, 0],
    ]);
  });
  test('binaryCrossEntropy at the wrong end costs 100, and has a gradient that is a number', () => {
    const p = tensor([0, 1], { dtype }).requireGrad();
    const y = nn.binaryCrossEntropy(p, tensor([1, 0], { dtype }), { reduction: 'none' });
    y.sum().backward();
    expect(numbers(y)).toEqual([100, 100]);
    expect(numbers(p.grad!).every(Number.isFinite)).toBe(true);
  });
  test('bradleyTerryLoss of a lead that is large either way', () => {
    const y = nn.bradleyTerryLoss(tensor([1e3, -1e3]), tensor([0, 0], { dtype: 'f32' }), {
      reduction: 'none',
    });
    expect(numbers(y)).toEqual([0, 1000]);
  });
  test('infoNCE of vectors of length 0 is a number', () =>
    expect(nn.infoNCE(zeros([2, 3]), zeros([2, 3])).itemSync()).toBeCloseTo(Math.log(2), 6));
});
