/** A step of weighted parts is the step of the whole; nothing changes where one fails. */
import {
  AdamW,
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
import { regression, rowsOf, squares } from './regression.ts';
import { laterBackend, lossOf, Network, samples, valuesOf, type Batch } from './support.ts';

afterEach(() => setBackend('wasm'));

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
