/** Gradients of parts of a batch are those of the whole batch. */
import { AdamW, crossEntropy, Linear, SGD, type Optimizer, type Parameter } from '@infinigrad/nn';
import { fromData, Key, ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';

const dtype = 'f64' as const;

/** A classifier over tokens, some of which do not count. */
function begin(make: (params: Parameter[]) => Optimizer): {
  model: Linear;
  optimizer: Optimizer;
  loss: (rows: readonly number[], targets: readonly number[]) => Tensor;
} {
  const model = new Linear(4, 3, { key: new Key(1), dtype });
  const optimizer = make(model.parameters());
  const inputs = new Key(2).normal([40, 4], { dtype });
  const loss = (rows: readonly number[], targets: readonly number[]): Tensor => {
    const x = inputs.indexSelect(0, fromData(Int32Array.from(rows), [rows.length]));
    return crossEntropy(model.forward(x), fromData(Int32Array.from(targets), [targets.length]));
  };
  return { model, optimizer, loss };
}
const valuesOf = (model: Linear): number[] => model.parameters().flatMap(numbers);

const optimizers: Record<string, (params: Parameter[]) => Optimizer> = {
  SGD: (params) => new SGD(params, { learningRate: 0.1, momentum: 0.9 }),
  'AdamW, clipped by norm': (params) => new AdamW(params, { learningRate: 0.1, maxGradNorm: 0.3 }),
  'SGD, clipped by value': (params) => new SGD(params, { learningRate: 0.1, maxGradValue: 0.05 }),
};

describe.each(Object.entries(optimizers))('%s', (_, make) => {
  test('k parts, weighted by the tokens that count, equal one large batch', () => {
    const part = fc.array(fc.tuple(fc.nat(39), fc.constantFrom(0, 1, 2, -100)), {
      minLength: 1,
      maxLength: 6,
    });
    const counted = part.filter((tokens) => tokens.some(([, target]) => target >= 0));
    const law = fc.property(fc.array(counted, { minLength: 1, maxLength: 4 }), (parts) => {
      const [large, small] = [begin(make), begin(make)];
      for (let step = 0; step < 3; step++) {
        const all = parts.flat();
        const whole = large.optimizer.minimize(() =>
          large.loss(
            all.map(([row]) => row),
            all.map(([, target]) => target),
          ),
        );
        let [sum, weights] = [0, 0];
        for (const tokens of parts) {
          const weight = tokens.filter(([, target]) => target >= 0).length;
          const loss = small.optimizer.accumulate(
            () =>
              small.loss(
                tokens.map(([row]) => row),
                tokens.map(([, target]) => target),
              ),
            weight,
          );
          sum += weight * loss.itemSync();
          weights += weight;
        }
        small.optimizer.step();
        expectNumbers([sum / weights], [whole.itemSync()], 1e-12);
        expectNumbers([small.optimizer.lastGradNorm!], [large.optimizer.lastGradNorm!], 1e-12);
        expectNumbers(valuesOf(small.model), valuesOf(large.model), 1e-11);
        expect(small.optimizer.parameters.every(({ grad }) => grad === null)).toBe(true);
      }
      expect(small.optimizer.stepCount).toBe(3);
    });
    fc.assert(law, { numRuns: 12 });
  });
});

describe('accumulate', () => {
  const one = (): ReturnType<typeof begin> => begin(optimizers['SGD']!);
  test('counts every part as 1 unless told', () => {
    const [a, b] = [one(), one()];
    for (const rows of [[1, 2], [3]])
      a.optimizer.accumulate(() =>
        a.loss(
          rows,
          rows.map(() => 0),
        ),
      );
    a.optimizer.step();
    b.optimizer.minimize(() =>
      b
        .loss([1, 2], [0, 0])
        .add(b.loss([3], [0]))
        .mul(0.5),
    );
    expectNumbers(valuesOf(a.model), valuesOf(b.model), 1e-13);
  });
  test('forgets gradients from before the first part, and starts anew after a step', () => {
    const [a, b] = [one(), one()];
    a.loss([5], [1]).mul(100).backward();
    for (const run of [a, b])
      for (let i = 0; i < 2; i++) {
        run.optimizer.accumulate(() => run.loss([1], [2]), 3);
        run.optimizer.step();
      }
    expect(valuesOf(a.model)).toEqual(valuesOf(b.model));
  });
  test('gives the loss without history', () => {
    const { optimizer, loss } = one();
    const value = optimizer.accumulate(() => loss([1], [2]), 7);
    expect([value.requiresGrad, value.itemSync()]).toEqual([false, loss([1], [2]).itemSync()]);
  });
  test('zeroGrad forgets what was accumulated', () => {
    const [a, b] = [one(), one()];
    a.optimizer.accumulate(() => a.loss([5], [1]), 9);
    a.optimizer.zeroGrad();
    for (const run of [a, b]) {
      run.optimizer.accumulate(() => run.loss([1], [2]), 2);
      run.optimizer.step();
    }
    expect(valuesOf(a.model)).toEqual(valuesOf(b.model));
  });
  test('a part that fails leaves those before as they are', () => {
    const [a, b] = [one(), one()];
    for (const run of [a, b]) run.optimizer.accumulate(() => run.loss([1], [2]), 2);
    expect(() => a.optimizer.accumulate(() => a.loss([1], [0]).mul(NaN))).toThrow(
      'SGD.accumulate: the loss is NaN at step 1. Hint: nothing was changed',
    );
    expect(() => a.optimizer.accumulate(() => a.model.weight.mul(1))).toThrow(ShapeError);
    for (const run of [a, b]) {
      run.optimizer.accumulate(() => run.loss([3], [0]), 1);
      run.optimizer.step();
    }
    expect(valuesOf(a.model)).toEqual(valuesOf(b.model));
  });
  test.each([0, -1, NaN, Infinity])('a weight of %d is refused', (weight) => {
    const { optimizer, loss } = one();
    expect(() => optimizer.accumulate(() => loss([1], [2]), weight)).toThrow(ValueError);
    expect(() => optimizer.accumulate(() => loss([1], [2]), weight)).toThrow(
      `SGD.accumulate: weight must be a number > 0, got ${weight}`,
    );
  });
  test('step without parts updates by the gradients that there are, and keeps them', () => {
    const { optimizer, model, loss } = one();
    loss([1], [2]).backward();
    optimizer.step();
    expect(model.weight.grad).not.toBeNull();
  });
});
