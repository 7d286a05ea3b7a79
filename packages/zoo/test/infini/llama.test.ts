/** Infini-attention in a LLaMA: the checkpoint itself on one segment, and the Infini-Transformer beyond. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { fromData, full, Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import {
  generate,
  infiniDecoder,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  LlamaForCausalLM,
  type LlamaOptions,
  type MemoryConfig,
} from '@infinigrad/zoo';
import { fromPretrained, savePretrained } from '@infinigrad/zoo/node';
import { describe, expect, test } from 'vitest';
import { largestDifference, randomIds } from '../models/runner.ts';

const tiny: LlamaOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  headDim: 6,
  initializerRange: 0.3,
};
const llama = (options: LlamaOptions = {}, dtype: FloatDType = 'f64', seed = 1): LlamaForCausalLM =>
  new LlamaForCausalLM({ ...tiny, ...options }, new Key(seed), { dtype }).eval();
const withMemory = (model: LlamaForCausalLM, memory: Partial<MemoryConfig> = {}): InfiniLlamaForCausalLM =>
  InfiniLlamaForCausalLM.from(model, { segmentLength: 4, ...memory }, new Key(2));
const ids = (length: number, batch = 2): Tensor => randomIds(13, batch, length);

const variants: Readonly<Record<string, LlamaOptions>> = {
  plain: {},
  'biases, tied head': { attentionBias: true, mlpBias: true, tieWordEmbeddings: true },
  'one head of keys, scaled positions': {
    numKeyValueHeads: 1,
    ropeScaling: { type: 'yarn', factor: 4, originalMaxPositions: 8 },
  },
  'as many heads of keys as of queries, and other numbers': {
    numKeyValueHeads: 4,
    rmsNormEps: 0.03,
    ropeTheta: 500,
    hiddenAct: 'gelu',
  },
};

describe.each(Object.entries(variants))('%s', (_, options) => {
  test.each(['f32', 'f64'] as const)(
    'on one segment it is the LLaMA to the bit, whatever the gates are (%s)',
    (dtype) => {
      const model = llama(options, dtype);
      for (const [segmentLength, length] of [
        [16, 16],
        [16, 7],
        [64, 40],
        [3, 1],
      ] as const)
        for (const gateInit of [-2, 0, 5]) {
          const infini = withMemory(model, { segmentLength, gateInit });
          expect(
            largestDifference(infini.forward(ids(length)).logits, model.forward(ids(length)).logits),
          ).toBe(0);
        }
    },
  );

  test('beyond one segment it is neither the LLaMA nor blind', () => {
    const model = llama(options);
    const [infini, blind] = [withMemory(model), withMemory(model, { memoryLayers: [] })];
    const last = (y: { logits: Tensor }): Tensor => y.logits.narrow(1, 8, 4);
    const seen = last(infini.forward(ids(12)));
    expect(largestDifference(seen, last(model.forward(ids(12))))).toBeGreaterThan(1e-3);
    expect(largestDifference(seen, last(blind.forward(ids(12))))).toBeGreaterThan(1e-3);
    const text = Int32Array.from(ids(12).dataSync() as Int32Array);
    text[0] = (text[0]! + 1) % 13;
    const changed = fromData(text, [2, 12]);
    const row = (y: Tensor): Tensor => y.narrow(0, 0, 1);
    expect(largestDifference(row(seen), row(last(infini.forward(changed))))).toBeGreaterThan(1e-9);
    expect(largestDifference(row(last(blind.forward(ids(12)))), row(last(blind.forward(changed))))).toBe(0);
  });
});

test('padding on the right changes nothing on one segment', () => {
  const model = llama();
  const mask = fromData(Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]), [2, 5], { dtype: 'bool' });
  const infini = withMemory(model, { segmentLength: 8 });
  expect(
    largestDifference(
      infini.forward(ids(5), { mask }).logits,
      model.forward(ids(5), { attentionMask: mask }).logits,
    ),
  ).toBe(0);
});

test.each(['linear', 'delta'] as const)('padding writes nothing and is not seen (%s)', (memoryUpdate) => {
  const infini = withMemory(llama(), { memoryUpdate });
  const seen = Array.from({ length: 10 }, (_, i) => Number(i !== 1 && i !== 2));
  const mask = fromData(Uint8Array.from(seen), [1, 10], { dtype: 'bool' });
  const changed = (at: number): Tensor => {
    const text = Int32Array.from(ids(10, 1).dataSync() as Int32Array);
    text[at] = (text[at]! + 1) % 13;
    return fromData(text, [1, 10]);
  };
  const last = (x: Tensor): Tensor => infini.forward(x, { mask }).logits.narrow(1, 3, 7);
  for (const at of [1, 2]) expect(largestDifference(last(ids(10, 1)), last(changed(at)))).toBe(0);
  expect(largestDifference(last(ids(10, 1)), last(changed(0)))).toBeGreaterThan(1e-9);
  // What was padding is another text without a mask.
  expect(
    largestDifference(last(ids(10, 1)), infini.forward(ids(10, 1)).logits.narrow(1, 3, 7)),
  ).toBeGreaterThan(1e-9);
});

describe('it is the Infini-Transformer with the same weights', () => {
  /** Keys of the Infini-Transformer by those of a LLaMA with memory. */
  const named = (key: string): string =>
    key
      .replace(/^model\./, '')
      .replace('.selfAttn.memory.', '.attention.')
      .replace('.selfAttn.', '.attention.')
      .replace('inputLayernorm', 'inputNorm')
      .replace('postAttentionLayernorm', 'postNorm');
  const options: readonly Partial<MemoryConfig>[] = [
    { firstSegment: 'gated' },
    { memoryUpdate: 'delta' },
    { gate: 'perChannel', gateInit: 0.5, memoryDecay: 0.9 },
    { gate: 'input', writeGate: 'sigmoid', positionOnMemory: true },
    { memoryInit: 'learned', featureMap: 'dpfp' },
    { memoryNormalization: 'rmsNorm', memoryLayers: [1] },
    { memoryEps: 1, memoryEpsMode: 'add', writeGate: 'hard', writeGateMargin: 0.2 },
  ];
  test.each(options)('%j', (memory) => {
    const infini = withMemory(llama(), memory);
    for (const [i, p] of infini.parameters().entries())
      p.assign(new Key(50 + i).normal(p.shape, { std: 0.4, dtype: 'f64' }));
    const { config } = infini;
    const twin = new InfiniTransformer(
      {
        vocabSize: config.vocabSize,
        hiddenSize: config.hiddenSize,
        numLayers: config.numHiddenLayers,
        numHeads: config.numAttentionHeads,
        numKvHeads: config.numKeyValueHeads,
        headDim: config.headDim,
        intermediateSize: config.intermediateSize,
        segmentLength: config.segmentLength,
        memoryLayers: config.memoryLayers,
        memoryUpdate: config.memoryUpdate,
        featureMap: config.featureMap,
        memoryNormalization: config.memoryNormalization,
        memoryEps: config.memoryEps,
        memoryEpsMode: config.memoryEpsMode,
        gate: config.gate,
        positionOnMemory: config.positionOnMemory,
        firstSegment: config.firstSegment,
        memoryInit: config.memoryInit,
        memoryDecay: config.memoryDecay,
        writeGate: config.writeGate,
        writeGateMargin: config.writeGateMargin,
      },
      new Key(3),
      { dtype: 'f64' },
    );
    twin.loadStateDict(
      Object.fromEntries(Object.entries(infini.stateDict()).map(([key, x]) => [named(key), x])),
    );
    expect(largestDifference(infini.forward(ids(14)).logits, twin.forward(ids(14)).logits)).toBeLessThan(
      1e-10,
    );
    expect(infini.memoryFootprint()).toBe(twin.memoryFootprint());
    expect(infini.gateParameters().length).toBe(twin.gateParameters().length);
  });
});

test('two segments and then three equal five at once', () => {
  const infini = withMemory(llama(), { memoryUpdate: 'delta' });
  const whole = infini.forward(ids(20));
  const first = infini.forward(ids(20).narrow(1, 0, 8), { lastLogits: 0 });
  expect(first.logits.shape).toEqual([2, 0, 13]);
  const second = infini.forward(ids(20).narrow(1, 8, 12), { memories: first.memories });
  expect(largestDifference(second.logits, whole.logits.narrow(1, 8, 12))).toBeLessThan(1e-12);
});

test('no token sees a later one', () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 13 }), (at) => {
      const infini = withMemory(llama());
      const text = Int32Array.from(ids(14, 1).dataSync() as Int32Array);
      text[at] = (text[at]! + 1) % 13;
      const before = (x: Tensor): Tensor => infini.forward(x).logits.narrow(1, 0, at);
      expect(largestDifference(before(ids(14, 1)), before(fromData(text, [1, 14])))).toBe(0);
    }),
    { numRuns: 14 },
  ));

test('every parameter gets a gradient, also through the memory', () => {
  const infini = withMemory(llama({ attentionBias: true, mlpBias: true }));
  infini.forward(ids(12)).logits.narrow(1, 8, 4).square().mean().backward();
  for (const [name, p] of infini.namedParameters())
    expect(p.grad?.abs().max().itemSync() ?? 0, name).toBeGreaterThan(0);
});

test('writes text that goes on over segments, as reading all of it anew for each token would', async () => {
  const infini = withMemory(llama());
  const prompt = Array.from(ids(6, 1).dataSync(), Number);
  const { sequences } = await generate(infiniDecoder(infini), [prompt], {
    maxNewTokens: 20,
    eosTokenId: null,
  });
  const text = [...prompt];
  while (text.length < 26) {
    const { logits } = infini.forward(fromData(Int32Array.from(text), [1, text.length]), { lastLogits: 1 });
    const scores = Array.from(logits.flatten().dataSync(), Number);
    text.push(scores.indexOf(Math.max(...scores)));
  }
  expect(sequences[0]).toEqual(text);
});

test('is saved and loaded as a model of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-infini-llama-'));
  try {
    const infini = withMemory(llama(), { gate: 'perChannel', memoryUpdate: 'delta' });
    await savePretrained(infini, folder);
    const back = await fromPretrained(folder, { modelClass: InfiniLlamaForCausalLM });
    expect(back.config).toEqual(infini.config);
    expect(largestDifference(back.forward(ids(14)).logits, infini.forward(ids(14)).logits)).toBe(0);
    expect((await fromPretrained(folder)).constructor).toBe(InfiniLlamaForCausalLM);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('nonsense is refused with its name', () => {
  const refuse = (memory: object, says: RegExp, options: LlamaOptions = {}): void =>
    expect(() => withMemory(llama(options), memory)).toThrow(says);
  refuse({ memoryLayers: [2] }, /memoryLayers names layer 2 of 2/);
  refuse({ segmentLength: 0 }, /segmentLength must be an integer ≥ 1, got 0/);
  refuse({ memoryDecay: 0 }, /memoryDecay must be a number in \(0, 1\], got 0/);
  refuse({ gate: 'none' }, /gate must be one of perHead, perChannel, input, got "none"/);
  refuse({ memory: 1 }, /there is no memory/);
  refuse({}, /attentionDropout must be 0/, { attentionDropout: 0.1 });
  const infini = withMemory(llama());
  expect(() => infini.forward(ids(4).select(0, 0))).toThrow(/must be \[batch, length\]/);
  expect(() => infini.forward(ids(4), { memories: [] })).toThrow(/0 memories for 2 layers/);
  expect(() => infini.forward(ids(4), { lastLogits: 5 })).toThrow(
    /lastLogits must be an integer from 0 to 4/,
  );
  expect(() => infini.forward(ids(4), { mask: full([2, 3], true) })).toThrow(/InfiniLlama.*mask/);
});
