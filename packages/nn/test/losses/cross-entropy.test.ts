/** Cross-entropy: a written-out reference, what counts and what does not, extremes, gradients, errors. */
import fc from 'fast-check';
import { gradcheck } from '@infinigrad/autograd';
import { crossEntropy, type CrossEntropyOptions } from '@infinigrad/nn';
import {
  DTypeError,
  fromData,
  IndexError,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, lines, numbers, sum } from '../support.ts';
import { dtype, integers, reductions } from './support.ts';

const f64 = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { dtype });

/** log softmax of one line. */
function logSoftmax(line: readonly number[]): number[] {
  const top = Math.max(...line);
  const total = Math.log(sum(line.map((v) => Math.exp(v - top))));
  return line.map((v) => v - top - total);
}

/** The loss of each line; null where its target is ignored. */
function lossesOf(
  logits: readonly number[][],
  targets: readonly number[],
  ignoreIndex: number,
  smoothing: number,
): (number | null)[] {
  return logits.map((line, i) => {
    const target = targets[i]!;
    if (target === ignoreIndex) return null;
    const log = logSoftmax(line);
    return -(1 - smoothing) * log[target]! - (smoothing * sum(log)) / line.length;
  });
}

const cases = fc
  .record({
    lead: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    classes: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(),
    ignoreIndex: fc.constantFrom(-100, -1, 0, 2),
    labelSmoothing: fc.constantFrom(0, 0.1, 0.5, 1),
  })
  .map(({ lead, classes, seed, ...options }) => {
    const key = new Key(seed);
    const rows = lead.reduce((a, b) => a * b, 1);
    const drawn = Array.from(
      key
        .foldIn(1)
        .randint(0, classes + 1, [rows])
        .dataSync(),
    );
    const targets = drawn.map((v) => (v === classes ? options.ignoreIndex : v));
    return {
      logits: key.normal([...lead, classes], { dtype, std: 3 }),
      targets,
      target: integers(targets, lead),
      options,
    };
  });

describe('the value', () => {
  test('is -log softmax at the target, over those that count', () =>
    fc.assert(
      fc.property(fc.record({ one: cases }), ({ one }) => {
        const { logits, targets, target, options } = one;
        const each = lossesOf(lines(logits), targets, options.ignoreIndex, options.labelSmoothing);
        const counted = each.filter((v) => v !== null);
        const loss = (reduction: 'mean' | 'sum' | 'none'): Tensor =>
          crossEntropy(logits, target, { ...options, reduction });
        expectNumbers(
          numbers(loss('none')),
          each.map((v) => v ?? 0),
        );
        expect(loss('none').shape).toEqual(target.shape);
        expectNumbers([loss('sum').itemSync()], [sum(counted)]);
        expectNumbers([loss('mean').itemSync()], [counted.length === 0 ? 0 : sum(counted) / counted.length]);
        expect([loss('mean').shape, loss('sum').shape]).toEqual([[], []]);
      }),
    ));
  test('is the mean without smoothing unless told, and -100 is ignored', () => {
    const [logits, target] = [new Key(1).normal([3, 4], { dtype }), integers([1, -100, 3])];
    expect(crossEntropy(logits, target).itemSync()).toBe(
      crossEntropy(logits, target, { reduction: 'mean', ignoreIndex: -100, labelSmoothing: 0 }).itemSync(),
    );
  });
  test('of even logits is log of the number of classes; of one class 0', () => {
    expectNumbers([crossEntropy(zeros([2, 7], { dtype }), integers([0, 6])).itemSync()], [Math.log(7)]);
    expect(crossEntropy(f64([[5], [-3]]), integers([0, 0])).itemSync()).toBe(0);
  });
  test('does not depend on a shift of all logits', () =>
    fc.assert(
      fc.property(
        fc.record({ one: cases, shift: fc.double({ min: -50, max: 50, noNaN: true }) }),
        ({ one: { logits, target, options }, shift }) =>
          expectNumbers(
            [crossEntropy(logits.add(shift), target, options).itemSync()],
            [crossEntropy(logits, target, options).itemSync()],
            1e-11,
          ),
      ),
    ));
  test('takes targets of either integer kind, and one line without a lead', () => {
    const logits = new Key(1).normal([2, 300], { dtype });
    const values = [255, 3];
    expect(crossEntropy(logits, tensor(values, { dtype: 'u8' })).itemSync()).toBe(
      crossEntropy(logits, integers(values)).itemSync(),
    );
    expectNumbers(
      [crossEntropy(f64([1, 2]), tensor(1, { dtype: 'i32' })).itemSync()],
      [Math.log(1 + Math.exp(-1))],
    );
  });
  test('reads strided logits and targets', () => {
    const [logits, target] = [new Key(1).normal([4, 3, 2], { dtype }), integers([0, 1, 2, 3, 0, 1], [2, 3])];
    const copied = fromData(logits.permute([2, 1, 0]).dataSync(), [2, 3, 4]);
    expectNumbers(
      [crossEntropy(logits.permute([2, 1, 0]), target).itemSync()],
      [crossEntropy(copied, target).itemSync()],
      0,
    );
    expect(crossEntropy(copied.permute([1, 0, 2]), target.transpose()).itemSync()).toBeCloseTo(
      crossEntropy(copied, target).itemSync(),
      14,
    );
  });
});

describe('ignored targets', () => {
  const [key, target] = [new Key(3), integers([1, -100, 0, -100])];
  const losses = (logits: Tensor, options: CrossEntropyOptions): number[] =>
    numbers(crossEntropy(logits, target, options).reshape([-1]));
  test.each(reductions)('do not count, whatever their logits (%s)', (reduction) => {
    for (const labelSmoothing of [0, 0.2]) {
      const a = key.normal([4, 3], { dtype });
      const others = f64([[0], [9], [0], [-7]]).mul(f64([[1, 2, 3]]));
      expect(losses(a.add(others), { reduction, labelSmoothing })).toEqual(
        losses(a, { reduction, labelSmoothing }),
      );
    }
  });
  test.each(reductions)('get no gradient, the others all of it (%s)', (reduction) => {
    const logits = key.normal([4, 3], { dtype }).requireGrad();
    crossEntropy(logits, target, { reduction, labelSmoothing: 0.2 }).sum().backward();
    const rows = lines(logits.grad!);
    expect([rows[1], rows[3]]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    for (const row of [rows[0]!, rows[2]!]) {
      expect(row.every((g) => g !== 0)).toBe(true);
      // Probabilities add up to one on either side.
      expectNumbers([sum(row)], [0]);
    }
  });
  test.each(reductions)('all of them: a loss of 0 and a gradient of 0, not NaN (%s)', (reduction) => {
    const logits = key.normal([2, 3], { dtype }).requireGrad();
    for (const labelSmoothing of [0, 0.2]) {
      logits.grad = null;
      const loss = crossEntropy(logits, integers([-100, -100]), { reduction, labelSmoothing });
      loss.sum().backward();
      expect(numbers(loss).every((v) => v === 0)).toBe(true);
      expect(numbers(logits.grad!)).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });
  test('no targets at all count as all ignored', () => {
    const logits = zeros([0, 3], { dtype }).clone().requireGrad();
    const loss = crossEntropy(logits, integers([]));
    loss.backward();
    expect([loss.itemSync(), logits.grad!.shape]).toEqual([0, [0, 3]]);
  });
});

describe('the gradient', () => {
  test('is softmax minus the smoothed target, over those that count', () =>
    fc.assert(
      fc.property(fc.record({ one: cases }), ({ one }) => {
        const { targets, target, options } = one;
        const logits = one.logits.detach().requireGrad();
        crossEntropy(logits, target, options).backward();
        const counted = targets.filter((v) => v !== options.ignoreIndex).length;
        const s = options.labelSmoothing;
        const expected = lines(one.logits).flatMap((line, i) =>
          logSoftmax(line).map((log, k) =>
            targets[i] === options.ignoreIndex
              ? 0
              : (Math.exp(log) - (targets[i] === k ? 1 - s : 0) - s / line.length) / counted,
          ),
        );
        expectNumbers(numbers(logits.grad!), expected);
      }),
    ));
  for (const reduction of reductions)
    for (const labelSmoothing of [0, 0.3])
      test(`passes gradcheck to second order, ${reduction}, smoothing ${labelSmoothing}`, () => {
        const target = integers([2, -100, 0, 1], [2, 2]);
        gradcheck(
          (logits) => crossEntropy(logits, target, { reduction, labelSmoothing }),
          [new Key(5).normal([2, 2, 3], { dtype })],
          { order: 2 },
        );
      });
  test('has the dtype of the logits', () => {
    const logits = new Key(1).normal([2, 3]).requireGrad();
    const loss = crossEntropy(logits, integers([0, 1]));
    loss.backward();
    expect([loss.dtype, logits.grad!.dtype]).toEqual(['f32', 'f32']);
  });
});

describe('extreme logits', () => {
  test.each(['f32', 'f64'] as const)('do not overflow, %s', (kind) => {
    for (const size of [100, 1e4, 1e30]) {
      const logits = tensor(
        [
          [size, -size, 0],
          [size, -size, 0],
        ],
        { dtype: kind },
      ).requireGrad();
      const loss = crossEntropy(logits, integers([0, 1]), { reduction: 'none' });
      const [right, wrong] = numbers(loss) as [number, number];
      expect(Math.abs(right)).toBe(0);
      expect(Math.abs(wrong / (2 * size) - 1)).toBeLessThan(1e-6);
      loss.sum().backward();
      expectNumbers(numbers(logits.grad!), [0, 0, 0, 1, -1, 0], 1e-6);
    }
  });
  test('-Infinity leaves a class out', () => {
    const logits = f64([[-Infinity, 1, 2]]).requireGrad();
    const loss = crossEntropy(logits, integers([1]));
    loss.backward();
    expectNumbers([loss.itemSync()], [Math.log(1 + Math.E)]);
    const p = Math.E / (1 + Math.E);
    expectNumbers(numbers(logits.grad!), [0, -p, p]);
    expect(crossEntropy(f64([[-Infinity, 1]]), integers([0])).itemSync()).toBe(Infinity);
  });
  test('NaN is not hidden', () => {
    expect(crossEntropy(f64([[NaN, 1]]), integers([1])).itemSync()).toBeNaN();
  });
  test('f32 stays with f64 where the answer is small', () => {
    const values = Array.from({ length: 30 }, (_, i) => [i / 2, 0, -1]);
    const target = integers(values.map(() => 0));
    const loss = (kind: 'f32' | 'f64'): number[] =>
      numbers(crossEntropy(tensor(values, { dtype: kind }), target, { reduction: 'none' }));
    expectNumbers(loss('f32'), loss('f64'), 2e-7);
  });
});

describe('errors', () => {
  const logits = zeros([2, 3]);
  const row = (
    name: string,
    body: () => unknown,
    kind: new (...args: never[]) => Error,
    says: string,
  ): [string, () => unknown, new (...args: never[]) => Error, string] => [name, body, kind, says];
  test.each([
    row(
      'targets of another shape',
      () => crossEntropy(logits, integers([0, 1, 2])),
      ShapeError,
      'crossEntropy: needs logits [..., classes] and targets [...]: [2, 3] f32, [3] i32',
    ),
    row(
      'targets as one-hot lines',
      () => crossEntropy(logits, zeros([2, 3])),
      ShapeError,
      'crossEntropy: needs logits',
    ),
    row(
      'a single number',
      () => crossEntropy(zeros([]), integers([0], [])),
      ShapeError,
      'crossEntropy: needs logits',
    ),
    row(
      'targets that are no integers',
      () => crossEntropy(logits, zeros([2])),
      DTypeError,
      "crossEntropy: targets must be integers: [2, 3] f32, [2] f32. Hint: cast('i32') converts",
    ),
    row(
      'truth values',
      () => crossEntropy(logits, tensor([true, false])),
      DTypeError,
      'targets must be integers',
    ),
    row(
      'a target too large',
      () => crossEntropy(logits, integers([0, 3])),
      IndexError,
      'crossEntropy: target 3 is out of range for 3 classes: [2, 3] f32, [2] i32. Hint: -100 (ignoreIndex) leaves a position out',
    ),
    row(
      'a negative target',
      () => crossEntropy(logits, integers([-1, 0])),
      IndexError,
      'target -1 is out of range for 3 classes',
    ),
    row(
      'the default ignoreIndex where another is set',
      () => crossEntropy(logits, integers([-100, 0]), { ignoreIndex: -1 }),
      IndexError,
      'target -100 is out of range',
    ),
    row(
      'no classes',
      () => crossEntropy(zeros([2, 0]), integers([0, 0])),
      IndexError,
      'target 0 is out of range for 0 classes',
    ),
    ...[-0.1, 1.1, NaN].map((labelSmoothing) =>
      row(
        `labelSmoothing ${labelSmoothing}`,
        () => crossEntropy(logits, integers([0, 1]), { labelSmoothing }),
        ValueError,
        `labelSmoothing must lie in [0, 1], got ${labelSmoothing}`,
      ),
    ),
    row(
      'another reduction',
      () => crossEntropy(logits, integers([0, 1]), { reduction: 'median' as 'mean' }),
      ValueError,
      "reduction must be mean, sum or none, got 'median'",
    ),
  ])('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});
