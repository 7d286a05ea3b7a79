/** A step of weighted parts is the step of the whole; nothing changes where one fails; storage of 16 bits. */
import {
  AdamW,
  crossEntropy,
  evaluate,
  Linear,
  MixedPrecision,
  mseLoss,
  SGD,
  trainStep,
  type LossFunction,
} from '@infinigrad/nn';
import {
  DTypeError,
  Key,
  memoryStats,
  NumericError,
  setBackend,
  tensor,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { laterBackend, lossOf, Network, samples, valuesOf, type Batch } from './support.ts';

const dtype = 'f64' as const;
afterEach(() => setBackend('wasm'));

/** A linear model and rows for it, in f64. */
function regression(rows = 12): { model: Linear; x: Tensor; y: Tensor } {
  return {
    model: new Linear(3, 2, { key: new Key(1), dtype }),
    x: new Key(2).normal([rows, 3], { dtype }),
    y: new Key(3).normal([rows, 2], { dtype }),
  };
}
const squares: LossFunction<Linear, Batch> = (m, { x, y }) => mseLoss(m.forward(x), y);
const rowsOf = ({ x }: Batch): number => x.shape[0]!;

describe('trainStep', () => {
  test('of one batch is minimize, to the bit', () => {
    const [x, y] = [samples().x, samples().y];
    const run = (step: (model: Network, optimizer: AdamW, key: Key) => Tensor): unknown => {
      const model = new Network();
      const optimizer = new AdamW(model.parameters(), { maxGradNorm: 0.5 });
      const losses = [0, 1, 2].map((i) => step(model, optimizer, new Key(9).foldIn(i)).itemSync());
      return [losses, valuesOf(model), optimizer.lastGradNorm];
    };
    expect(run((m, o, key) => trainStep(m, o, lossOf, [{ x, y }], { key }).loss)).toEqual(
      run((m, o, key) => o.minimize(() => lossOf(m, { x, y }, { key }))),
    );
  });
  test('of parts that weigh what they hold is the step of the whole', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(undefined, 0.1),
        (sizes, maxGradNorm) => {
          const count = sizes.reduce((a, b) => a + b, 0);
          const run = (parts: (data: Batch) => Batch[]): number[] => {
            const { model, x, y } = regression(count);
            const optimizer = new SGD(model.parameters(), {
              learningRate: 0.1,
              ...(maxGradNorm && { maxGradNorm }),
            });
            const lossWithMetrics: LossFunction<Linear, Batch> = (m, b, c) => {
              const loss = squares(m, b, c) as Tensor;
              return { loss, metrics: { size: b.x.abs().mean() } };
            };
            const { loss, metrics, weight } = trainStep(model, optimizer, lossWithMetrics, parts({ x, y }), {
              weight: rowsOf,
            });
            return [
              loss.itemSync(),
              metrics['size']!.itemSync(),
              weight,
              optimizer.lastGradNorm!,
              ...valuesOf(model).flat(),
            ];
          };
          let at = 0;
          const split = ({ x, y }: Batch): Batch[] => {
            at = 0;
            return sizes.map((size) => {
              const part = { x: x.narrow(0, at, size), y: y.narrow(0, at, size) };
              at += size;
              return part;
            });
          };
          expectNumbers(
            run(split),
            run((data) => [data]),
            1e-12,
          );
        },
      ),
      { numRuns: 30 },
    ));
  test('gives each part a key of its own', () => {
    const keys: unknown[] = [];
    const { model, x, y } = regression();
    const optimizer = new SGD(model.parameters(), { learningRate: 0.1 });
    const spying: LossFunction<Linear, Batch> = (m, b, context) => {
      keys.push(context.key?.words, context.training, context.step);
      return squares(m, b, context);
    };
    const key = new Key(5);
    trainStep(
      model,
      optimizer,
      spying,
      [
        { x, y },
        { x, y },
      ],
      { key },
    );
    trainStep(model, optimizer, spying, [{ x, y }], { key });
    expect(keys).toEqual([key.foldIn(0).words, true, 0, key.foldIn(1).words, true, 0, key.words, true, 1]);
  });
  test('hands out what the loss function does, part by part, without history', () => {
    const { model, x, y } = regression();
    const optimizer = new SGD(model.parameters(), { learningRate: 0.1 });
    const before = model.forward(x);
    const loss: LossFunction<Linear, Batch> = (m, b) => {
      const output = m.forward(b.x);
      return { loss: mseLoss(output, b.y), aux: { outputs: [output], words: 'as they are' } };
    };
    const { aux } = trainStep(model, optimizer, loss, [
      { x, y },
      { x, y },
    ]);
    expect(aux).toHaveLength(2);
    for (const { outputs, words } of aux as { outputs: [Tensor]; words: string }[]) {
      expect([words, outputs[0].requiresGrad]).toEqual(['as they are', false]);
      expect(numbers(outputs[0])).toEqual(numbers(before));
    }
    expect(trainStep(model, optimizer, squares, [{ x, y }]).aux).toEqual([undefined]);
  });
  test('gives back all but what it returns, and forgets the gradients', () => {
    const model = new Network();
    const optimizer = new AdamW(model.parameters());
    const data = samples();
    const bytes = [0, 1, 2, 3].map((i) => {
      const { loss } = trainStep(model, optimizer, lossOf, [data, data], { key: new Key(i) });
      expect(loss.requiresGrad).toBe(false);
      expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
      return memoryStats().tiers.scoped;
    });
    expect(new Set(bytes)).toEqual(new Set([bytes[0]]));
  });
  test.each<[string, (loss: Tensor, model: Network) => Tensor, RegExp]>([
    ['a loss', (loss) => loss.mul(NaN), /the loss is NaN at step 2/],
    // √0 has an infinite slope.
    [
      'a gradient',
      (loss, model) => loss.add(model.second.weight.mul(0).sqrt().sum()),
      /norm of the gradients is/,
    ],
  ])('%s that is no number changes nothing: parameters, buffers, optimizer', (_, spoil, says) => {
    const model = new Network();
    const optimizer = new AdamW(model.parameters());
    const data = samples();
    trainStep(model, optimizer, lossOf, [data], { key: new Key(0) });
    const before = [valuesOf(model), optimizer.stateDict().step];
    const bad: LossFunction<Network, Batch> = (m, b, context) => spoil(lossOf(m, b, context), m);
    expect(() => trainStep(model, optimizer, bad, [data, data], { key: new Key(1) })).toThrow(NumericError);
    expect(() => trainStep(model, optimizer, bad, [data], { key: new Key(1) })).toThrow(says);
    expect([valuesOf(model), optimizer.stateDict().step]).toEqual(before);
    // And the next step is the one it would have been.
    trainStep(model, optimizer, lossOf, [data], { key: new Key(1) });
    const other = new Network();
    const fresh = new AdamW(other.parameters());
    for (const i of [0, 1]) trainStep(other, fresh, lossOf, [data], { key: new Key(i) });
    expect(valuesOf(model)).toEqual(valuesOf(other));
  });
  test('reads nothing where reading takes time', async () => {
    const { name } = laterBackend();
    setBackend(name);
    const model = new Network();
    const data = samples();
    const optimizer = new AdamW(model.parameters(), { maxGradNorm: 0.5 });
    const losses: number[] = [];
    for (let i = 0; i < 3; i++)
      losses.push(await trainStep(model, optimizer, lossOf, [data, data], { key: new Key(i) }).loss.item());
    setBackend('js');
    const other = new Network();
    const own = samples();
    const fresh = new AdamW(other.parameters(), { maxGradNorm: 0.5 });
    const expected = [0, 1, 2].map((i) =>
      trainStep(other, fresh, lossOf, [own, own], { key: new Key(i) }).loss.itemSync(),
    );
    expectNumbers(losses, expected, 1e-6);
    expect(new Set(losses).size).toBe(3);
  });
});

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

describe('errors', () => {
  const { model, x, y } = regression();
  const optimizer = new SGD(model.parameters(), { learningRate: 0.1 });
  const step = (loss: LossFunction<Linear, Batch>, options = {}, parts = [{ x, y }]) =>
    trainStep(model, optimizer, loss, parts, options);
  type Row = [string, () => unknown, new (...args: never[]) => Error, string];
  test.each<Row>([
    ['no parts', () => step(squares, {}, []), ValueError, 'trainStep: needs at least one batch'],
    [
      'a weight of 0',
      () => step(squares, { weight: () => 0 }),
      ValueError,
      'trainStep: the weight of a batch must be a number > 0, got 0',
    ],
    [
      'nothing returned',
      () => step((() => {}) as never),
      ValueError,
      'trainStep: the loss function must return a tensor, or { loss, metrics }. Hint: did it forget to return?',
    ],
    [
      'a promise',
      () => step((() => Promise.resolve(x)) as never),
      ValueError,
      'Hint: it must not be asynchronous',
    ],
    [
      'dtype',
      () => new MixedPrecision({ dtype: 'f32' as 'f16' }),
      ValueError,
      "MixedPrecision: dtype must be bf16 or f16, got 'f32'",
    ],
    [
      'lossScale',
      () => new MixedPrecision({ dtype: 'f16', lossScale: 0 }),
      ValueError,
      'MixedPrecision: lossScale must be a number ≥ 1, got 0',
    ],
    [
      'growthInterval',
      () => new MixedPrecision({ dtype: 'f16', growthInterval: 0 }),
      ValueError,
      'MixedPrecision: growthInterval must be an integer ≥ 1',
    ],
    [
      'a state that is none',
      () => new MixedPrecision({ dtype: 'f16' }).load({ scale: 0 }),
      ValueError,
      'MixedPrecision.load: not a state of a loss scale: {"scale":0}',
    ],
    [
      'a loss of f16',
      () =>
        step((m, b) => mseLoss(m.forward(b.x), b.y).cast('f16'), {
          precision: new MixedPrecision({ dtype: 'f16' }),
        }),
      DTypeError,
      "MixedPrecision: the loss must be of f32, for its scale: [] f16. Hint: compute it from logits.cast('f32')",
    ],
  ])('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  test('a dynamic scale where gradients cannot be read', () => {
    setBackend(laterBackend().name);
    const far = new Linear(1, 1, { key: new Key(0) });
    const data = tensor([[1]], { dtype: 'f16' });
    const loss: LossFunction<Linear, Tensor> = (m, input) => m.forward(input).cast('f32').sum();
    const run = (dynamic: boolean) => () =>
      trainStep(far, new SGD(far.parameters(), { learningRate: 1 }), loss, [data], {
        precision: new MixedPrecision({ dtype: 'f16', dynamic }),
      });
    expect(run(true)).toThrow(
      'MixedPrecision: a dynamic loss scale reads gradients, which this backend cannot at once',
    );
    expect(run(false)).not.toThrow();
  });
  test('parts with different metrics', () => {
    let calls = 0;
    const changing: LossFunction<Linear, Batch> = (m, b, c) => ({
      loss: squares(m, b, c) as Tensor,
      metrics: { [`m${calls++}`]: b.x.sum() },
    });
    expect(() =>
      step(changing, {}, [
        { x, y },
        { x, y },
      ]),
    ).toThrow('trainStep: the parts of a batch have different metrics');
  });
  test('an evaluation of nothing', async () => {
    await expect(evaluate(model, squares, [])).rejects.toThrow('evaluate: there are no batches');
    await expect(evaluate(model, squares, [{ x, y }], { limit: 0 })).rejects.toThrow(
      'evaluate: limit must be an integer ≥ 1',
    );
  });
});
