/** Attention and its caches where nothing can be read at once and nothing written in place: on a pretended GPU. */
import { noGrad } from '@infinigrad/autograd';
import {
  Alibi,
  KeyValueCache,
  MultiHeadAttention,
  RotaryEmbedding,
  windowMask,
  type MultiHeadAttentionOptions,
} from '@infinigrad/nn';
import { concat, Key, registerBackend, scope, setBackend, tensor, type Tensor } from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GpuBackend } from '../../../tensor/src/backends/gpu/backend.ts';
import { PretendDevice } from '../../../tensor/test/gpu/pretend.ts';
import { expectNumbers } from '../support.ts';

const dim = 8;
const variants: Readonly<Record<string, Omit<MultiHeadAttentionOptions, 'key'>>> = {
  'grouped, rotary': { numHeads: 4, numKvHeads: 2, headDim: 4, rope: new RotaryEmbedding(4) },
  'rotary, pairs, stretched': {
    numHeads: 2,
    rope: new RotaryEmbedding(4, {
      interleaved: true,
      scaling: { type: 'yarn', factor: 2, originalMaxPositions: 4 },
    }),
  },
  'ALiBi in a window, capped': { numHeads: 4, window: 3, softcap: 2, scorePositions: new Alibi(4) },
};

beforeAll(() => {
  registerBackend(new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] })));
});
afterAll(() => setBackend('wasm'));

/** The numbers that a body makes on a backend. */
async function on(backend: string, body: () => Tensor): Promise<number[]> {
  setBackend(backend);
  return Array.from(await body().data());
}

describe.each(Object.entries(variants))('%s', (_, options) => {
  const layer = (): MultiHeadAttention =>
    new MultiHeadAttention(dim, { key: new Key(1), causal: true, ...options });
  const input = (): Tensor => new Key(2).normal([2, 6, dim]);
  const whole = (): Tensor => layer().forward(input());

  test('is what it is elsewhere, backward too', async () => {
    const run = (): Tensor => {
      const [module, x] = [layer(), input().requireGrad()];
      module.forward(x).square().sum().backward();
      return concat([x.grad!.flatten(), module.kProj.weight.grad!.flatten()]);
    };
    expectNumbers(await on('gpu', whole), await on('wasm', whole), 1e-5);
    expectNumbers(await on('gpu', run), await on('wasm', run), 1e-4);
  });

  test('in pieces with a cache is at once, with padding in front too', async () => {
    const pieces = (leftPadding?: readonly number[]) => (): Tensor => {
      const [module, x] = [layer(), input()];
      const cache = new KeyValueCache({ leftPadding, ...(options.window && { window: options.window }) });
      const read = (count: number): Tensor =>
        scope(() => module.forward(x.narrow(1, cache.length, count), { cache }));
      return noGrad(() => concat([3, 1, 2].map(read), 1));
    };
    expectNumbers(await on('gpu', pieces()), await on('wasm', whole), 1e-5);
    expectNumbers(await on('gpu', pieces([2, 0])), await on('wasm', pieces([2, 0])), 1e-5);
  });
});

test('caches go their ways there too', async () => {
  const states = (): Tensor => {
    const draw = (seed: number, count: number): [Tensor, Tensor] => [
      new Key(seed).normal([2, 1, count, 2]),
      new Key(seed + 9).normal([2, 1, count, 3]),
    ];
    const cache = new KeyValueCache();
    cache.append(...draw(1, 4));
    const copy = cache.clone();
    cache.truncate(2);
    cache.append(...draw(2, 3));
    copy.reorder([1, 1]);
    copy.append(...draw(3, 1));
    return concat(
      [cache, copy].flatMap(({ content }) => [content!.keys.flatten(), content!.values.flatten()]),
    );
  };
  expect(await on('gpu', states)).toEqual(await on('wasm', states));
});

test('positions in a tensor and masks are made where they are', async () => {
  const run = (): Tensor => {
    const layer = new MultiHeadAttention(dim, { key: new Key(1), numHeads: 2, rope: new RotaryEmbedding(4) });
    const positions = tensor(
      [
        [3, 1, 4],
        [1, 5, 9],
      ],
      { dtype: 'i32' },
    );
    return layer.forward(new Key(2).normal([2, 3, dim]), {
      positions,
      mask: windowMask(2, { bidirectional: true }),
    });
  };
  expectNumbers(await on('gpu', run), await on('wasm', run), 1e-5);
});
