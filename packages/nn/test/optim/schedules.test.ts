/** Schedules against PyTorch's, their laws, and what they refuse. */
import { ReduceOnPlateau, schedules, type ReduceOnPlateauOptions, type Schedule } from '@infinigrad/nn';
import { ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture } from '../support.ts';

const {
  chained,
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  exponential,
  inverseSquareRoot,
  linear,
  multiStep,
  oneCycle,
  polynomial,
  sequential,
  stepDecay,
  warmup,
  warmupStableDecay,
} = schedules;

const { factors, plateau } = fixture<{
  factors: Record<string, number[]>;
  plateau: { metrics: number[]; cases: { options: ReduceOnPlateauOptions; factors: number[] }[] };
}>('schedules');

describe('as PyTorch’s', () => {
  const ours: Record<string, Schedule> = {
    constant: sequential([constant(0.25), constant()], [7]),
    linear: linear({ from: 0.1, to: 0.8, steps: 13 }),
    cosine: cosine({ steps: 25, finalFactor: 0.1 }),
    cosineRestarts: cosineRestarts({ period: 7, growth: 2, finalFactor: 0.1 }),
    polynomial: polynomial({ steps: 20, power: 1.7 }),
    step: stepDecay({ every: 9, factor: 0.3 }),
    multiStep: multiStep({ milestones: [4, 9, 9, 30], factor: 0.5 }),
    exponential: exponential(0.93),
    oneCycle: oneCycle({ totalSteps: 60 }),
    'oneCycle, all options': oneCycle({
      totalSteps: 60,
      rise: 0.4,
      anneal: 'linear',
      startDivisor: 10,
      finalDivisor: 50,
      threePhase: true,
    }),
    sequential: sequential([linear({ from: 0.2, to: 1, steps: 5 }), exponential(0.9)], [5]),
    chained: chained(sequential([constant(0.1), constant()], [5]), exponential(0.9)),
    lambda: inverseSquareRoot(),
    cyclic: cyclic({ least: 0.2, up: 4, down: 6, height: (n) => 2 ** -n }),
  };
  test.each(Object.entries(factors))('%s', (name, expected) => {
    expect(expected.length).toBeGreaterThanOrEqual(20);
    expectNumbers(
      expected.map((_, step) => ours[name]!(step)),
      expected,
      1e-12,
    );
  });
  test.each(plateau.cases.map((one, i) => [i, one] as const))('ReduceOnPlateau %d', (_, one) => {
    const reducer = new ReduceOnPlateau(one.options);
    const found = plateau.metrics.map((metric) => {
      const before = reducer.factor;
      expect(reducer.observe(metric)).toBe(reducer.factor < before);
      expect(reducer.schedule(3)).toBe(reducer.factor);
      return reducer.factor;
    });
    expectNumbers(found, one.factors, 1e-12);
    expect(new Set(found).size).toBeGreaterThan(2);
  });
});

describe('laws', () => {
  const steps = fc.integer({ min: 1, max: 50 });
  const at = fc.nat(120);
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  test('warmup rises in equal steps to where the other begins, which then counts from 0', () => {
    const law = fc.property(fc.nat(20), at, part, (length, step, low) => {
      const then = linear({ from: 0.5, to: low, steps: 30 });
      const factor = warmup(length, then)(step);
      expectNumbers([factor], [step < length ? (0.5 * (step + 1)) / length : then(step - length)], 1e-15);
    });
    fc.assert(law);
  });
  test('warm-up and cosine are warmupCosine', () => {
    const law = fc.property(fc.nat(20), steps, at, part, (length, fall, step, finalFactor) => {
      const both = schedules.warmupCosine({ warmupSteps: length, totalSteps: length + fall, finalFactor });
      expect(both(step)).toBe(warmup(length, cosine({ steps: fall, finalFactor }))(step));
    });
    fc.assert(law);
  });
  test('falling schedules begin at 1, never rise, and stay where they end', () => {
    const law = fc.property(steps, part, (length, finalFactor) => {
      for (const factor of [
        cosine({ steps: length, finalFactor }),
        polynomial({ steps: length, power: 2, finalFactor }),
        linear({ to: finalFactor, steps: length }),
        ...(['linear', 'cosine', 'sqrt'] as const).map((shape) =>
          warmupStableDecay({ warmupSteps: 0, stableSteps: 0, decaySteps: length, finalFactor, shape }),
        ),
      ]) {
        expectNumbers([factor(0)], [1], 1e-15);
        for (let step = 1; step <= length; step++) expect(factor(step)).toBeLessThanOrEqual(factor(step - 1));
        for (const later of [0, 1, 1000]) expectNumbers([factor(length + later)], [finalFactor], 1e-15);
      }
    });
    fc.assert(law);
  });
  test('warm-up, stable, decay in its three parts', () => {
    const factor = warmupStableDecay({ warmupSteps: 4, stableSteps: 3, decaySteps: 4, finalFactor: 0.2 });
    expectNumbers(
      Array.from({ length: 13 }, (_, step) => factor(step)),
      [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2],
    );
    const root = warmupStableDecay({ warmupSteps: 0, stableSteps: 0, decaySteps: 4, shape: 'sqrt' });
    expectNumbers([0, 1, 4].map(root), [1, 0.5, 0]);
    const half = warmupStableDecay({ warmupSteps: 0, stableSteps: 2, decaySteps: 4, shape: 'cosine' });
    expectNumbers([2, 4, 6].map(half), [1, 0.5, 0]);
  });
  test('the inverse square root peaks at 1 where its warm-up ends', () => {
    const factor = inverseSquareRoot({ warmupSteps: 4 });
    expectNumbers([0, 1, 2, 3, 15, 63].map(factor), [0.25, 0.5, 0.75, 1, 0.5, 0.25]);
  });
  test('cosineRestarts with growth 1 repeats', () => {
    const law = fc.property(steps, at, (period, step) => {
      expect(cosineRestarts({ period })(step + period)).toBe(cosineRestarts({ period })(step));
    });
    fc.assert(law);
  });
  test('oneCycle stays where it ends, also where its phases are short', () => {
    const law = fc.property(
      fc.integer({ min: 2, max: 30 }),
      fc.double({ min: 0.02, max: 0.98, noNaN: true }),
      fc.boolean(),
      (totalSteps, rise, threePhase) => {
        const factor = oneCycle({ totalSteps, rise, threePhase });
        for (let step = 0; step < totalSteps + 3; step++) {
          expect(factor(step)).toBeGreaterThan(0);
          expect(factor(step)).toBeLessThanOrEqual(1);
        }
        expect(factor(totalSteps + 5)).toBe(1 / 25e4);
      },
    );
    fc.assert(law);
    expect(oneCycle({ totalSteps: 4, rise: 0.25 })(0)).toBe(1);
  });
  test('a plateau’s state goes on where it was taken, through JSON', () => {
    const metrics = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 30 });
    const law = fc.property(metrics, fc.nat(30), (all, cut) => {
      const options = { patience: 1, cooldown: 1, factor: 0.5, threshold: 0.1 };
      const [whole, first, second] = [options, options, options].map((o) => new ReduceOnPlateau(o)) as [
        ReduceOnPlateau,
        ReduceOnPlateau,
        ReduceOnPlateau,
      ];
      for (const metric of all) whole.observe(metric);
      for (const metric of all.slice(0, cut)) first.observe(metric);
      second.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())));
      for (const metric of all.slice(cut)) second.observe(metric);
      expect(second.stateDict()).toEqual(whole.stateDict());
    });
    fc.assert(law);
  });
  test('NaN is never better', () => {
    const reducer = new ReduceOnPlateau({ patience: 0, factor: 0.5 });
    expect([NaN, 1, NaN].map((metric) => reducer.observe(metric))).toEqual([true, false, true]);
    expect(reducer.stateDict().best).toBe(1);
  });
});

describe('refused', () => {
  const rows: [string, () => unknown, string][] = [
    ['linear', () => linear({ to: -1, steps: 3 }), 'linear: to must be a number ≥ 0, got -1'],
    ['linear', () => linear({ from: NaN, to: 1, steps: 3 }), 'linear: from must be a number ≥ 0, got NaN'],
    ['linear', () => linear({ to: 1, steps: 0 }), 'linear: steps must be an integer ≥ 1, got 0'],
    ['cosine', () => cosine({ steps: 1.5 }), 'cosine: steps must be an integer ≥ 1, got 1.5'],
    ['cosine', () => cosine({ steps: 1, finalFactor: NaN }), 'cosine: finalFactor must be finite, got NaN'],
    [
      'cosineRestarts',
      () => cosineRestarts({ period: 0 }),
      'cosineRestarts: period must be an integer ≥ 1, got 0',
    ],
    [
      'cosineRestarts',
      () => cosineRestarts({ period: 1, growth: 0 }),
      'growth must be an integer ≥ 1, got 0',
    ],
    [
      'cosineRestarts',
      () => cosineRestarts({ period: 1, finalFactor: Infinity }),
      'finalFactor must be finite',
    ],
    ['polynomial', () => polynomial({ steps: 0 }), 'polynomial: steps must be an integer ≥ 1, got 0'],
    [
      'polynomial',
      () => polynomial({ steps: 1, power: -1 }),
      'polynomial: power must be a number ≥ 0, got -1',
    ],
    [
      'polynomial',
      () => polynomial({ steps: 1, finalFactor: NaN }),
      'polynomial: finalFactor must be finite',
    ],
    ['exponential', () => exponential(-1), 'exponential: decay must be a number ≥ 0, got -1'],
    ['stepDecay', () => stepDecay({ every: 0 }), 'stepDecay: every must be an integer ≥ 1, got 0'],
    [
      'stepDecay',
      () => stepDecay({ every: 1, factor: -1 }),
      'stepDecay: factor must be a number ≥ 0, got -1',
    ],
    [
      'multiStep',
      () => multiStep({ milestones: [1, -1] }),
      'multiStep: a milestone must be an integer ≥ 0, got -1',
    ],
    ['multiStep', () => multiStep({ milestones: [], factor: NaN }), 'multiStep: factor must be a number ≥ 0'],
    [
      'inverseSquareRoot',
      () => inverseSquareRoot({ warmupSteps: -1 }),
      'warmupSteps must be an integer ≥ 0, got -1',
    ],
    ['warmup', () => warmup(-1, constant()), 'warmup: steps must be an integer ≥ 0, got -1'],
    ['sequential', () => sequential([], []), 'sequential: 0 schedules need 0 milestones, got 0'],
    ['sequential', () => sequential([constant()], [1]), 'sequential: 1 schedules need 0 milestones, got 1'],
    [
      'sequential',
      () => sequential([constant(), constant()], [-1]),
      'a milestone must be an integer ≥ 0, got -1',
    ],
    [
      'sequential',
      () => sequential([constant(), constant(), constant()], [3, 3]),
      'sequential: milestones must rise, got 3, 3',
    ],
    ['oneCycle', () => oneCycle({ totalSteps: 1 }), 'oneCycle: totalSteps must be an integer ≥ 2, got 1'],
    ['oneCycle', () => oneCycle({ totalSteps: 5, rise: 0 }), 'oneCycle: rise must lie in (0, 1), got 0'],
    ['oneCycle', () => oneCycle({ totalSteps: 5, startDivisor: 0 }), 'startDivisor must be > 0, got 0'],
    ['oneCycle', () => oneCycle({ totalSteps: 5, finalDivisor: NaN }), 'finalDivisor must be > 0, got NaN'],
    [
      'oneCycle',
      () => oneCycle({ totalSteps: 5, anneal: 'x' as 'linear' }),
      "oneCycle: there is no anneal 'x'",
    ],
    ['cyclic', () => cyclic({ up: 0 }), 'cyclic: up must be an integer ≥ 1, got 0'],
    ['cyclic', () => cyclic({ up: 1, down: 0 }), 'cyclic: down must be an integer ≥ 1, got 0'],
    ['cyclic', () => cyclic({ up: 1, least: -1 }), 'cyclic: least must be a number ≥ 0, got -1'],
    ...(['warmupSteps', 'stableSteps', 'decaySteps', 'finalFactor'] as const).map(
      (name): [string, () => unknown, string] => [
        `warmupStableDecay, ${name}`,
        () => warmupStableDecay({ warmupSteps: 1, stableSteps: 1, decaySteps: 1, [name]: NaN }),
        `warmupStableDecay: ${name} must be`,
      ],
    ),
    [
      'warmupStableDecay',
      () => warmupStableDecay({ warmupSteps: 1, stableSteps: 1, decaySteps: 1, shape: 'x' as 'sqrt' }),
      "there is no shape 'x'. Hint: one of linear, cosine, sqrt",
    ],
    [
      'mode',
      () => new ReduceOnPlateau({ mode: 'x' as 'min' }),
      "ReduceOnPlateau: mode must be 'min' or 'max', got 'x'",
    ],
    ['factor', () => new ReduceOnPlateau({ factor: 1 }), 'factor must lie in (0, 1), got 1'],
    ['patience', () => new ReduceOnPlateau({ patience: -1 }), 'patience must be an integer ≥ 0, got -1'],
    ['cooldown', () => new ReduceOnPlateau({ cooldown: 0.5 }), 'cooldown must be an integer ≥ 0, got 0.5'],
    ['threshold', () => new ReduceOnPlateau({ threshold: -1 }), 'threshold must be a number ≥ 0, got -1'],
    [
      'thresholdMode',
      () => new ReduceOnPlateau({ thresholdMode: 'x' as 'absolute' }),
      "thresholdMode must be 'relative' or 'absolute', got 'x'",
    ],
    [
      'leastFactor',
      () => new ReduceOnPlateau({ leastFactor: NaN }),
      'leastFactor must be a number ≥ 0, got NaN',
    ],
    [
      'a state',
      () => new ReduceOnPlateau().loadStateDict({ factor: 1, best: null, bad: 0 } as never),
      'ReduceOnPlateau.loadStateDict: factor, best, bad and cooling must be numbers',
    ],
  ];
  test.each(rows)('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
});
