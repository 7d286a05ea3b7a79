/** Generation where nothing can be read at once gives the same tokens, with one read a token. */
import { getBackend, Key, registerBackend, setBackend, type Backend } from '@infinigrad/tensor';
import { generate, type GenerationOptions } from '@infinigrad/zoo';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { GpuBackend } from '../../../tensor/src/backends/gpu/backend.ts';
import { gpu } from '../../../tensor/test/gpu/host.ts';
import { PretendDevice } from '../../../tensor/test/gpu/pretend.ts';
import { prompts, tinyLlama } from './support.ts';

const pretended = new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] }));
const backends: readonly (readonly [name: string, backend: Backend])[] = [
  ['a pretended GPU', pretended],
  ...(gpu ? ([['WebGPU', getBackend('gpu')]] as const) : []),
];

afterAll(() => gpu?.close());

const cases: readonly GenerationOptions[] = [
  {},
  { outputLogProbs: true, repetitionPenalty: 1.3, noRepeatNgramSize: 2, minNewTokens: 3 },
  { key: new Key(3), temperature: 1.2, topK: 12, topP: 0.9, minP: 0.01 },
  { key: new Key(6), typicalP: 0.8 },
  { numBeams: 3 },
  { penaltyAlpha: 0.5, topK: 3 },
];

describe.each(backends)('on %s', (_, backend) => {
  beforeAll(() => {
    registerBackend(backend);
    setBackend('gpu');
  });
  afterAll(() => setBackend('wasm'));

  it.each(cases)('%j', async (options) => {
    setBackend('wasm');
    const expected = await generate(tinyLlama(), prompts, { ...options, maxNewTokens: 6 });
    setBackend('gpu');
    const model = tinyLlama();
    const reads = vi.spyOn(backend, 'download');
    const found = await generate(model, prompts, { ...options, maxNewTokens: 6 });
    expect(reads).toHaveBeenCalledTimes(6);
    // A few numbers for each row.
    for (const call of reads.mock.calls) expect(call[3]).toBeLessThanOrEqual(2 * 6 * prompts.length * 3);
    reads.mockRestore();
    expect(found.tokens).toEqual(expected.tokens);
    found.sequenceScores?.forEach((score, i) => expect(score).toBeCloseTo(expected.sequenceScores![i]!, 3));
    found.logProbs?.forEach((row, i) =>
      row.forEach((x, k) => expect(x).toBeCloseTo(expected.logProbs![i]![k]!, 3)),
    );
  });
});
