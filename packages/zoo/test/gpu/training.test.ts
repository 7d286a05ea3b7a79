/** A model trains on the GPU as on the wasm backend: the same code, the same losses. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { fromData, Key, setBackend } from '@infinigrad/tensor';
import { InfiniTransformer } from '@infinigrad/zoo';
import { afterAll, describe, expect, it } from 'vitest';
import { gpu } from '../../../tensor/test/gpu/host.ts';

const config = { vocabSize: 12, hiddenSize: 16, numLayers: 2, numHeads: 2, segmentLength: 8 };
const steps = 6;

/** Losses of a few steps over sequences of two segments that repeat, and logits after them. */
async function train(backend: string): Promise<{ losses: number[]; logits: Float32Array }> {
  setBackend(backend);
  try {
    const tokens = fromData(
      Int32Array.from({ length: 2 * 17 }, (_, i) => (i * i) % 12),
      [2, 17],
    );
    const [inputs, targets] = [tokens.narrow(1, 0, 16), tokens.narrow(1, 1, 16)];
    const model = new InfiniTransformer(config, new Key(3));
    const optimizer = new AdamW(model.parameters(), { learningRate: 1e-2, maxGradNorm: 0.5 });
    const losses: number[] = [];
    for (let step = 0; step < steps; step++)
      losses.push(await optimizer.minimize(() => crossEntropy(model.forward(inputs).logits, targets)).item());
    const logits = (await model.forward(inputs).logits.data()) as Float32Array;
    return { losses, logits };
  } finally {
    setBackend('wasm');
  }
}

describe.skipIf(!gpu)('a model on the gpu', () => {
  it('learns as it does on the wasm backend', async () => {
    const there = await train('gpu');
    const here = await train('wasm');
    there.losses.forEach((loss, i) => expect(loss).toBeCloseTo(here.losses[i]!, 3));
    expect(there.losses.at(-1)!).toBeLessThan(there.losses[0]! - 0.3);
    here.logits.forEach((logit, i) => expect(Math.abs(there.logits[i]! - logit)).toBeLessThan(0.02));
  });

  afterAll(() => gpu!.close());
});
