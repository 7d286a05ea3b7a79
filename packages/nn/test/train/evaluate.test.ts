/** Evaluations: weighted means, nothing kept or changed. */
import { evaluate, Linear, type LossFunction } from '@infinigrad/nn';
import { setBackend, type Tensor } from '@infinigrad/tensor';
import { afterEach, describe, expect, test } from 'vitest';
import { expectNumbers } from '../support.ts';
import { regression, rowsOf, squares } from './regression.ts';
import { lossOf, Network, samples, valuesOf, type Batch } from './support.ts';

afterEach(() => setBackend('wasm'));

describe('evaluate', () => {
  const data = (sizes: readonly number[]): Batch[] => {
    const { x, y } = regression(12);
    let at = 0;
    return sizes.map((size) => {
      at += size;
      return { x: x.narrow(0, at - size, size), y: y.narrow(0, at - size, size) };
    });
  };
  test('is the weighted mean over all batches, and leaves the model as it was', async () => {
    const { model } = regression();
    model.train();
    const lossAndSize: LossFunction<Linear, Batch> = (m, b, context) => {
      expect([m.training, context.training, context.lower(b.x) === b.x]).toEqual([false, false, true]);
      return { loss: squares(m, b, context) as Tensor, metrics: { size: b.x.abs().mean() } };
    };
    const whole = await evaluate(model, lossAndSize, data([12]));
    const parts = await evaluate(model, lossAndSize, data([5, 4, 3]), { weight: rowsOf });
    expect(Object.keys(parts)).toEqual(['loss', 'size']);
    expectNumbers(Object.values(parts), Object.values(whole));
    expect(model.training).toBe(true);
    const [first] = [await evaluate(model, squares, data([5, 7]), { limit: 1 })];
    expectNumbers([first.loss], [(await evaluate(model, squares, data([5]))).loss]);
  });
  test('restores modes that differ, also after an error', async () => {
    const model = new Network();
    model.drop.training = false;
    const bad: LossFunction<Network, Batch> = () => {
      throw new Error('no');
    };
    await expect(evaluate(model, bad, [samples()])).rejects.toThrow('no');
    expect([model.training, model.drop.training, model.norm.training]).toEqual([true, false, true]);
  });
  test('changes no buffers, and needs no key', async () => {
    const model = new Network();
    const before = valuesOf(model);
    await evaluate(model, lossOf, [samples()]);
    expect(valuesOf(model)).toEqual(before);
  });
});
