/** The schedule of the recipes: its ends, its course, what it refuses. */
import { constant, warmupCosine } from '@infinigrad/nn';
import { ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers } from '../support.ts';

test('constant is the same at every step', () => {
  expect([0, 1, 10 ** 6].map(constant(0.3))).toEqual([0.3, 0.3, 0.3]);
  expect(constant()(5)).toBe(1);
});

describe('warmupCosine', () => {
  const settings = fc
    .record({
      warmupSteps: fc.nat(20),
      more: fc.nat(50),
      finalFactor: fc.double({ min: 0, max: 0.9, noNaN: true }),
    })
    .map(({ warmupSteps, more, finalFactor }) => ({
      warmupSteps,
      totalSteps: Math.max(1, warmupSteps + more),
      finalFactor,
    }));
  test('rises in equal steps to 1, comes down to finalFactor at totalSteps, and stays', () => {
    const law = fc.property(settings, (options) => {
      const { warmupSteps, totalSteps, finalFactor } = options;
      const factor = warmupCosine(options);
      for (let step = 0; step < warmupSteps; step++)
        expectNumbers([factor(step)], [(step + 1) / warmupSteps], 0);
      if (totalSteps > warmupSteps) expect(factor(warmupSteps)).toBe(1);
      for (let step = warmupSteps + 1; step < totalSteps; step++) {
        expect(factor(step)).toBeLessThan(factor(step - 1));
        expect(factor(step)).toBeGreaterThan(finalFactor);
      }
      for (const step of [totalSteps, totalSteps + 1, totalSteps + 1000])
        expectNumbers([factor(step)], [finalFactor]);
    });
    fc.assert(law);
  });
  test('halfway down it is halfway between, and the curve is symmetric about that', () => {
    const law = fc.property(settings, fc.nat(25), (options, k) => {
      const half = 25;
      const { warmupSteps, finalFactor } = options;
      const factor = warmupCosine({ ...options, totalSteps: warmupSteps + 2 * half });
      const middle = warmupSteps + half;
      expectNumbers([factor(middle)], [(1 + finalFactor) / 2]);
      expectNumbers([factor(middle - k) + factor(middle + k)], [1 + finalFactor]);
    });
    fc.assert(law);
  });
  test('finalFactor is 0 unless told', () =>
    expect(warmupCosine({ warmupSteps: 0, totalSteps: 10 })(10)).toBe(0));
  test('warm-up alone ends at finalFactor as well', () => {
    const factor = warmupCosine({ warmupSteps: 2, totalSteps: 2, finalFactor: 0.25 });
    expect([0, 1, 2, 3].map(factor)).toEqual([0.5, 1, 0.25, 0.25]);
  });

  test.each([
    [{ warmupSteps: -1, totalSteps: 5 }, 'warmupCosine: warmupSteps must be an integer ≥ 0, got -1'],
    [{ warmupSteps: 0.5, totalSteps: 5 }, 'warmupSteps must be an integer ≥ 0, got 0.5'],
    [{ warmupSteps: 0, totalSteps: 0 }, 'totalSteps must be an integer ≥ 1 and ≥ warmupSteps (0), got 0'],
    [{ warmupSteps: 6, totalSteps: 5 }, 'totalSteps must be an integer ≥ 1 and ≥ warmupSteps (6), got 5'],
    [{ warmupSteps: 0, totalSteps: 5.5 }, 'totalSteps must be an integer'],
    [{ warmupSteps: 0, totalSteps: 5, finalFactor: NaN }, 'finalFactor must be finite, got NaN'],
    [{ warmupSteps: 0, totalSteps: 5, finalFactor: Infinity }, 'finalFactor must be finite, got Infinity'],
  ])('%j is refused', (options, says) => {
    expect(() => warmupCosine(options)).toThrow(ValueError);
    expect(() => warmupCosine(options)).toThrow(says);
  });
});
