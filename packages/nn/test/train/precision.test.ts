/** Training in 16 bits: what is computed in which dtype, and the scale of the loss. */
import {
  AdamW,
  crossEntropy,
  Linear,
  MixedPrecision,
  SGD,
  trainStep,
  type LossFunction,
} from '@infinigrad/nn';
import { Key, setBackend, tensor, type Tensor } from '@infinigrad/tensor';
import { afterEach, describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import { regression, squares } from './regression.ts';
import { Network, samples, valuesOf, type Batch } from './support.ts';

afterEach(() => setBackend('wasm'));

describe('MixedPrecision', () => {
  test.each(['bf16', 'f16'] as const)('computes in %s with parameters that stay f32, and learns', (kind) => {
    const precision = new MixedPrecision({ dtype: kind });
    const model = new Network(0);
    const optimizer = new AdamW(model.parameters(), { learningRate: 0.02 });
    const data = samples();
    const seen = new Set<string>();
    const lossLow: LossFunction<Network, Batch> = (m, { x, y }, { lower, key }) => {
      seen.add(m.first.weight.dtype);
      const logits = m.forward(lower(x), key);
      seen.add(logits.dtype);
      return crossEntropy(logits.cast('f32'), y);
    };
    const losses = Array.from({ length: 20 }, () => {
      const { loss, skipped } = trainStep(model, optimizer, lossLow, [data], { precision, key: new Key(1) });
      expect(skipped).toBe(false);
      return loss.itemSync();
    });
    expect([...seen]).toEqual([kind]);
    expect(model.parameters().every((p) => p.dtype === 'f32')).toBe(true);
    expect(losses.at(-1)!).toBeLessThan(0.7 * losses[0]!);
    // The masters hold more than 16 bits do.
    const first = numbers(model.first.weight);
    expect(first).not.toEqual(numbers(model.first.weight.cast(kind)));
  });
  test('a loss scale of a power of two changes nothing where all gradients are in range', () => {
    const run = (lossScale: number): number[][] => {
      const { model, x, y } = regression();
      const optimizer = new SGD(model.parameters(), { learningRate: 0.1, maxGradNorm: 1 });
      const precision = new MixedPrecision({ dtype: 'bf16', lossScale, except: () => true });
      for (let i = 0; i < 3; i++)
        trainStep(
          model,
          optimizer,
          squares,
          [
            { x, y },
            { x, y },
          ],
          { precision },
        );
      return valuesOf(model);
    };
    expect(run(2 ** 12)).toEqual(run(1));
  });
  test('small gradients survive f16 with a scale, and are lost without', () => {
    const gradients = (lossScale: number): number => {
      const model = new Linear(1, 1, { key: new Key(0), bias: false });
      const before = model.weight.itemSync();
      const precision = new MixedPrecision({ dtype: 'f16', lossScale });
      const tiny: LossFunction<Linear, Tensor> = (m, x) => m.forward(x).cast('f32').mul(2e-9).sum();
      trainStep(
        model,
        new SGD([model.weight], { learningRate: 1e6 }),
        tiny,
        [tensor([[1]], { dtype: 'f16' })],
        { precision },
      );
      return model.weight.itemSync() - before;
    };
    expect(gradients(1)).toBe(0);
    expect(gradients(2 ** 15)).toBeCloseTo(-2e-3, 5);
  });
  test('an overflow halves the scale and skips the step; steps without double it', () => {
    const precision = new MixedPrecision({ dtype: 'f16', lossScale: 2 ** 15, growthInterval: 3 });
    const model = new Linear(1, 1, { key: new Key(0), bias: false });
    const optimizer = new SGD([model.weight], { learningRate: 0 });
    const steep: LossFunction<Linear, Tensor> = (m, x) => m.forward(x).cast('f32').mul(8).sum();
    const x = tensor([[1]], { dtype: 'f16' });
    const scales = Array.from({ length: 9 }, () => {
      const { skipped } = trainStep(model, optimizer, steep, [x], { precision });
      return [precision.scale, skipped];
    });
    // 8 · 2¹³ = 65536 is the first that f16 does not hold.
    expect(scales).toEqual([
      [2 ** 14, true],
      [2 ** 13, true],
      [2 ** 12, true],
      [2 ** 12, false],
      [2 ** 12, false],
      [2 ** 13, false],
      [2 ** 12, true],
      [2 ** 12, false],
      [2 ** 12, false],
    ]);
    expect(optimizer.stepCount).toBe(5);
    const other = new MixedPrecision({ dtype: 'f16' });
    other.load(JSON.parse(JSON.stringify(precision.state())));
    expect(other.state()).toEqual(precision.state());
  });
  test('what overflows without a scale is an error', () => {
    const precision = new MixedPrecision({ dtype: 'f16', lossScale: 1 });
    const model = new Linear(1, 1, { key: new Key(0), bias: false });
    const endless: LossFunction<Linear, Tensor> = (m, x) => m.forward(x).cast('f32').mul(1e6).sum();
    expect(() =>
      trainStep(
        model,
        new SGD([model.weight], { learningRate: 1 }),
        endless,
        [tensor([[1]], { dtype: 'f16' })],
        { precision },
      ),
    ).toThrow(/the norm of the gradients is (Infinity|NaN)/);
  });
});
