/** What losses refuse. */
import * as nn from '@infinigrad/nn';
import { DTypeError, IndexError, ShapeError, tensor, ValueError, zeros } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { integers, lossNames } from './support.ts';

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
