/** What LLaMA can do beside the laws of all models: checkpointing, fixed caches, errors. */
import { crossEntropy } from '@infinigrad/nn';
import { fromData, Key, memoryStats, scope, tensor, type Tensor } from '@infinigrad/tensor';
import { llamaConfig, LlamaForCausalLM, llamaPresets, ModelCache, type LlamaOptions } from '@infinigrad/zoo';
import { expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';

const tiny: LlamaOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 3,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  initializerRange: 0.3,
};
const make = (options: LlamaOptions = {}): LlamaForCausalLM =>
  new LlamaForCausalLM({ ...tiny, ...options }, new Key(1), { dtype: 'f64' });

test('gradient checkpointing gives the same gradients to the bit, also where weights are dropped, and holds less', () => {
  const ids = randomIds(13, 2, 24);
  const run = (on: boolean): { gradients: Tensor[]; held: number } => {
    const model = make({ attentionDropout: 0.2, intermediateSize: 200 });
    model.gradientCheckpointing = on;
    expect(model.gradientCheckpointing).toBe(on);
    const held = scope(() => {
      const before = memoryStats().tiers.scoped;
      const loss = crossEntropy(model.forward(ids, { key: new Key(5) }).logits, ids);
      const made = memoryStats().tiers.scoped - before;
      loss.backward();
      return made;
    });
    return { gradients: model.parameters().map(({ grad }) => grad!), held };
  };
  const [plain, saving] = [run(false), run(true)];
  plain.gradients.forEach((g, i) => expect(largestDifference(g, saving.gradients[i]!)).toBe(0));
  expect(saving.held).toBeLessThan(plain.held / 2);
});

test('a fixed cache takes what it has room for and no more, and its bytes do not grow', () => {
  const model = make().eval();
  const ids = randomIds(13, 2, 8);
  const cache = model.newCache({ maxLength: 6 });
  model.forward(ids.narrow(1, 0, 2), { cache });
  const { bytes } = cache;
  model.forward(ids.narrow(1, 2, 4), { cache });
  expect(cache.bytes).toBe(bytes);
  expect(() => model.forward(ids.narrow(1, 6, 1), { cache })).toThrow(/room for 6 tokens/);
  expect(cache.length).toBe(6);
});

test('the mask may be of integers', () => {
  const model = make().eval();
  const ids = randomIds(13, 2, 4);
  const mask = [1, 1, 1, 1, 0, 1, 1, 1];
  const [a, b] = (['bool', 'i32'] as const).map((dtype) =>
    model.forward(ids, {
      attentionMask: fromData(Uint8Array.from(mask), [2, 4], { dtype: 'u8' }).cast(dtype),
    }),
  );
  expect(largestDifference(a!.logits, b!.logits)).toBe(0);
  expect(largestDifference(a!.logits, model.forward(ids).logits)).toBeGreaterThan(1e-6);
});

test('presets make configurations; the tiny one a model', () => {
  for (const options of Object.values(llamaPresets))
    expect(llamaConfig(options).vocabSize).toBeGreaterThan(255);
  const model = new LlamaForCausalLM(llamaPresets['llama-tiny'], new Key(0));
  expect(model.forward(randomIds(256, 1, 3)).logits.shape).toEqual([1, 3, 256]);
});

test.each([
  [{ hiddenSize: 10 }, /headDim must be an integer ≥ 2, got 3\.33/],
  [{ headDim: 5 }, /headDim must be even for rotary positions, got 5/],
  [{ numKeyValueHeads: 2 }, /numAttentionHeads 3 is not a multiple of numKeyValueHeads 2/],
  [{ hiddenAct: 'sine' }, /hiddenAct must be one of .*silu/],
  [{ ropeScaling: { type: 'linear' } }, /ropeScaling must be a scaling 'linear' with factor/],
  [{ ropeScaling: { type: 'linear', factor: 2, base: 3 } }, /scaling 'linear', which has no base/],
  [{ numLayers: 3 }, /there is no numLayers/],
  [{ numHiddenLayers: 100_000 }, /numHiddenLayers must be an integer from 1 to 10000/],
])('%j is refused', (options, says) => {
  expect(() => llamaConfig({ ...tiny, ...(options as LlamaOptions) })).toThrow(says);
});

test('calls that do not fit are refused with their names', () => {
  const model = make().eval();
  const ids = randomIds(13, 2, 4);
  expect(() => model.forward(ids.select(0, 0))).toThrow(/LlamaModel: tokens must be \[batch, length\]/);
  expect(() => model.forward(tensor([[0.5]]))).toThrow(/ids must be integers/);
  expect(() => model.forward(tensor([[13]], { dtype: 'i32' }))).toThrow(/13/);
  expect(() => model.forward(ids, { attentionMask: tensor([[1, 1]], { dtype: 'i32' }) })).toThrow(
    /attention mask must be \[2, 4\]/,
  );
  expect(() => model.forward(ids, { attentionMask: tensor([[1, 1, 1, 1]]) })).toThrow(
    /must be bool or integers/,
  );
  expect(() => model.forward(ids, { cache: new ModelCache([]) })).toThrow(/cache is for 0 layers, not 3/);
  for (const lastLogits of [-1, 5, 1.5])
    expect(() => model.forward(ids, { lastLogits })).toThrow(/lastLogits must be an integer from 0 to 4/);
  expect(model.forward(ids, { lastLogits: 0 }).logits.shape).toEqual([2, 0, 13]);
});
