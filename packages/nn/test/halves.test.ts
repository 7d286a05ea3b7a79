/** Parameters, losses and updates in f16 and bf16. */
import { AdamW, crossEntropy, gradNorm, Linear, Parameter } from '@infinigrad/nn';
import { fromData, Key, roundTo, tensor, type HalfDType } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

const list = (x: { dataSync(): ArrayLike<number> }): number[] => Array.from(x.dataSync());

describe.each(['f16', 'bf16'] as const)('%s', (dtype: HalfDType) => {
  it('AdamW steps as in f32, and rounds the parameter after each step', () => {
    const start = new Key(1).normal([5, 3]).cast(dtype);
    const [half, single] = [new Parameter(start), new Parameter(start.cast('f32'))];
    const options = { learningRate: 0.05, weightDecay: 0.1 };
    const [narrow, wide] = [new AdamW([half], options), new AdamW([single], options)];
    for (let step = 0; step < 10; step++) {
      const g = new Key(2).foldIn(step).normal([5, 3]).cast(dtype);
      half.grad = g;
      single.grad = g.cast('f32');
      narrow.step();
      wide.step();
      single.assign(single.detach().cast(dtype).cast('f32'));
      expect(half.dtype).toBe(dtype);
      expect(list(half)).toEqual(list(single));
    }
    const { tensors } = narrow.stateDict();
    expect([tensors['0.moment']!.dtype, tensors['0.secondMoment']!.dtype]).toEqual(['f32', 'f32']);
  });

  it('goes on exactly from a saved state', () => {
    const make = (): { parameter: Parameter; optimizer: AdamW } => {
      const parameter = new Parameter(new Key(1).normal([6]).cast(dtype));
      return { parameter, optimizer: new AdamW([parameter], { learningRate: 0.1 }) };
    };
    const step = ({ parameter, optimizer }: ReturnType<typeof make>, k: number): void => {
      parameter.grad = new Key(5).foldIn(k).normal([6]).cast(dtype);
      optimizer.step();
    };
    const [whole, first, second] = [make(), make(), make()];
    for (let k = 0; k < 4; k++) step(whole, k);
    for (let k = 0; k < 2; k++) step(first, k);
    second.parameter.assign(first.parameter.detach());
    second.optimizer.loadStateDict(first.optimizer.stateDict());
    for (let k = 2; k < 4; k++) step(second, k);
    expect(list(second.parameter)).toEqual(list(whole.parameter));
  });

  it('moves by gradients whose squares it cannot hold', () => {
    const parameter = new Parameter(tensor([1], { dtype }));
    const optimizer = new AdamW([parameter], { learningRate: 0.5, weightDecay: 0 });
    parameter.grad = tensor([1e-5], { dtype });
    optimizer.step();
    expect(list(parameter)[0]).toBeCloseTo(0.5, 2);
  });

  it('the norm of large gradients is finite', () => {
    const parameter = new Parameter(tensor([0, 0], { dtype }));
    parameter.grad = tensor([3000, 4000], { dtype });
    expect(gradNorm([parameter])).toBeCloseTo(5000, -2);
  });

  it('the mean loss of many targets is what it is in f32, rounded', () => {
    const logits = new Key(3).normal([20_000, 3], { std: 8 }).cast(dtype).requireGrad();
    const targets = fromData(new Int32Array(20_000), [20_000]);
    const loss = crossEntropy(logits, targets);
    const wide = crossEntropy(logits.detach().cast('f32'), targets);
    expect(loss.dtype).toBe(dtype);
    expect(loss.itemSync()).toBe(roundTo(dtype, wide.itemSync()));
    loss.backward();
    expect(logits.grad!.dtype).toBe(dtype);
  });

  it('a layer computes, is initialised finely, and loads weights of other dtypes', () => {
    const layer = new Linear(64, 64, { key: new Key(4), dtype });
    expect(new Set(list(layer.weight)).size).toBeGreaterThan(500);
    expect(layer.forward(new Key(5).normal([2, 64], { dtype })).dtype).toBe(dtype);
    // Mixed: activations in f32 stay there.
    expect(layer.forward(new Key(5).normal([2, 64])).dtype).toBe('f32');
    const wide = new Linear(64, 64, { key: new Key(6) });
    wide.loadStateDict(layer.stateDict());
    expect(list(wide.weight)).toEqual(list(layer.weight));
    layer.loadStateDict(wide.stateDict());
    expect(list(layer.weight)).toEqual(list(wide.weight));
  });
});
