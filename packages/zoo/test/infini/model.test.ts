/** The whole Infini-Transformer: streaming, baselines, state dict, configuration. */
import { decodeSafetensors, encodeSafetensors, Key, tensor, type Tensor } from '@infinigrad/tensor';
import { crossEntropy, AdamW } from '@infinigrad/nn';
import { configFromJson, configToJson, InfiniTransformer, localBaseline } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference, small } from './support.ts';

const tokens = (batch: number, length: number, seed = 0): Tensor =>
  new Key(seed).randint(0, 11, [batch, length]);
const make = (options = {}): InfiniTransformer =>
  new InfiniTransformer({ ...small, ...options }, new Key(0), { dtype: 'f64' });

describe('InfiniTransformer', () => {
  test('streamed in pieces equals all at once, also with a short last segment', () => {
    for (const memoryUpdate of ['linear', 'delta'] as const) {
      const model = make({ memoryUpdate });
      const ids = tokens(2, 22);
      const whole = model.forward(ids);
      const first = model.forward(ids.narrow(1, 0, 8));
      const rest = model.forward(ids.narrow(1, 8, 14), { memories: first.memories });
      expect(largestDifference(rest.logits, whole.logits.narrow(1, 8, 14))).toBeLessThan(1e-12);
      const last = model.forward(ids.narrow(1, 8, 14), { memories: first.memories, lastLogits: 1 });
      expect(largestDifference(last.logits, whole.logits.narrow(1, 21, 1))).toBeLessThan(1e-12);
    }
  });

  test.each(['linear', 'delta'] as const)(
    'with checkpoints the memories, what the write gates say and the gradients through both are the same (%s)',
    (memoryUpdate) => {
      const ids = tokens(2, 10);
      const [plain, saving] = [false, true].map((gradientCheckpointing) => {
        const model = make({ memoryUpdate, writeGate: 'sigmoid' });
        model.gradientCheckpointing = gradientCheckpointing;
        const { memories } = model.forward(ids.narrow(1, 0, 8));
        const last = model.forward(ids.narrow(1, 8, 2), { memories });
        const all = [last.logits, ...last.memories.map((m) => m!.matrix), ...last.writeLogits];
        all
          .map((x) => x.square().sum())
          .reduce((a, b) => a.add(b))
          .backward();
        return { all, grads: model.parameters().map(({ grad }) => grad!) };
      }) as [{ all: Tensor[]; grads: Tensor[] }, { all: Tensor[]; grads: Tensor[] }];
      expect(plain.all).toHaveLength(5);
      for (const part of ['all', 'grads'] as const)
        plain[part].forEach((x, i) =>
          expect(largestDifference(x.detach(), saving[part][i]!.detach())).toBeLessThan(1e-10),
        );
    },
  );

  test('the memory is what lets a later segment know an earlier one', () => {
    const changed = (model: InfiniTransformer): number => {
      const ids = tokens(1, 12);
      const other = tensor([(ids.dataSync()[0]! + 1) % 11, ...ids.dataSync().slice(1)], {
        dtype: 'i32',
      }).reshape([1, 12]);
      const last = (x: Tensor): Tensor => model.forward(x).logits.narrow(1, 8, 4);
      return largestDifference(last(ids), last(other));
    };
    expect(changed(make())).toBeGreaterThan(1e-9);
    expect(changed(localBaseline(small, new Key(0), { dtype: 'f64' }))).toBe(0);
  });

  test('the baseline has the same parameters but for the gates', () => {
    const names = (model: InfiniTransformer): string[] => [...model.namedParameters().keys()];
    const gates = new Set(['layers.0.attention.beta', 'layers.1.attention.beta']);
    expect(names(make()).filter((name) => !gates.has(name))).toEqual(names(localBaseline(small, new Key(0))));
    expect(make().gateParameters()).toHaveLength(2);
  });

  test('has 102,340 parameters at the size of the passkey recipe', () => {
    const options = {
      vocabSize: 36,
      hiddenSize: 64,
      intermediateSize: 168,
      numLayers: 2,
      numHeads: 2,
      segmentLength: 32,
    };
    // 2·36·64 (embedding, head) + 2·(4·64² + 3·64·168 + 2·64) + 64 + 2 (β) + 2·64 + 2 (write gate)
    const model = new InfiniTransformer({ ...options, memoryLayers: [1], writeGate: 'hard' }, new Key(0));
    expect(model.numParameters()).toBe(102_340);
  });

  test('the same key gives the same model', () => {
    const [a, b] = [make(), make()];
    expect(largestDifference(a.forward(tokens(1, 8)).logits, b.forward(tokens(1, 8)).logits)).toBe(0);
  });

  test('over-fits one batch', () => {
    const model = new InfiniTransformer(small, new Key(1));
    const ids = tokens(2, 13);
    const optimizer = new AdamW(model.parameters(), { learningRate: 1e-2, weightDecay: 0 });
    const step = (): number =>
      optimizer
        .minimize(() => crossEntropy(model.forward(ids.narrow(1, 0, 12)).logits, ids.narrow(1, 1, 12)))
        .itemSync();
    const first = step();
    for (let i = 0; i < 80; i++) step();
    expect(step()).toBeLessThan(first / 10);
  });

  test('saved and loaded it is the same, and a foreign state is refused', () => {
    const model = new InfiniTransformer(small, new Key(1));
    const { tensors } = decodeSafetensors(encodeSafetensors(model.stateDict()));
    const other = new InfiniTransformer(
      configFromJson(JSON.parse(JSON.stringify(configToJson(model.config)))),
      new Key(2),
    );
    other.loadStateDict(tensors);
    expect(largestDifference(model.forward(tokens(1, 8)).logits, other.forward(tokens(1, 8)).logits)).toBe(0);
    const { 'norm.weight': _, ...incomplete } = tensors;
    expect(() => other.loadStateDict(incomplete)).toThrow(/norm\.weight/);
    expect(() => configFromJson({ model_type: 'bert' })).toThrow(/'bert'/);
  });

  test('bad input is refused', () => {
    const model = make();
    expect(() => model.forward(tokens(1, 8).flatten())).toThrow(/\[batch, length\]/);
    expect(() => model.forward(tensor([[11]], { dtype: 'i32' }))).toThrow(/index 11 is out of range/);
    expect(() => model.forward(tokens(1, 8), { memories: [null] })).toThrow(/1 memories for 2 layers/);
  });
});
