/** MultiHeadAttention: reading in pieces with a cache is reading at once, for every variant; heads by loops; PyTorch and T5; errors. */
import fc from 'fast-check';
import { inferenceMode, noGrad } from '@infinigrad/autograd';
import {
  Alibi,
  attentionWithWeights,
  causalMask,
  documentMask,
  KeyValueCache,
  paddingMask,
  MultiHeadAttention,
  prefixMask,
  RelativePositionBias,
  RotaryEmbedding,
  TransformerXLPositions,
  type KeyValueCacheOptions,
  type MultiHeadAttentionInputs,
  type MultiHeadAttentionOptions,
} from '@infinigrad/nn';
import {
  concat,
  DTypeError,
  fromData,
  Key,
  memoryStats,
  scope,
  ShapeError,
  ValueError,
  withBackend,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { layersConform, type LayerOptions, type TwinCase } from '../layers/conformance.ts';
import { expectNumbers, fixture, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;
const key = new Key(11);
const normal = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape, { dtype });
const bools = (values: readonly boolean[], shape: readonly number[]): Tensor =>
  fromData(Uint8Array.from(values, Number), shape, { dtype: 'bool' });

const dim = 8;
type Options = Omit<MultiHeadAttentionOptions, 'key' | 'dtype'>;
const layerOf = (options: Options): MultiHeadAttention =>
  new MultiHeadAttention(dim, { key, dtype, causal: true, std: 0.5, ...options });

const xl = new TransformerXLPositions(4, 4, 6, { key, dtype, std: 0.5 });
for (const bias of [xl.contentBias, xl.positionBias]) bias.assign(normal([4, 4], 77));

/** What decoding must be proved of. */
const variants: Readonly<Record<string, Options>> = {
  'as many heads of keys': { numHeads: 4 },
  'grouped queries': { numHeads: 4, numKvHeads: 2 },
  'one head of keys': { numHeads: 4, numKvHeads: 1, headDim: 3 },
  rotary: { numHeads: 4, numKvHeads: 2, headDim: 4, rope: new RotaryEmbedding(4) },
  'rotary, pairs, in part': {
    numHeads: 2,
    headDim: 6,
    rope: new RotaryEmbedding(6, { interleaved: true, rotaryDim: 4 }),
  },
  'rotary, stretched': {
    numHeads: 2,
    headDim: 4,
    rope: new RotaryEmbedding(4, { scaling: { type: 'yarn', factor: 4, originalMaxPositions: 8 } }),
  },
  ALiBi: { numHeads: 6, numKvHeads: 3, headDim: 2, scorePositions: new Alibi(6) },
  T5: {
    numHeads: 4,
    numKvHeads: 2,
    scale: 1,
    bias: false,
    scorePositions: new RelativePositionBias(4, {
      key,
      dtype,
      std: 1,
      bidirectional: false,
      numBuckets: 6,
      maxDistance: 9,
    }),
  },
  'Transformer-XL': { numHeads: 4, numKvHeads: 2, headDim: 4, scorePositions: xl },
  'a window': { numHeads: 2, window: 3 },
  'a window, rotary, grouped': {
    numHeads: 4,
    numKvHeads: 2,
    headDim: 4,
    window: 4,
    rope: new RotaryEmbedding(4),
  },
  'a window with ALiBi': { numHeads: 2, window: 3, scorePositions: new Alibi(2) },
  'capped, with norms': { numHeads: 2, softcap: 1.5, qkNorm: 'rms', scale: 0.7 },
  'layer norms and rotary': { numHeads: 2, qkNorm: 'layer', rope: new RotaryEmbedding(4), outBias: false },
};

const lengths = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 });
const piecesOf = (x: Tensor, sizes: readonly number[]): Tensor[] => {
  let at = 0;
  return sizes.map((n) => {
    at += n;
    return x.narrow(1, at - n, n);
  });
};

describe.each(Object.entries(variants))('in pieces with a cache: %s', (_, options) => {
  const layer = layerOf(options).eval();
  const caches: KeyValueCacheOptions[] = [
    {},
    { maxLength: 30 },
    ...(options.window ? [{ window: options.window }, { window: options.window + 2 }] : []),
  ];

  test.each(caches)('is reading at once (cache %o)', (cached) =>
    fc.assert(
      fc.property(lengths, fc.nat(), fc.boolean(), (sizes, seed, recorded) => {
        const x = normal([2, sizes.reduce((a, b) => a + b), dim], seed);
        const cache = new KeyValueCache(cached);
        const read = (piece: Tensor): Tensor => layer.forward(piece, { cache });
        const parts = piecesOf(x, sizes).map((piece) => (recorded ? read(piece) : noGrad(() => read(piece))));
        expectNumbers(numbers(concat(parts, 1)), numbers(layer.forward(x)), 1e-10);
        expect(cache.length).toBe(x.shape[1]);
      }),
      { numRuns: 12 },
    ),
  );

  test('one token after another, on both backends, in f32', () => {
    for (const backend of ['js', 'wasm'])
      withBackend(backend, () => {
        const single = new MultiHeadAttention(dim, { key, causal: true, ...options, scorePositions: null });
        const x = new Key(3).normal([2, 9, dim]);
        const cache = new KeyValueCache(options.window ? { window: options.window } : {});
        const parts = Array.from({ length: 9 }, (__, t) =>
          noGrad(() => single.forward(x.narrow(1, t, 1), { cache })),
        );
        expectNumbers(numbers(concat(parts, 1)), numbers(single.forward(x)), 2e-6);
      });
  });

  test('rows that begin with padding are read as if they were alone', () =>
    fc.assert(
      fc.property(lengths, fc.nat(3), fc.nat(3), fc.nat(), (sizes, first, second, seed) => {
        const leftPadding = [first, second];
        const [head, ...rest] = sizes as [number, ...number[]];
        const whole = [head + 3, ...rest];
        const total = whole.reduce((a, b) => a + b);
        const x = normal([2, total, dim], seed);
        const cache = new KeyValueCache({ leftPadding, ...(options.window && { window: options.window }) });
        const y = noGrad(() =>
          concat(
            piecesOf(x, whole).map((piece) => layer.forward(piece, { cache })),
            1,
          ),
        );
        leftPadding.forEach((n, b) => {
          const alone = layer.forward(x.select(0, b).narrow(0, n, total - n));
          expectNumbers(numbers(y.select(0, b).narrow(0, n, total - n)), numbers(alone), 1e-10);
        });
      }),
      { numRuns: 8 },
    ));

  test('taken back, picked and cloned on the way', () => {
    const x = normal([2, 12, dim], 4);
    const full = (z: Tensor): number[] => numbers(layer.forward(z).narrow(1, -1 + z.shape[1]!, 1));
    const cache = new KeyValueCache();
    noGrad(() => {
      const read = (c: KeyValueCache, from: number, to: number): number[] =>
        numbers(layer.forward(x.narrow(1, from, to - from), { cache: c }).narrow(1, to - from - 1, 1));
      read(cache, 0, 8);
      const copy = cache.clone();
      cache.truncate(3);
      const other = concat([x.narrow(1, 0, 3), x.narrow(1, 8, 4)], 1);
      expectNumbers(read(cache, 8, 12), full(other), 1e-10);
      expectNumbers(read(copy, 8, 9), full(x.narrow(1, 0, 9)), 1e-10);
      copy.reorder([1, 0]);
      const swapped = x.flip([0]).narrow(1, 0, 9);
      expectNumbers(read(copy, 9, 10), full(concat([swapped, x.narrow(1, 9, 1)], 1)), 1e-10);
    });
  });

  test('memory is flat in a loop', () => {
    const cache = new KeyValueCache(options.window ? { window: options.window } : { maxLength: 200 });
    const token = normal([2, 1, dim], 1);
    const step = (): void => noGrad(() => scope(() => void layer.forward(token, { cache })));
    for (let t = 0; t < 40; t++) step();
    const before = memoryStats();
    // Up to the length that rotary tables are kept for: they double.
    for (let t = 0; t < 20; t++) step();
    expect(memoryStats().tiers.scoped).toBe(before.tiers.scoped);
    expect(memoryStats().buffers).toBe(before.buffers);
    expect(memoryStats().bytes).toBe(before.bytes);
  });
});

test('training through a cache: gradients as in Transformer-XL, of what is read now alone', () => {
  const layer = layerOf({ numHeads: 2, rope: new RotaryEmbedding(4) });
  const [a, b] = [normal([2, 3, dim], 1).requireGrad(), normal([2, 2, dim], 2).requireGrad()];
  const cache = new KeyValueCache();
  layer.forward(a, { cache });
  layer.forward(b, { cache }).square().sum().backward();
  expect(a.grad).toBe(null);
  // As with the past cut off from the graph.
  const cut = b.detach().requireGrad();
  const y = layer.forward(concat([a.detach(), cut], 1));
  const whole = layer.kProj.weight.grad!;
  layer.kProj.weight.grad = null;
  y.narrow(1, 3, 2).square().sum().backward();
  expectNumbers(numbers(b.grad!), numbers(cut.grad!), 1e-10);
  // The projections of the past do have a share in the whole gradient.
  expect(numbers(whole)).not.toEqual(numbers(layer.kProj.weight.grad!));
});

describe('another sequence', () => {
  const layer = new MultiHeadAttention(dim, {
    key,
    dtype,
    numHeads: 4,
    numKvHeads: 2,
    kvDim: 3,
    headDim: 4,
    qkNorm: 'rms',
  });
  const [x, context] = [normal([2, 4, dim], 1), normal([2, 5, 3], 2)];
  test('with a cache its keys and values are made once', () => {
    const cache = new KeyValueCache();
    const parts = [0, 1, 2, 3].map((t) => layer.forward(x.narrow(1, t, 1), { context, cache }));
    expectNumbers(numbers(concat(parts, 1)), numbers(layer.forward(x, { context })));
    expect(cache.length).toBe(5);
    // What the context is later does not matter any more.
    const again = layer.forward(x, { context: zeros([2, 5, 3], { dtype }), cache });
    expectNumbers(numbers(again), numbers(layer.forward(x, { context })));
  });
  test('masks, of keys and of pairs', () => {
    const keyMask = bools([true, true, false, true, false, true, true, true, true, false], [2, 5]);
    const y = layer.forward(x, { context, keyMask });
    const other = keyMask.unsqueeze(-1).where(context, 7);
    expectNumbers(numbers(layer.forward(x, { context: other, keyMask })), numbers(y));
    expect(numbers(layer.forward(x, { context }))).not.toEqual(numbers(y));
    const pairs = keyMask.reshape([2, 1, 1, 5]).expand([2, 4, 4, 5]);
    expectNumbers(numbers(layer.forward(x, { context, mask: pairs })), numbers(y));
  });
  test('of one row', () =>
    expectNumbers(
      numbers(layer.forward(x.select(0, 1), { context: context.select(0, 1) })),
      numbers(layer.forward(x, { context }).select(0, 1)),
    ));
});

describe('masks', () => {
  const layer = new MultiHeadAttention(dim, {
    key,
    dtype,
    numHeads: 4,
    numKvHeads: 2,
    rope: new RotaryEmbedding(2),
  });
  const x = normal([2, 5, dim], 1);
  test('documents packed into one row are read as if each were alone', () => {
    const packed = layer.forward(x, { mask: documentMask([2, 3]) });
    // Only distances count.
    for (const [from, n] of [
      [0, 2],
      [2, 3],
    ] as const)
      expectNumbers(numbers(packed.narrow(1, from, n)), numbers(layer.forward(x.narrow(1, from, n))), 1e-10);
  });
  test('a prefix is seen from everywhere', () => {
    const y = layer.forward(x, { mask: causalMask().or(prefixMask([2, 0])) });
    const causal = layer.forward(x, { mask: causalMask() });
    expectNumbers(numbers(y.select(0, 1)), numbers(causal.select(0, 1)));
    expectNumbers(numbers(y.select(0, 0).narrow(0, 1, 4)), numbers(causal.select(0, 0).narrow(0, 1, 4)));
    expect(numbers(y.select(0, 0).narrow(0, 0, 1))).not.toEqual(numbers(causal.select(0, 0).narrow(0, 0, 1)));
  });
  test('one for each head', () => {
    const seen = Array.from({ length: 4 * 25 }, (_, n) => n % 5 === 0 || (n * 7) % 3 === 0);
    const mask = bools(seen, [4, 5, 5]);
    const { weights } = layer.forwardWithWeights(x, { mask });
    numbers(weights).forEach((w, n) => expect(w === 0).toBe(!seen[n % 100]));
  });
  test('a causal mask is causality', () => {
    const causal = new MultiHeadAttention(dim, {
      key,
      dtype,
      numHeads: 4,
      numKvHeads: 2,
      rope: new RotaryEmbedding(2),
      causal: true,
    });
    expectNumbers(numbers(causal.forward(x)), numbers(layer.forward(x, { mask: causalMask() })));
  });
});

test('a bias of the caller is added to the scores, beside positions', () => {
  const relative = new RelativePositionBias(4, { key, dtype, std: 1 });
  const x = normal([2, 5, dim], 1);
  const options = { key, dtype, numHeads: 4, numKvHeads: 2 };
  const [plain, own] = [
    new MultiHeadAttention(dim, options),
    new MultiHeadAttention(dim, { ...options, scorePositions: relative }),
  ];
  expectNumbers(numbers(plain.forward(x, { bias: relative.forward(5, 5) })), numbers(own.forward(x)));
  const pairs = normal([2, 1, 5, 5], 3);
  expectNumbers(
    numbers(own.forward(x, { bias: pairs })),
    numbers(plain.forward(x, { bias: pairs.add(relative.forward(5, 5)) })),
  );
  expect(numbers(own.forward(x, { bias: pairs }))).not.toEqual(numbers(own.forward(x)));
});

test.each(['f16', 'bf16'] as const)('in %s, in pieces too', (half) => {
  const layer = new MultiHeadAttention(dim, {
    key,
    dtype: half,
    numHeads: 4,
    numKvHeads: 2,
    causal: true,
    rope: new RotaryEmbedding(2),
  });
  const x = normal([2, 6, dim], 1).cast(half);
  const cache = new KeyValueCache();
  const parts = [0, 1, 2, 3, 4, 5].map((t) => noGrad(() => layer.forward(x.narrow(1, t, 1), { cache })));
  const y = layer.forward(x);
  expect([y.dtype, cache.content!.keys.dtype]).toEqual([half, half]);
  expectNumbers(numbers(concat(parts, 1)), numbers(y), half === 'f16' ? 2e-3 : 2e-2);
});

test('a cache that was filled in inferenceMode serves training too', () => {
  const layer = layerOf({ numHeads: 2, rope: new RotaryEmbedding(4) });
  const x = normal([2, 5, dim], 1);
  const cache = new KeyValueCache();
  inferenceMode(() => {
    layer.forward(x.narrow(1, 0, 2), { cache });
    layer.forward(x.narrow(1, 2, 1), { cache });
  });
  const y = layer.forward(x.narrow(1, 3, 2), { cache });
  expectNumbers(numbers(y), numbers(layer.forward(x).narrow(1, 3, 2)), 1e-10);
  y.square().sum().backward();
  expect(layer.kProj.weight.grad!.shape).toEqual([dim, dim]);
});

test('the weights are those that made the output, dropout included', () => {
  const layer = new MultiHeadAttention(dim, { key, dtype, numHeads: 4, numKvHeads: 2, dropout: 0.5 });
  const x = normal([2, 5, dim], 1);
  const { output, weights } = layer.forwardWithWeights(x, { key: new Key(9) });
  expect(weights.shape).toEqual([2, 4, 5, 5]);
  expectNumbers(numbers(output), numbers(layer.forward(x, { key: new Key(9) })));
  expect(numbers(weights).filter((w) => w === 0).length).toBeGreaterThan(20);
  const v = layer.vProj
    .forward(x)
    .reshape([2, 5, 2, 1, 2])
    .expand([2, 5, 2, 2, 2])
    .reshape([2, 5, 4, 2])
    .permute([0, 2, 1, 3]);
  const joined = weights.matmul(v).permute([0, 2, 1, 3]).reshape([2, 5, dim]);
  expectNumbers(numbers(layer.oProj.forward(joined)), numbers(output));
  const one = layer.eval().forwardWithWeights(x.select(0, 0));
  expect(one.weights.shape).toEqual([4, 5, 5]);
  for (const line of lines(one.weights)) expectNumbers([line.reduce((a, b) => a + b)], [1]);
});

const cases = fixture<{ multiHead: Record<string, TwinCase>; t5: Record<string, TwinCase> }>('multi-head');
const twinned = ([name, one]: [string, TwinCase]): {
  name: string;
  case: TwinCase;
  make: (o: LayerOptions) => MultiHeadAttention;
  forward: (m: MultiHeadAttention, given: readonly Tensor[]) => Tensor;
} => {
  const { dim: width, ...options } = one.options as unknown as Options & { dim: number };
  const names = Object.keys(one.inputs);
  return {
    name,
    case: name.startsWith('weights') ? { ...one, state: { ...one.state, ...unused(one) } } : one,
    make: (o) => new MultiHeadAttention(width, { ...o, ...options }),
    forward: (m, given) => {
      const { x, ...inputs } = Object.fromEntries(names.map((n, i) => [n, given[i]!]));
      return name.startsWith('weights') ? m.forwardWithWeights(x!, inputs).weights : m.forward(x!, inputs);
    },
  };
};
/** The parameters that weights do not depend on; any values will do. */
const unused = (one: TwinCase): TwinCase['state'] =>
  Object.fromEntries(
    ['vProj', 'oProj'].flatMap((p) => [
      [`${p}.weight`, one.state['qProj.weight']!],
      [`${p}.bias`, one.state['qProj.bias']!],
    ]),
  );

layersConform('attention', {
  MultiHeadAttention: {
    make: (options) => new MultiHeadAttention(6, { numHeads: 2, ...options }),
    inputs: (k) => [k.normal([2, 3, 6], { dtype })],
    twins: Object.entries(cases.multiHead).map(twinned),
    gradcheck: { order: 1 },
    // A bias of all keys alike moves no weight.
    withoutGradient: [],
  },
  'MultiHeadAttention with T5 positions': {
    make: (options) =>
      new MultiHeadAttention(6, {
        numHeads: 2,
        headDim: 4,
        bias: false,
        scale: 1,
        scorePositions: new RelativePositionBias(2, { ...options, numBuckets: 8, maxDistance: 12 }),
        ...options,
      }),
    inputs: (k) => [k.normal([1, 9, 6], { dtype })],
    twins: Object.entries(cases.t5).map(([name, one]) => {
      const bidirectional = one.options['bidirectional'] as boolean;
      return {
        name,
        case: one,
        make: (options: LayerOptions) =>
          new MultiHeadAttention(6, {
            numHeads: 2,
            headDim: 4,
            bias: false,
            scale: 1,
            causal: !bidirectional,
            scorePositions: new RelativePositionBias(2, {
              ...options,
              numBuckets: 8,
              maxDistance: 12,
              bidirectional,
            }),
            ...options,
          }),
      };
    }),
    gradcheck: { order: 1 },
  },
  'MultiHeadAttention with all its options': {
    make: (options) =>
      new MultiHeadAttention(6, {
        numHeads: 4,
        numKvHeads: 2,
        headDim: 4,
        window: 2,
        softcap: 2,
        qkNorm: 'rms',
        rope: new RotaryEmbedding(4),
        outBias: true,
        bias: false,
        ...options,
      }),
    inputs: (k) => [k.normal([2, 4, 6], { dtype })],
    // By heads of their own, and the table of weights.
    naive: (state, [x], layer) => {
      const rope = new RotaryEmbedding(4);
      const rows = (name: string, h: number): Tensor =>
        x!.matmul(state[name]!.narrow(0, 4 * h, 4).transpose());
      const normed = (y: Tensor, name: string): Tensor =>
        y.div(y.square().mean(-1, true).add(1e-6).sqrt()).mul(state[name]!);
      const heads = [0, 1, 2, 3].map((h) => {
        const q = rope.apply(normed(rows('qProj.weight', h), 'qNorm.weight'));
        const k = rope.apply(normed(rows('kProj.weight', h >> 1), 'kNorm.weight'));
        return attentionWithWeights(q, k, rows('vProj.weight', h >> 1), {
          window: 2,
          softcap: 2,
          scale: layer.scale,
        }).output;
      });
      return concat(heads, -1).matmul(state['oProj.weight']!.transpose()).add(state['oProj.bias']!);
    },
    gradcheck: { order: 1 },
  },
  'MultiHeadAttention with dropout': {
    make: (options) => new MultiHeadAttention(6, { numHeads: 2, dropout: 0.4, ...options }),
    inputs: (k) => [k.normal([2, 3, 6], { dtype })],
    forward: (m: MultiHeadAttention, [x], k) => m.forward(x!, { key: k }),
    modes: 'differ',
    naive: (_, [x], layer) => layer.forwardWithWeights(x!, { key: new Key(2718).foldIn(99) }).output,
    gradcheck: { order: 1 },
  },
});

test('what is refused leaves the cache as it was', () => {
  const layer = layerOf({ numHeads: 4, rope: new RotaryEmbedding(2), dropout: 0.5 });
  const cache = new KeyValueCache();
  const x = normal([2, 3, dim], 1);
  const drop = new Key(1);
  layer.forward(x, { cache, key: drop });
  const before = numbers(cache.content!.keys);
  const refused: [Tensor, MultiHeadAttentionInputs][] = [
    [x, {}],
    [x, { key: drop, mask: bools([true, true], [2]) }],
    [x, { key: drop, mask: paddingMask(bools([true, true, true], [3])) }],
    [x, { key: drop, keyMask: bools([true, true, true], [1, 3]) }],
    [x, { key: drop, bias: normal([2, 2, 4, 3, 6], 2) }],
    [x, { key: drop, positions: [1] }],
    [normal([2, 3, 5], 1), { key: drop }],
    [normal([1, 3, dim], 1), { key: drop }],
  ];
  for (const [y, inputs] of refused) {
    expect(() => layer.forward(y, { cache, ...inputs })).toThrow();
    expect([cache.length, numbers(cache.content!.keys)]).toEqual([3, before]);
  }
});

test('a prefix is seen by all tokens of its row, at once and with a cache that holds it', () => {
  const options = { numHeads: 4, numKvHeads: 2, rope: new RotaryEmbedding(2) };
  const [causal, free] = [layerOf(options), layerOf({ ...options, causal: false })];
  const x = normal([2, 6, dim], 3);
  const prefix = [4, 1];
  const keyMask = bools([true, true, true, true, true, true, false, true, true, true, true, true], [2, 6]);
  const whole = causal.forward(x, { prefix, keyMask });
  const masked = free.forward(x, { mask: causalMask().or(prefixMask(prefix)), keyMask });
  expectNumbers(numbers(whole), numbers(masked), 1e-12);
  const seen = causal.forwardWithWeights(x, { prefix }).weights;
  expect(seen.shape).toEqual([2, 4, 6, 6]);
  const [first, second] = [0, 1].map((row) => numbers(seen.narrow(0, row, 1).narrow(1, 0, 1)));
  for (let q = 0; q < 6; q++)
    for (let k = 0; k < 6; k++) {
      expect(first![q * 6 + k]! > 0).toBe(k <= q || k < 4);
      expect(second![q * 6 + k]! > 0).toBe(k <= q);
    }
  const cache = new KeyValueCache();
  const parts = [4, 1, 1].map((size, i) =>
    causal.forward(x.narrow(1, [0, 4, 5][i]!, size), { cache, prefix }),
  );
  expectNumbers(numbers(concat(parts, 1)), numbers(causal.forward(x, { prefix })), 1e-12);
});

describe('errors', () => {
  const layer = new MultiHeadAttention(dim, { key, dtype, numHeads: 4 });
  const causal = layerOf({ numHeads: 4, window: 4 });
  const x = normal([2, 4, dim], 1);
  const of = (options: Partial<MultiHeadAttentionOptions>) => (): unknown =>
    new MultiHeadAttention(dim, { key, numHeads: 4, ...options });
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'a vector',
      () => layer.forward(zeros([dim])),
      ShapeError,
      'MultiHeadAttention: needs [batch, T, dim] or [T, dim]',
    ],
    ['heads that do not divide the width', of({ numHeads: 3 }), ValueError, 'headDim must be an integer ≥ 1'],
    [
      'heads of keys that do not divide the heads',
      of({ numKvHeads: 3 }),
      ValueError,
      'numHeads 4 is not a multiple of numKvHeads 3',
    ],
    [
      'a rotary embedding of another size',
      of({ rope: new RotaryEmbedding(4) }),
      ValueError,
      'for headDim 4, not 2',
    ],
    ['an infinite scale', of({ scale: Infinity }), ValueError, 'the scale must be finite'],
    ['a cap of 0', of({ softcap: 0 }), ValueError, 'softcap must be a number > 0'],
    ['a window of 0', of({ window: 0 }), ValueError, 'window must be an integer ≥ 1'],
    ['too much dropout', of({ dropout: 2 }), ValueError, 'dropout must lie in [0, 1], got 2'],
    [
      'an unknown norm',
      of({ qkNorm: 'batch' as 'rms' }),
      ValueError,
      "qkNorm must be 'rms', 'layer' or null, got 'batch'",
    ],
    [
      'a context of another batch',
      () => layer.forward(x, { context: normal([1, 3, dim], 2) }),
      ShapeError,
      'the context must be [2, S, 8]',
    ],
    [
      'a context of another width',
      () => layer.forward(x, { context: normal([2, 3, 4], 2) }),
      ShapeError,
      'the last axis must have size 8',
    ],
    [
      'a mask of other keys',
      () => layer.forward(x, { keyMask: bools([true, false], [2, 1]) }),
      ShapeError,
      'the mask must be [2, 4]',
    ],
    [
      'a mask of numbers',
      () => layer.forward(x, { mask: zeros([4, 4]) }),
      DTypeError,
      'MultiHeadAttention: the mask must be bool',
    ],
    [
      'a mask of keys in numbers',
      () => layer.forward(x, { keyMask: zeros([2, 4]) }),
      DTypeError,
      'the mask must be bool',
    ],
    [
      'a cache where later tokens are seen',
      () => layer.forward(x, { cache: new KeyValueCache() }),
      ValueError,
      'a cache needs causal attention',
    ],
    [
      'a cache that forgets what is seen',
      () => causal.forward(x, { cache: new KeyValueCache({ window: 3 }) }),
      ValueError,
      'the cache keeps the last 3 tokens, the layer looks at 4',
    ],
    [
      'a cache that forgets, where all is seen',
      () => layerOf({ numHeads: 4 }).forward(x, { cache: new KeyValueCache({ window: 3 }) }),
      ValueError,
      'the layer looks at all',
    ],
    [
      'a prefix where all is seen',
      () => layer.forward(x, { prefix: [1, 1] }),
      ValueError,
      'a prefix needs causal attention to its own tokens',
    ],
    ['a prefix and a window', () => causal.forward(x, { prefix: [1, 1] }), ValueError, 'without a window'],
    [
      'a prefix and positions in the scores',
      () => layerOf({ numHeads: 2, scorePositions: new Alibi(2) }).forward(x, { prefix: [1, 1] }),
      ValueError,
      'a prefix needs causal attention',
    ],
    [
      'a prefix for other rows',
      () => layerOf({ numHeads: 4 }).forward(x, { prefix: [1] }),
      ValueError,
      'prefix must hold 2 numbers, got [1]',
    ],
    [
      'a prefix of no tokens at all',
      () => layerOf({ numHeads: 4 }).forward(x, { prefix: [1, -1] }),
      ValueError,
      'lengths must be integers ≥ 0',
    ],
    [
      'dropout without a key',
      () => new MultiHeadAttention(dim, { key, dtype, numHeads: 4, dropout: 0.5 }).forward(x),
      ValueError,
      'MultiHeadAttention: needs a key in training',
    ],
  ];
  test.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});
