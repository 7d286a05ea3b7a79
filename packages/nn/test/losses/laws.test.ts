/** Losses by their own laws: second definitions, gradients to second order, storage of 16 bits, refusals. */
import { grad, gradcheck, jvp, noGrad, vmap } from '@infinigrad/autograd';
import * as nn from '@infinigrad/nn';
import {
  DTypeError,
  fromData,
  IndexError,
  intercept,
  Key,
  memoryStats,
  scope,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, lines, numbers, sum } from '../support.ts';

const dtype = 'f64' as const;
const normal = (seed: number, shape: readonly number[]): Tensor => new Key(seed).normal(shape, { dtype });
const share = (seed: number, shape: readonly number[]): Tensor =>
  new Key(seed).uniform(shape, { min: 0.05, max: 0.95, dtype });
const integers = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  fromData(Int32Array.from(values), shape);
const reductions = ['mean', 'sum', 'none'] as const;

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

const lossNames = (): string[] =>
  Object.keys(nn).filter((name) => name.endsWith('Loss') || /Entropy|^infoNCE$|^klDiv$/.test(name));

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

describe('linearCrossEntropy', () => {
  test('is crossEntropy of the product, for every size of chunk and reduction', () =>
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          rows: fc.integer({ min: 0, max: 6 }),
          chunkSize: fc.integer({ min: 1, max: 7 }),
          labelSmoothing: fc.constantFrom(0, 0.2),
          zLoss: fc.constantFrom(0, 0.1),
          reduction: fc.constantFrom(...reductions),
        }),
        ({ seed, rows, chunkSize, ...options }) => {
          const t = new Key(seed).randint(0, 5, [rows, 1]);
          const ignored = new Key(seed).foldIn(1).bernoulli(0.3, [rows, 1]).where(-100, t).cast('i32');
          const given = [normal(seed, [rows, 1, 3]), normal(seed + 1, [5, 3]), normal(seed + 2, [5])];
          const both = [true, false].map((chunked) => {
            const [h, w, b] = given.map((x) => x.detach().requireGrad()) as [Tensor, Tensor, Tensor];
            const y = chunked
              ? nn.linearCrossEntropy(h, w, ignored, { ...options, bias: b, chunkSize })
              : nn.crossEntropy(h.matmul(w.transpose()).add(b), ignored, options);
            y.mul(normal(7, y.shape)).sum().backward();
            expect(y.shape).toEqual(options.reduction === 'none' ? [rows, 1] : []);
            return [y.reshape([-1]), h.grad!, w.grad!, b.grad!].map(numbers);
          });
          both[0]!.forEach((part, i) => expectNumbers(part, both[1]![i]!));
        },
      ),
      { numRuns: 60 },
    ));
  describe('is crossEntropy of the product', () => {
    const [h, w] = [normal(1, [5, 3]), normal(2, [4, 3])];
    const t = integers([0, -100, 3, 1, 1]);
    const chunked = (x: Tensor, y: Tensor): Tensor => nn.linearCrossEntropy(x, y, t, { chunkSize: 2 });
    const plain = (x: Tensor, y: Tensor): Tensor => nn.crossEntropy(x.matmul(y.transpose()), t);
    test('where one of the inputs needs no gradient', () => {
      for (const frozen of [0, 1]) {
        const gradientOf = (loss: typeof chunked): number[] => {
          const inputs = [h, w].map((x, i) => (i === frozen ? x : x.detach().requireGrad())) as [
            Tensor,
            Tensor,
          ];
          loss(...inputs).backward();
          return numbers(inputs[1 - frozen]!.grad!);
        };
        expectNumbers(gradientOf(chunked), gradientOf(plain));
      }
    });
    test('where nothing is recorded', () => {
      const [x, y] = [h.detach().requireGrad(), w.detach().requireGrad()];
      const loss = noGrad(() => chunked(x, y));
      expect(loss.requiresGrad).toBe(false);
      expectNumbers([loss.itemSync()], [plain(h, w).itemSync()]);
    });
    test('along a direction, and for every example of a batch', () => {
      const [dh, dw] = [normal(5, [5, 3]), normal(6, [4, 3])];
      const along = (f: typeof chunked): number[] => numbers(jvp(f, [h, w], [dh, dw]).tangent as Tensor);
      expectNumbers(along(chunked), along(plain));
      const batch = normal(7, [3, 5, 3]);
      const each = (f: typeof chunked): number[] =>
        numbers(
          vmap(
            grad((x: Tensor, y: Tensor) => f(x, y)),
            { inAxes: [0, null] },
          )(batch, w) as Tensor,
        );
      expectNumbers(each(chunked), each(plain));
    });
    test('twice through one graph', () => {
      const x = h.detach().requireGrad();
      const loss = chunked(x, w).mul(3);
      loss.backward(undefined, { retainGraph: true });
      const once = numbers(x.grad!);
      loss.backward();
      expectNumbers(
        numbers(x.grad!),
        once.map((g) => 2 * g),
      );
    });
  });
  test('never holds the logits whole', () => {
    const [rows, classes, d, chunkSize] = [256, 2000, 8, 16];
    const [h, w] = [
      new Key(0).normal([rows, d]).requireGrad(),
      new Key(1).normal([classes, d]).requireGrad(),
    ];
    const t = new Key(2).randint(0, classes, [rows]);
    const whole = rows * classes * 4;
    const peakOf = (loss: () => Tensor): number => {
      const before = memoryStats().bytes;
      let peak = 0;
      const stop = intercept((call, next) => {
        const y = next(call);
        peak = Math.max(peak, memoryStats().bytes - before);
        return y;
      });
      scope(() => loss().backward(undefined, { consume: true }));
      stop();
      [h.grad, w.grad] = [null, null];
      return peak;
    };
    const chunked = peakOf(() => nn.linearCrossEntropy(h, w, t, { chunkSize }));
    expect(chunked).toBeLessThan(whole / 2);
    expect(peakOf(() => nn.crossEntropy(h.matmul(w.transpose()), t))).toBeGreaterThan(whole);
  });
});

describe('ctcLoss', () => {
  /** What a sequence of frames reads as. */
  const read = (frames: readonly number[], blank: number): number[] =>
    frames.filter((c, t) => c !== blank && c !== frames[t - 1]);
  const allPaths = (time: number, classes: number): number[][] =>
    Array.from({ length: classes ** time }, (_, i) =>
      Array.from({ length: time }, (_, t) => Math.floor(i / classes ** t) % classes),
    );
  test('is -log of the sum over all paths that read as the target', () =>
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          time: fc.integer({ min: 1, max: 5 }),
          target: fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 3 }),
          blank: fc.integer({ min: 0, max: 2 }),
        }),
        ({ seed, time, target: places, blank }) => {
          const labels = [0, 1, 2].filter((c) => c !== blank);
          const target = places.map((i) => labels[i]!);
          const logProbs = normal(seed, [time, 1, 3]).logSoftmax(-1);
          const log = lines(logProbs);
          const total = sum(
            allPaths(time, 3)
              .filter((path) => read(path, blank).join() === target.join())
              .map((path) => Math.exp(sum(path.map((c, t) => log[t]![c]!)))),
          );
          const padded = integers([...target, blank, blank], [1, target.length + 2]);
          const loss = nn.ctcLoss(logProbs, padded, [time], [target.length], { blank, reduction: 'none' });
          if (total === 0) expect(numbers(loss)).toEqual([Infinity]);
          else expectNumbers(numbers(loss), [-Math.log(total)], 1e-11);
        },
      ),
    ));
  test('frames beyond a sequence and labels beyond a target do not count', () => {
    const x = normal(1, [6, 2, 4]).logSoftmax(-1);
    const both = nn.ctcLoss(x, integers([1, 2, 3, 1, 3, 3], [2, 3]), [6, 4], [3, 1], { reduction: 'none' });
    const alone = nn.ctcLoss(x.narrow(1, 1, 1).narrow(0, 0, 4), integers([1], [1, 1]), [4], [1], {
      reduction: 'none',
    });
    expectNumbers([numbers(both)[1]!], numbers(alone));
  });
  test('probabilities of 0 are no NaN', () => {
    const x = tensor(
      [[[-Infinity, 0, -Infinity]], [[0, -Infinity, -Infinity]], [[-Infinity, 0, -Infinity]]],
      { dtype },
    ).requireGrad();
    expect(nn.ctcLoss(x, integers([1, 1], [1, 2]), [3], [2]).itemSync()).toBeCloseTo(0, 12);
    const missed = nn.ctcLoss(x, integers([2], [1, 1]), [3], [1]);
    expect(missed.itemSync()).toBe(Infinity);
    missed.backward();
    expect(numbers(x.grad!).every((g) => Number.isFinite(g))).toBe(true);
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

type Row = [string, () => unknown, new (...args: never[]) => Error, string];
const [a, b] = [zeros([2, 3]), zeros([2, 4])];
const t = integers([0, 1]);
const whole = tensor([1, 2], { dtype: 'i32' });
/** Losses of two tensors of one shape. */
const pairs = {
  mseLoss: nn.mseLoss,
  l1Loss: nn.l1Loss,
  huberLoss: nn.huberLoss,
  smoothL1Loss: nn.smoothL1Loss,
  klDiv: nn.klDiv,
  binaryCrossEntropy: nn.binaryCrossEntropy,
  binaryCrossEntropyWithLogits: nn.binaryCrossEntropyWithLogits,
  bradleyTerryLoss: nn.bradleyTerryLoss,
};
const ctc = (
  options: object = {},
  lengths: readonly number[] = [4],
  targets = integers([1, 2], [1, 2]),
  targetLengths = [2],
) => nn.ctcLoss(zeros([4, 1, 3]), targets, lengths, targetLengths, options);

describe('errors', () => {
  const rows: Row[] = [
    ...Object.entries(pairs).flatMap(([name, loss]): Row[] => [
      [
        `${name}: two shapes`,
        () => loss(a, b),
        ShapeError,
        `${name}: all inputs must have one shape: [2, 3] f32, [2, 4] f32`,
      ],
      [`${name}: integers`, () => loss(whole, whole), DTypeError, `${name}: takes floating-point tensors`],
      [
        `${name}: reduction`,
        () => loss(a, a, { reduction: 'median' as never }),
        ValueError,
        `${name}: reduction must be mean, sum`,
      ],
    ]),
    [
      'huberLoss: delta',
      () => nn.huberLoss(a, a, { delta: 0 }),
      ValueError,
      'huberLoss: delta must be a number > 0, got 0',
    ],
    [
      'smoothL1Loss: beta',
      () => nn.smoothL1Loss(a, a, { beta: -1 }),
      ValueError,
      'smoothL1Loss: beta must be a number ≥ 0, got -1',
    ],
    [
      'klDiv: no batch',
      () => nn.klDiv(zeros([]), zeros([]), { reduction: 'batchMean' }),
      ValueError,
      'klDiv: batchMean needs a batch',
    ],
    [
      'binaryCrossEntropy: weight',
      () => nn.binaryCrossEntropy(a, a, { weight: zeros([2]) }),
      ShapeError,
      'binaryCrossEntropy: weight does not broadcast to the input',
    ],
    [
      'binaryCrossEntropyWithLogits: weight that is larger',
      () => nn.binaryCrossEntropyWithLogits(a, a, { posWeight: zeros([4, 2, 3]) }),
      ShapeError,
      'binaryCrossEntropyWithLogits: posWeight does not broadcast',
    ],
    [
      'binaryCrossEntropyWithLogits: integer weight',
      () => nn.binaryCrossEntropyWithLogits(a, a, { weight: whole }),
      DTypeError,
      'takes floating-point tensors',
    ],
    [
      'crossEntropy: weight of another length',
      () => nn.crossEntropy(a, t, { weight: zeros([2]) }),
      ShapeError,
      'crossEntropy: the weight must have one number for each class',
    ],
    [
      'crossEntropy: integer weight',
      () => nn.crossEntropy(zeros([2, 2]), t, { weight: whole }),
      DTypeError,
      'crossEntropy: the weight must be floating-point',
    ],
    [
      'crossEntropy: zLoss',
      () => nn.crossEntropy(a, t, { zLoss: -1 }),
      ValueError,
      'crossEntropy: zLoss must be a number ≥ 0, got -1',
    ],
    [
      'nllLoss: targets',
      () => nn.nllLoss(a, integers([0])),
      ShapeError,
      'nllLoss: needs logProbs [..., classes] and targets [...]',
    ],
    [
      'nllLoss: integers',
      () => nn.nllLoss(a.cast('i32'), t),
      DTypeError,
      'nllLoss: logProbs must be floating-point',
    ],
    [
      'nllLoss: range',
      () => nn.nllLoss(a, integers([0, 3])),
      IndexError,
      'nllLoss: target 3 is out of range for 3 classes',
    ],
    [
      'nllLoss: reduction',
      () => nn.nllLoss(a, t, { reduction: 'x' as never }),
      ValueError,
      'nllLoss: reduction',
    ],
    ['nllLoss: weight', () => nn.nllLoss(a, t, { weight: zeros([2]) }), ShapeError, 'nllLoss: the weight'],
    [
      'linearCrossEntropy: weight',
      () => nn.linearCrossEntropy(a, zeros([5, 4]), t),
      ShapeError,
      'linearCrossEntropy: the weight must be [classes, 3]',
    ],
    [
      'linearCrossEntropy: bias',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), t, { bias: zeros([4]) }),
      ShapeError,
      'linearCrossEntropy: the bias must be [5]',
    ],
    [
      'linearCrossEntropy: targets',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), integers([0])),
      ShapeError,
      'linearCrossEntropy: needs hidden states',
    ],
    [
      'linearCrossEntropy: range',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), integers([0, 5])),
      IndexError,
      'linearCrossEntropy: target 5 is out of range for 5 classes',
    ],
    [
      'linearCrossEntropy: chunkSize',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), t, { chunkSize: 0 }),
      ValueError,
      'linearCrossEntropy: chunkSize must be an integer ≥ 1, got 0',
    ],
    [
      'linearCrossEntropy: smoothing',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), t, { labelSmoothing: 2 }),
      ValueError,
      'linearCrossEntropy: labelSmoothing',
    ],
    [
      'linearCrossEntropy: zLoss',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), t, { zLoss: NaN }),
      ValueError,
      'linearCrossEntropy: zLoss',
    ],
    [
      'linearCrossEntropy: reduction',
      () => nn.linearCrossEntropy(a, zeros([5, 3]), t, { reduction: 'x' as never }),
      ValueError,
      'linearCrossEntropy: reduction',
    ],
    [
      'linearCrossEntropy: integers',
      () => nn.linearCrossEntropy(a.cast('i32'), zeros([5, 3]), t),
      DTypeError,
      'linearCrossEntropy: takes floating-point',
    ],
    ['infoNCE: shapes', () => nn.infoNCE(a, b), ShapeError, 'infoNCE: needs queries [n, d] and keys [n, d]'],
    [
      'infoNCE: negatives',
      () => nn.infoNCE(a, a, { negatives: b }),
      ShapeError,
      'infoNCE: negatives must be [m, 3]',
    ],
    [
      'infoNCE: symmetric with negatives',
      () => nn.infoNCE(a, a, { negatives: a, symmetric: true }),
      ValueError,
      'infoNCE: with negatives the loss is not symmetric',
    ],
    [
      'infoNCE: temperature',
      () => nn.infoNCE(a, a, { temperature: 0 }),
      ValueError,
      'infoNCE: temperature must be a number > 0',
    ],
    ['infoNCE: integers', () => nn.infoNCE(a.cast('i32'), a), DTypeError, 'infoNCE: takes floating-point'],
    [
      'infoNCE: reduction',
      () => nn.infoNCE(a, a, { reduction: 'x' as never }),
      ValueError,
      'infoNCE: reduction',
    ],
    [
      'tripletMarginLoss: shapes',
      () => nn.tripletMarginLoss(a, a, b),
      ShapeError,
      'tripletMarginLoss: all inputs',
    ],
    [
      'tripletMarginLoss: numbers',
      () => nn.tripletMarginLoss(zeros([]), zeros([]), zeros([])),
      ShapeError,
      'tripletMarginLoss: needs vectors',
    ],
    [
      'tripletMarginLoss: margin',
      () => nn.tripletMarginLoss(a, a, a, { margin: 0 }),
      ValueError,
      'tripletMarginLoss: margin must be a number > 0',
    ],
    [
      'tripletMarginLoss: p',
      () => nn.tripletMarginLoss(a, a, a, { p: 0 }),
      ValueError,
      'tripletMarginLoss: p must be',
    ],
    [
      'tripletMarginLoss: eps',
      () => nn.tripletMarginLoss(a, a, a, { eps: -1 }),
      ValueError,
      'tripletMarginLoss: eps must be',
    ],
    [
      'tripletMarginLoss: reduction',
      () => nn.tripletMarginLoss(a, a, a, { reduction: 'x' as never }),
      ValueError,
      'tripletMarginLoss: reduction',
    ],
    [
      'cosineEmbeddingLoss: shapes',
      () => nn.cosineEmbeddingLoss(a, b, t),
      ShapeError,
      'cosineEmbeddingLoss: all inputs',
    ],
    [
      'cosineEmbeddingLoss: targets',
      () => nn.cosineEmbeddingLoss(a, a, integers([1])),
      ShapeError,
      'cosineEmbeddingLoss: needs vectors [..., d] and targets [...]',
    ],
    [
      'cosineEmbeddingLoss: truth values',
      () => nn.cosineEmbeddingLoss(a, a, tensor([true, false])),
      DTypeError,
      'cosineEmbeddingLoss: targets must be 1 and -1',
    ],
    [
      'cosineEmbeddingLoss: margin',
      () => nn.cosineEmbeddingLoss(a, a, t, { margin: 2 }),
      ValueError,
      'cosineEmbeddingLoss: margin must lie in [-1, 1], got 2',
    ],
    [
      'cosineEmbeddingLoss: reduction',
      () => nn.cosineEmbeddingLoss(a, a, t, { reduction: 'x' as never }),
      ValueError,
      'cosineEmbeddingLoss: reduction',
    ],
    [
      'bradleyTerryLoss: margin',
      () => nn.bradleyTerryLoss(a, a, { margin: zeros([3]) }),
      ShapeError,
      'bradleyTerryLoss: all inputs must have one shape',
    ],
    [
      'bradleyTerryLoss: integer margin',
      () => nn.bradleyTerryLoss(zeros([2]), zeros([2]), { margin: whole }),
      DTypeError,
      'bradleyTerryLoss: takes floating-point',
    ],
    [
      'bradleyTerryLoss: smoothing',
      () => nn.bradleyTerryLoss(a, a, { labelSmoothing: -1 }),
      ValueError,
      'bradleyTerryLoss: labelSmoothing',
    ],
    [
      'ctcLoss: shapes',
      () => nn.ctcLoss(a, t, [1], [1]),
      ShapeError,
      'ctcLoss: needs logProbs [time, batch, classes] and targets [batch, longest]',
    ],
    [
      'ctcLoss: integers',
      () => nn.ctcLoss(zeros([4, 1, 3]).cast('i32'), integers([1], [1, 1]), [4], [1]),
      DTypeError,
      'ctcLoss: takes floating-point',
    ],
    ['ctcLoss: targets', () => ctc({}, [4], zeros([1, 2])), DTypeError, 'ctcLoss: targets must be integers'],
    [
      'ctcLoss: blank',
      () => ctc({ blank: 3 }),
      ValueError,
      'ctcLoss: blank must be a class from 0 to 2, got 3',
    ],
    [
      'ctcLoss: number of lengths',
      () => ctc({}, [4, 4]),
      ShapeError,
      'ctcLoss: inputLengths must have one number for each of 1 sequences, got 2',
    ],
    [
      'ctcLoss: input length',
      () => ctc({}, [5]),
      ValueError,
      'ctcLoss: inputLengths must be integers from 1 to 4, got 5',
    ],
    [
      'ctcLoss: target length',
      () => ctc({}, [4], integers([1, 2], [1, 2]), [3]),
      ValueError,
      'ctcLoss: targetLengths must be integers from 0 to 2, got 3',
    ],
    [
      'ctcLoss: label',
      () => ctc({}, [4], integers([1, 3], [1, 2])),
      IndexError,
      'ctcLoss: target 3 is out of range for 3 classes',
    ],
    [
      'ctcLoss: the blank in a target',
      () => ctc({}, [4], integers([1, 0], [1, 2])),
      ValueError,
      'ctcLoss: a target holds the blank, 0',
    ],
    ['ctcLoss: reduction', () => ctc({ reduction: 'x' }), ValueError, 'ctcLoss: reduction'],
  ];
  test.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  test('every loss has rows', () => {
    const named = new Set(rows.map(([name]) => name.split(':')[0]));
    expect(lossNames().filter((name) => !named.has(name))).toEqual([]);
  });
});
