/** What of nn and zoo reads elements does without, or waits, or says what to do, where elements come later. */
import { clipGradNorm, clipGradNormAsync, gradNorm, Linear, type Parameter } from '@infinigrad/nn';
import {
  BackendError,
  getBackend,
  Key,
  registerBackend,
  setBackend,
  tensor,
  withBackend,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';
import { InfiniTransformer } from '@infinigrad/zoo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GpuBackend } from '../../../tensor/src/backends/gpu/backend.ts';
import { gpu } from '../../../tensor/test/gpu/host.ts';
import { PretendDevice } from '../../../tensor/test/gpu/pretend.ts';

const pretended = new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] }));
const backends: readonly (readonly [name: string, backend: Backend])[] = [
  ['a pretended GPU', pretended],
  ...(gpu ? ([['WebGPU', getBackend('gpu')]] as const) : []),
];
const config = { vocabSize: 12, hiddenSize: 8, numLayers: 1, numHeads: 2, segmentLength: 4 };

afterAll(() => gpu?.close());

describe.each(backends)('on %s', (_, backend) => {
  beforeAll(() => {
    registerBackend(backend);
    setBackend('gpu');
  });
  afterAll(() => setBackend('wasm'));

  describe('clipping', () => {
    const withGradients = (): Parameter[] => {
      const layer = new Linear(2, 2, { key: new Key(0) });
      layer
        .forward(tensor([[3, 4]]))
        .square()
        .sum()
        .backward();
      return layer.parameters();
    };

    it('scales at once what it waits for to tell', async () => {
      const here = withBackend('wasm', withGradients);
      const there = withGradients();
      const norm = clipGradNorm(here, 0.5);
      expect(await clipGradNormAsync(there, 0.5)).toBeCloseTo(norm, 3);
      for (const [i, p] of there.entries()) {
        const expected = here[i]!.grad!.dataSync();
        (await p.grad!.data()).forEach((g, k) => expect(g).toBeCloseTo(expected[k]!, 5));
      }
    });

    it('says what does so', () => {
      const there = withGradients();
      expect(() => clipGradNorm(there, 1)).toThrow(BackendError);
      expect(() => clipGradNorm(there, 1)).toThrow('await clipGradNormAsync()');
      expect(() => gradNorm(there)).toThrow('await gradNormAsync()');
    });
  });

  describe('a state', () => {
    const tokens = (): Tensor => tensor([[1, 2, 3, 4, 5]], { dtype: 'i32' });
    const logits = async (model: InfiniTransformer): Promise<number[]> =>
      Array.from(await model.forward(tokens()).logits.data());

    it('is loaded from where it was made, and from another model there', async () => {
      const elsewhere = withBackend('wasm', () => new InfiniTransformer(config, new Key(1)));
      const expected = await withBackend('wasm', () => logits(elsewhere));
      const model = new InfiniTransformer(config, new Key(2));
      model.loadStateDict(elsewhere.stateDict());
      const other = new InfiniTransformer(config, new Key(3));
      other.loadStateDict(model.stateDict());
      for (const one of [model, other]) {
        expect(one.parameters().every((p) => p.backend.name === 'gpu')).toBe(true);
        (await logits(one)).forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 4));
      }
    });

    it('that comes later is refused elsewhere, with nothing changed', async () => {
      const model = new InfiniTransformer(config, new Key(1));
      const elsewhere = withBackend('wasm', () => new InfiniTransformer(config, new Key(2)));
      const before = await withBackend('wasm', () => logits(elsewhere));
      expect(() => elsewhere.loadStateDict(model.stateDict())).toThrow('cannot be read at once');
      expect(await withBackend('wasm', () => logits(elsewhere))).toEqual(before);
    });
  });
});
