/** ctcLoss: the sum over all paths, what lies beyond a sequence, probabilities of 0. */
import * as nn from '@infinigrad/nn';
import { tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, lines, numbers, sum } from '../support.ts';
import { dtype, integers, normal } from './support.ts';

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
