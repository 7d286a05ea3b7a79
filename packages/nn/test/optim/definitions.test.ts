/** What PyTorch does not have, against definitions written out over plain numbers; and fused steps against their chains. */
import {
  Adafactor,
  Adam,
  AdamW,
  ChainOptimizer,
  LAMB,
  Lion,
  Muon,
  Parameter,
  ScheduleFreeAdamW,
  SGD,
  transforms,
  type Optimizer,
} from '@infinigrad/nn';
import { fromData, Key, tensor, type FloatDType } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dot, expectNumbers, numbers } from '../support.ts';

const dtype = 'f64' as const;
const { chain } = transforms;
const shape = [3, 4];
const size = 12;

/** Values and gradients of a few steps, drawn from a seed. */
const drawn = (seed: number, steps: number, of = shape): { value: number[]; gradients: number[][] } => {
  const key = new Key(seed);
  const draw = (i: number): number[] => numbers(key.foldIn(i).normal(of, { dtype }));
  return { value: draw(0), gradients: Array.from({ length: steps }, (_, i) => draw(i + 1)) };
};

/** Steps an optimizer by given gradients, and a definition beside it; compares after each. */
function follow(
  make: (p: Parameter) => Optimizer,
  next: (theta: number[], g: number[], step: number) => number[],
  { seed, steps, of = shape }: { seed: number; steps: number; of?: number[] },
): { p: Parameter; optimizer: Optimizer } {
  const { value, gradients } = drawn(seed, steps, of);
  const p = new Parameter(fromData(Float64Array.from(value), of, { dtype }));
  const optimizer = make(p);
  let theta = value;
  gradients.forEach((g, i) => {
    p.grad = fromData(Float64Array.from(g), of, { dtype });
    optimizer.step();
    theta = next(theta, g, i + 1);
    expectNumbers(numbers(p), theta, 1e-10);
  });
  return { p, optimizer };
}

const seeds = fc.nat(10_000);
const rate = fc.double({ min: 1e-3, max: 0.3, noNaN: true });
const beta = fc.constantFrom(0, 0.5, 0.9);
const decay = fc.constantFrom(0, 0.1, 1);
const norm = (x: readonly number[]): number => Math.sqrt(dot(x, x));
const rms = (x: readonly number[]): number => norm(x) / Math.sqrt(x.length);
const zero = (): number[] => new Array<number>(size).fill(0);

describe('definitions', () => {
  test('Lion (arXiv 2302.06675, Algorithm 2)', () => {
    const law = fc.property(
      seeds,
      rate,
      beta,
      beta,
      decay,
      (seed, learningRate, beta1, beta2, weightDecay) => {
        let m = zero();
        follow(
          (p) => new Lion([p], { learningRate, betas: [beta1, beta2], weightDecay }),
          (theta, g) => {
            const after = theta.map((x, i) => {
              const c = beta1 * m[i]! + (1 - beta1) * g[i]!;
              return x - learningRate * (Math.sign(c) + weightDecay * x);
            });
            m = m.map((x, i) => beta2 * x + (1 - beta2) * g[i]!);
            return after;
          },
          { seed, steps: 5 },
        );
      },
    );
    fc.assert(law, { numRuns: 30 });
  });

  test('LAMB (arXiv 1904.00962, Algorithm 2), where norms are 0 as well', () => {
    const most = fc.constantFrom(Infinity, 2);
    const law = fc.property(
      seeds,
      rate,
      decay,
      most,
      fc.boolean(),
      (seed, learningRate, weightDecay, mostNorm, empty) => {
        let [m, v] = [zero(), zero()];
        const of = empty ? [0] : shape;
        if (empty) [m, v] = [[], []];
        follow(
          (p) => new LAMB([p], { learningRate, weightDecay, mostNorm, betas: [0.8, 0.9], eps: 1e-3 }),
          (theta, g, step) => {
            m = m.map((x, i) => 0.8 * x + 0.2 * g[i]!);
            v = v.map((x, i) => 0.9 * x + 0.1 * g[i]! ** 2);
            const u = m.map((x, i) => {
              const r = x / (1 - 0.8 ** step) / (Math.sqrt(v[i]! / (1 - 0.9 ** step)) + 1e-3);
              return r + weightDecay * theta[i]!;
            });
            const [a, b] = [Math.min(norm(theta), mostNorm), norm(u)];
            const ratio = a > 0 && b > 0 ? a / b : 1;
            return theta.map((x, i) => x - learningRate * ratio * u[i]!);
          },
          { seed, steps: 4, of },
        );
      },
    );
    fc.assert(law, { numRuns: 30 });
    const [p, q] = [new Parameter(tensor([0, 0], { dtype })), new Parameter(tensor([3, 4], { dtype }))];
    const optimizer = new LAMB([p, q], { learningRate: 0.1, eps: 1 });
    p.grad = tensor([1, -1], { dtype });
    q.grad = tensor([0, 0], { dtype });
    optimizer.step();
    expectNumbers(numbers(p), [-0.05, 0.05]);
    expect(numbers(q)).toEqual([3, 4]);
  });

  test('schedule-free AdamW, by y and z alone as its authors keep it', () => {
    const power = fc.constantFrom(0, 1);
    const law = fc.property(
      seeds,
      rate,
      beta,
      decay,
      fc.nat(3),
      power,
      (seed, learningRate, beta1, weightDecay, warmupSteps, averagePower) => {
        const { value } = drawn(seed, 0);
        let z = value;
        let v = zero();
        let [sum, highest] = [0, 0];
        const { p, optimizer } = follow(
          (p) =>
            new ScheduleFreeAdamW([p], {
              learningRate,
              betas: [beta1, 0.9],
              weightDecay,
              warmupSteps,
              averagePower,
              eps: 1e-3,
            }),
          (y, g, step) => {
            const lr = learningRate * Math.min(1, warmupSteps > 0 ? step / warmupSteps : 1);
            highest = Math.max(highest, lr);
            const weight = step ** averagePower * highest ** 2;
            sum += weight;
            const c = weight / sum;
            v = v.map((x, i) => 0.9 * x + 0.1 * g[i]! ** 2);
            const d = y.map(
              (x, i) => g[i]! / (Math.sqrt(v[i]! / (1 - 0.9 ** step)) + 1e-3) + weightDecay * x,
            );
            const after = y.map((x, i) => x + c * (z[i]! - x) + lr * (beta1 * (1 - c) - 1) * d[i]!);
            z = z.map((x, i) => x - lr * d[i]!);
            return after;
          },
          { seed, steps: 6 },
        ) as { p: Parameter; optimizer: ScheduleFreeAdamW };
        const y = numbers(p);
        optimizer.eval();
        if (beta1 > 0)
          expectNumbers(
            numbers(p),
            y.map((at, i) => at + (1 - 1 / beta1) * (z[i]! - at)),
            1e-9,
          );
        optimizer.train();
        expect(numbers(p)).toEqual(y);
      },
    );
    fc.assert(law, { numRuns: 30 });
  });

  test('Adafactor with momentum and a fixed rate, as T5 was fine-tuned with it', () => {
    const law = fc.property(
      seeds,
      rate,
      fc.constantFrom(0, 0.9),
      decay,
      (seed, learningRate, momentum, weightDecay) => {
        const [n, m] = shape as [number, number];
        let [rows, columns, mean] = [new Array<number>(n).fill(0), new Array<number>(m).fill(0), zero()];
        follow(
          (p) =>
            new Adafactor([p], {
              learningRate,
              momentum,
              weightDecay,
              relativeStep: false,
              scaleParameter: false,
              clipThreshold: 0.8,
            }),
          (theta, g, step) => {
            const keep = 1 - step ** -0.8;
            const at = (i: number, j: number): number => g[i * m + j]!;
            const meanOf = (count: number, f: (k: number) => number): number =>
              Array.from({ length: count }, (_, k) => f(k)).reduce((a, b) => a + b, 0) / count;
            rows = rows.map((x, i) => keep * x + (1 - keep) * meanOf(m, (j) => at(i, j) ** 2));
            columns = columns.map((x, j) => keep * x + (1 - keep) * meanOf(n, (i) => at(i, j) ** 2));
            const overall = meanOf(n, (i) => rows[i]!);
            const u = g.map((x, k) => {
              const v = (rows[Math.floor(k / m)]! * columns[k % m]!) / overall;
              return x / Math.sqrt(v);
            });
            const clip = Math.max(1, rms(u) / 0.8);
            mean = mean.map((x, k) => momentum * x + ((1 - momentum) * u[k]!) / clip);
            return theta.map((x, k) => x * (1 - learningRate * weightDecay) - learningRate * mean[k]!);
          },
          { seed, steps: 4 },
        );
      },
    );
    fc.assert(law, { numRuns: 30 });
  });

  test('Muon takes filters of convolutions as matrices, and brings singular values near 1', () => {
    const key = new Key(3);
    const filters = new Parameter(key.normal([4, 2, 3], { dtype }));
    const matrix = new Parameter(filters.detach().reshape([4, 6]));
    const [a, b] = [filters, matrix].map((p) => new Muon([p], { learningRate: 0.1, weightDecay: 0 })) as [
      Muon,
      Muon,
    ];
    const g = key.foldIn(1).normal([4, 2, 3], { dtype });
    filters.grad = g;
    matrix.grad = g.reshape([4, 6]);
    const before = numbers(matrix);
    a.step();
    b.step();
    expect(numbers(filters)).toEqual(numbers(matrix));
    const change = fromData(
      Float64Array.from(numbers(matrix), (x, i) => (before[i]! - x) / 0.1),
      [4, 6],
    );
    const values = numbers(change.svd().s);
    expect(Math.min(...values)).toBeGreaterThan(0.3);
    expect(Math.max(...values)).toBeLessThan(1.3);
  });

  test('lookahead (arXiv 1907.08610, Algorithm 1), over momentum', () => {
    const law = fc.property(
      seeds,
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(0.3, 1),
      (seed, every, weight) => {
        let slow = drawn(seed, 0).value;
        let b = zero();
        follow(
          (p) => new SGD([p], { learningRate: 0.1, momentum: 0.5, lookahead: { every, weight } }),
          (theta, g, step) => {
            b = b.map((x, i) => 0.5 * x + g[i]!);
            const fast = theta.map((x, i) => x - 0.1 * b[i]!);
            if (step % every > 0) return fast;
            slow = slow.map((x, i) => x + weight * (fast[i]! - x));
            return slow;
          },
          { seed, steps: 9 },
        );
      },
    );
    fc.assert(law, { numRuns: 20 });
  });
});

describe('fused steps are their chains', () => {
  const settings = fc.record({
    seed: seeds,
    learningRate: rate,
    betas: fc.tuple(beta, fc.constantFrom(0.5, 0.9, 0.999)),
    eps: fc.constantFrom(1e-8, 1e-3),
    weightDecay: decay,
    kind: fc.constantFrom<FloatDType>('f32', 'f64'),
    clip: fc.constantFrom({}, { maxGradNorm: 0.5 }),
  });
  const { addDecayedWeights, scaleByAdam, scaleByLearningRate } = transforms;
  const pairs = {
    AdamW: [
      (p: Parameter, o: object) => new AdamW([p], o),
      ({ weightDecay, ...o }: { weightDecay: number }) =>
        chain(scaleByAdam(o), addDecayedWeights(weightDecay), scaleByLearningRate()),
    ],
    Adam: [
      (p: Parameter, o: object) => new Adam([p], o),
      ({ weightDecay, ...o }: { weightDecay: number }) =>
        chain(addDecayedWeights(weightDecay), scaleByAdam(o), scaleByLearningRate()),
    ],
  } as const;
  test.each(Object.entries(pairs))('%s', (_, [make, chainOf]) => {
    const law = fc.property(settings, ({ seed, kind, clip, ...options }) => {
      const { value, gradients } = drawn(seed, 5);
      const [p, q] = [1, 2].map(
        () => new Parameter(fromData(Float64Array.from(value), shape).cast(kind)),
      ) as [Parameter, Parameter];
      const { learningRate } = options;
      const [fused, plain] = [
        make(p, { ...options, ...clip }),
        new ChainOptimizer([q], chainOf(options), { learningRate, ...clip }),
      ];
      for (const g of gradients) {
        p.grad = q.grad = fromData(Float64Array.from(g), shape).cast(kind);
        fused.step();
        plain.step();
        expectNumbers(numbers(p), numbers(q), kind === 'f64' ? 1e-12 : 3e-6);
      }
      // Their states have one form: each goes on from the other's.
      plain.loadStateDict(fused.stateDict());
      expect(plain.stepCount).toBe(5);
    });
    fc.assert(law, { numRuns: 40 });
  });
});
