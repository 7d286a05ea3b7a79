/** A model trains on the GPU as on the wasm backend: the same code, the same losses. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { fromData, full, Key, setBackend } from '@infinigrad/tensor';
import {
  evaluatePasskeyAsync,
  InfiniTransformer,
  PasskeyTrainer,
  passkeyRecipe,
  type CellReport,
  type StepReport,
} from '@infinigrad/zoo';
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

const recipe = passkeyRecipe('gated', {
  batchSize: 2,
  segmentLength: 8,
  digits: 2,
  maxSegments: 3,
  hiddenSize: 8,
  intermediateSize: 16,
  steps: 4,
});

async function passkeys(backend: string): Promise<{ reports: StepReport[]; cells: CellReport[] }> {
  setBackend(backend);
  try {
    const trainer = new PasskeyTrainer(recipe);
    const reports: StepReport[] = [];
    for await (const report of trainer.runAsync()) reports.push(report);
    const cells: CellReport[] = [];
    const options = { multiples: [1, 2], positions: ['any'], samples: 2, seed: 0 } as const;
    for await (const cell of evaluatePasskeyAsync(trainer.model, recipe, options)) cells.push(cell);
    return { reports, cells };
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

  it('trains the passkey recipe, and answers, as on the wasm backend', async () => {
    const [there, here] = [await passkeys('gpu'), await passkeys('wasm')];
    there.reports.forEach((report, i) => {
      const same = here.reports[i]!;
      expect(Math.abs(report.loss - same.loss)).toBeLessThan(1e-3);
      expect(report.gradNorm).toBeNaN();
      expect(report.gates.flat()).toHaveLength(same.gates.flat().length);
      report.gates.flat().forEach((g, k) => expect(g).toBeCloseTo(same.gates.flat()[k]!, 3));
      expect(report.writeGate!.digits).toBeCloseTo(same.writeGate!.digits, 3);
      expect(report.writeGate!.filler).toBeCloseTo(same.writeGate!.filler, 3);
      expect([report.step, report.tokens, report.segments]).toEqual([same.step, same.tokens, same.segments]);
    });
    expect(there.cells).toHaveLength(2);
    there.cells.forEach((cell, i) =>
      expect([cell.length, cell.stateBytes]).toEqual([here.cells[i]!.length, here.cells[i]!.stateBytes]),
    );
  });

  it('stops at a loss that is not a number, naming the step; and says how to wait for a report', async () => {
    setBackend('gpu');
    try {
      const trainer = new PasskeyTrainer(recipe);
      trainer.model.norm.weight.assign(full([8], NaN));
      await expect(trainer.runAsync().next()).rejects.toThrow(/the loss is NaN at step 1/);
      expect(() => trainer.run().next()).toThrow(/await data\(\)/);
    } finally {
      setBackend('wasm');
    }
  });

  afterAll(() => gpu!.close());
});
