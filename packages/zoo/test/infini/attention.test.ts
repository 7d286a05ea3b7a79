/** The laws of Infini-attention, in f64. */
import fc from 'fast-check';
import { grad, gradcheck } from '@infinigrad/autograd';
import { arange, full, Key, ones, tensor, zeros, type Tensor } from '@infinigrad/tensor';
import {
  featureMap,
  infiniTransformerConfig,
  memoryBytes,
  retrieve,
  walkSegments,
  type MemoryState,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { attentionLayer, largestDifference, randomInput, setBeta, small, writtenOut } from './support.ts';

const updates = ['linear', 'delta'] as const;
const config = infiniTransformerConfig(small);
const empty = (heads: number, d: number): MemoryState => ({
  matrix: zeros([1, heads, d, d], { dtype: 'f64' }),
  normalizer: zeros([1, heads, d], { dtype: 'f64' }),
});

describe('equations (5) to (11)', () => {
  test('equal the equations written out', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(...updates),
        fc.integer({ min: 0, max: 1000 }),
        (segments, memoryUpdate, seed) => {
          const layer = attentionLayer({ memoryUpdate }, true, seed);
          layer.beta!.assign(new Key(seed).normal([2], { dtype: 'f64' }));
          const x = randomInput([segments * 4, 8], seed);
          const expected = tensor(writtenOut(layer, x, memoryUpdate), { dtype: 'f64' });
          expect(largestDifference(layer.forward(x.unsqueeze(0)).output.squeeze(0), expected)).toBeLessThan(
            1e-12,
          );
        },
      ),
      { numRuns: 40 },
    ));

  test('one segment with an empty memory gives (1 - g) times local attention', () => {
    const x = randomInput([3, 4, 8]);
    const local = attentionLayer({}, false).forward(x).output;
    const mixed = setBeta(attentionLayer(), 0.7).forward(x).output;
    const g = 1 / (1 + Math.exp(-0.7));
    expect(largestDifference(mixed, local.mul(1 - g))).toBeLessThan(1e-15);
  });

  test("firstSegment 'local' lets local attention through unchanged, to the bit", () => {
    const x = randomInput([3, 4, 8]);
    const local = attentionLayer({}, false).forward(x).output;
    const first = setBeta(attentionLayer({ firstSegment: 'local' }), 0.7);
    expect(largestDifference(first.forward(x).output, local)).toBe(0);
    const later = randomInput([3, 8, 8]);
    expect(
      largestDifference(first.forward(later).output, attentionLayer({}, false).forward(later).output),
    ).toBeGreaterThan(1e-3);
  });

  test('with the gate at 1 a read is quadratic linear attention under the strict segment mask', () => {
    const layer = setBeta(attentionLayer(), 50);
    const [length, n] = [16, 4];
    const x = randomInput([1, length, 8]);
    const heads = (y: Tensor): Tensor => y.reshape([1, length, 2, 4]).permute([0, 2, 1, 3]);
    const [q, k, v] = [layer.qProj, layer.kProj, layer.vProj].map((p) => heads(p.forward(x))) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const segment = arange(length).floorDivide(n);
    const earlier = segment.unsqueeze(0).lt(segment.unsqueeze(1));
    const overlap = earlier.where(featureMap('elu1', q).matmul(featureMap('elu1', k).transpose()), 0);
    const read = overlap.matmul(v).div(overlap.sum(-1, true).maximum(1e-6));
    const expected = layer.oProj.forward(read.permute([0, 2, 1, 3]).reshape([1, length, 8]));
    expect(largestDifference(layer.forward(x).output, expected)).toBeLessThan(1e-13);
  });
});

describe('the memory', () => {
  test('of the linear rule does not depend on how the text was cut; of the delta rule it does', () => {
    const x = randomInput([2, 16, 8]);
    const state = (segmentLength: number, memoryUpdate: 'linear' | 'delta'): MemoryState =>
      attentionLayer({ segmentLength, memoryUpdate }).forward(x).memory!;
    for (const n of [1, 2, 8, 16]) {
      expect(largestDifference(state(n, 'linear').matrix, state(4, 'linear').matrix)).toBeLessThan(1e-13);
      expect(largestDifference(state(n, 'delta').normalizer, state(4, 'linear').normalizer)).toBeLessThan(
        1e-13,
      );
    }
    expect(largestDifference(state(1, 'delta').matrix, state(8, 'delta').matrix)).toBeGreaterThan(0.1);
  });

  test('of the delta rule equals that of the linear rule in the first segment', () => {
    const x = randomInput([2, 16, 8]);
    const [linear, delta] = updates.map((memoryUpdate) =>
      attentionLayer({ segmentLength: 16, memoryUpdate }).forward(x),
    );
    expect(largestDifference(linear!.memory!.matrix, delta!.memory!.matrix)).toBe(0);
    expect(largestDifference(linear!.output, delta!.output)).toBe(0);
  });

  test('reads 1 wherever all values are 1', () => {
    const keys = featureMap('elu1', randomInput([1, 2, 3, 4, 4]));
    const walk = walkSegments(config, keys, keys, ones([1, 2, 3, 4, 4], { dtype: 'f64' }), empty(2, 4));
    const queries = featureMap('elu1', randomInput([1, 2, 3, 4, 4], 9));
    const read = retrieve(config, queries, walk.matrices, walk.normalizers).narrow(2, 1, 2);
    expect(largestDifference(read, ones(read.shape, { dtype: 'f64' }))).toBeLessThan(1e-14);
  });

  test('written n times with one binding: the linear rule reads the value, the delta rule half of it from the second time on', () => {
    const key = featureMap('elu1', randomInput([1, 1, 1, 1, 4]));
    const value = randomInput([1, 1, 1, 1, 4], 3);
    for (const memoryUpdate of updates)
      for (const times of [1, 2, 3, 7]) {
        const repeated = (x: Tensor): Tensor => x.expand([1, 1, times, 1, 4]);
        const options = { ...config, memoryUpdate };
        const { last } = walkSegments(options, repeated(key), repeated(key), repeated(value), empty(1, 4));
        const read = retrieve(options, key.select(2, 0), last.matrix, last.normalizer);
        const share = memoryUpdate === 'delta' && times > 1 ? 0.5 : 1;
        expect(largestDifference(read, value.select(2, 0).mul(share))).toBeLessThan(1e-14);
      }
  });

  test('carries nothing about the order inside a segment', () => {
    const layer = attentionLayer();
    const x = randomInput([1, 12, 8]);
    const shuffled = x.indexSelect(1, tensor([2, 0, 3, 1, 4, 5, 6, 7, 8, 9, 10, 11], { dtype: 'i32' }));
    const after = (y: Tensor): Tensor => layer.forward(y).output.narrow(1, 4, 8);
    expect(largestDifference(after(x), after(shuffled))).toBeLessThan(1e-14);
    const rotated = attentionLayer({ positionOnMemory: true });
    expect(
      largestDifference(
        rotated.forward(x).output.narrow(1, 4, 8),
        rotated.forward(shuffled).output.narrow(1, 4, 8),
      ),
    ).toBeGreaterThan(1e-3);
  });

  test('takes d_key (d_value + 1) numbers a head, whatever the length', () => {
    const layer = attentionLayer();
    const bytes = (segments: number): number =>
      memoryBytes([layer.forward(randomInput([1, 4 * segments, 8])).memory]);
    expect(bytes(1)).toBe(4 * (4 + 1) * 2 * 8);
    expect(bytes(16)).toBe(bytes(1));
    expect(bytes(1000)).toBe(bytes(1));
  });

  test('in f32 stays within 1e-4 of f64 over 1,000 segments', () => {
    for (const memoryUpdate of updates) {
      const exact = attentionLayer({ memoryUpdate });
      const x = randomInput([1, 4000, 8]);
      const single = attentionLayer({ memoryUpdate });
      const cast = (state: MemoryState): MemoryState => ({
        matrix: state.matrix.cast('f32'),
        normalizer: state.normalizer.cast('f32'),
      });
      const k = featureMap(
        'elu1',
        single.kProj.forward(x).reshape([1, 1000, 4, 2, 4]).permute([0, 3, 1, 2, 4]),
      );
      const v = single.vProj.forward(x).reshape([1, 1000, 4, 2, 4]).permute([0, 3, 1, 2, 4]);
      const coarse = walkSegments(
        single.config,
        k.cast('f32'),
        k.cast('f32'),
        v.cast('f32'),
        cast(empty(2, 4)),
      ).last;
      const fine = exact.forward(x).memory!;
      const scale = Math.max(...fine.matrix.abs().dataSync());
      expect(largestDifference(coarse.matrix.cast('f64'), fine.matrix) / scale).toBeLessThan(1e-4);
    }
  });
});

describe('streams, padding, heads', () => {
  for (const memoryUpdate of updates)
    test(`two segments and then three equal five at once (${memoryUpdate})`, () => {
      const layer = attentionLayer({ memoryUpdate });
      const x = randomInput([2, 20, 8]);
      const whole = layer.forward(x);
      const first = layer.forward(x.narrow(1, 0, 8));
      const second = layer.forward(x.narrow(1, 8, 12), first.memory);
      expect(largestDifference(second.output, whole.output.narrow(1, 8, 12))).toBeLessThan(1e-14);
      expect(largestDifference(second.memory!.matrix, whole.memory!.matrix)).toBeLessThan(1e-14);
    });

  test('padding writes nothing and is not seen', () => {
    const layer = attentionLayer();
    const x = randomInput([1, 10, 8]);
    const short = layer.forward(x);
    const garbage = randomInput([1, 2, 8], 77);
    const padded = tensor([...x.flatten().dataSync(), ...garbage.flatten().dataSync()], {
      dtype: 'f64',
    }).reshape([1, 12, 8]);
    const mask = arange(12).lt(10).unsqueeze(0);
    const long = layer.forward(padded, null, mask);
    expect(largestDifference(long.memory!.matrix, short.memory!.matrix)).toBeLessThan(1e-15);
    expect(largestDifference(long.memory!.normalizer, short.memory!.normalizer)).toBeLessThan(1e-15);
    expect(largestDifference(long.output.narrow(1, 0, 10), short.output)).toBeLessThan(1e-14);
  });

  test('grouped heads equal full heads with keys and values repeated side by side', () => {
    const options = { numHeads: 4, hiddenSize: 8, headDim: 4 };
    const grouped = attentionLayer({ ...options, numKvHeads: 2 });
    const repeated = attentionLayer(options);
    const spread = (w: Tensor): Tensor => w.reshape([2, 1, 4, 8]).expand([2, 2, 4, 8]).reshape([16, 8]);
    repeated.qProj.weight.assign(grouped.qProj.weight);
    repeated.oProj.weight.assign(grouped.oProj.weight);
    repeated.kProj.weight.assign(spread(grouped.kProj.weight.detach()));
    repeated.vProj.weight.assign(spread(grouped.vProj.weight.detach()));
    const x = randomInput([2, 12, 8]);
    expect(largestDifference(grouped.forward(x).output, repeated.forward(x).output)).toBeLessThan(1e-14);
  });

  test('later inputs change no earlier output', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 11 }), fc.constantFrom(...updates), (t, memoryUpdate) => {
        const layer = attentionLayer({ memoryUpdate });
        const x = randomInput([1, 12, 8]);
        const disturbed = arange(12).ge(t).unsqueeze(-1).where(x.add(1), x);
        const before = (y: Tensor): Tensor => layer.forward(y).output.narrow(1, 0, t);
        if (t > 0) expect(largestDifference(before(x), before(disturbed))).toBe(0);
        expect(largestDifference(layer.forward(x).output, layer.forward(disturbed).output)).toBeGreaterThan(
          0,
        );
      }),
    ));
});

describe('gradients', () => {
  /** The gradient of the last output with respect to each input position, as a norm. */
  function reach(layer: ReturnType<typeof attentionLayer>): number[] {
    const g = grad((x: Tensor) => layer.forward(x).output.narrow(1, 11, 1).sum())(randomInput([1, 12, 8]));
    return Array.from(g.square().sum(-1).flatten().dataSync());
  }

  test('reach the first token through the memory, and only through it', () => {
    expect(reach(attentionLayer())[0]).toBeGreaterThan(1e-8);
    const local = reach(attentionLayer({}, false));
    expect(local.slice(0, 8).every((v) => v === 0)).toBe(true);
    expect(local[8]).toBeGreaterThan(1e-8);
  });

  test('stop where detachEvery cuts them', () => {
    const cut = reach(attentionLayer({ detachEvery: 1 }));
    expect(cut.slice(0, 8).every((v) => v === 0)).toBe(true);
    const half = reach(attentionLayer({ detachEvery: 2, segmentLength: 3 }));
    expect(half.slice(0, 6).every((v) => v === 0)).toBe(true);
    expect(half[6]).toBeGreaterThan(1e-8);
  });

  for (const memoryUpdate of updates)
    test(`hold for β and the weights through three segments (${memoryUpdate})`, () => {
      const layer = attentionLayer({ memoryUpdate, numHeads: 1, hiddenSize: 4, segmentLength: 2 });
      const x = randomInput([1, 6, 4]);
      const { beta, kProj, vProj, qProj } = layer;
      const names = [beta!, kProj.weight, vProj.weight, qProj.weight];
      gradcheck(
        (...values) => {
          const fresh = attentionLayer({ memoryUpdate, numHeads: 1, hiddenSize: 4, segmentLength: 2 });
          const put = (target: object, field: string, value: Tensor): void =>
            void Object.defineProperty(target, field, { value });
          put(fresh, 'beta', values[0]!);
          put(fresh.kProj, 'weight', values[1]!);
          put(fresh.vProj, 'weight', values[2]!);
          put(fresh.qProj, 'weight', values[3]!);
          return fresh.forward(x).output;
        },
        names.map((p) => p.detach()),
        { mode: 'full', order: 1 },
      );
    });
});

describe('options', () => {
  const variants = [
    { featureMap: 'relu' },
    { featureMap: 'softmax' },
    { featureMap: 'dpfp' },
    { memoryNormalization: 'rmsNorm' },
    { gate: 'perChannel' },
    { gate: 'input' },
    { memoryInit: 'learned' },
    { memoryDecay: 0.9 },
    { writeGate: 'sigmoid' },
    { writeGate: 'hard', memoryEps: 1, memoryEpsMode: 'add' },
  ] as const;
  for (const options of variants)
    for (const memoryUpdate of updates)
      test(`${JSON.stringify(options)} with the ${memoryUpdate} rule: finite, streaming, every parameter gets a gradient`, () => {
        const layer = attentionLayer({ ...options, memoryUpdate });
        const x = randomInput([2, 12, 8]);
        const whole = layer.forward(x);
        const first = layer.forward(x.narrow(1, 0, 4));
        const rest = layer.forward(x.narrow(1, 4, 8), first.memory);
        expect(largestDifference(rest.output, whole.output.narrow(1, 4, 8))).toBeLessThan(1e-12);
        const loss = whole.output.mul(randomInput([2, 12, 8], 5)).sum();
        loss.backward();
        for (const [name, p] of layer.namedParameters()) {
          const g = p.grad;
          expect(g, name).not.toBeNull();
          expect(Array.from(g!.dataSync()).every(Number.isFinite), name).toBe(true);
          expect(g!.abs().sum().itemSync(), name).toBeGreaterThan(0);
        }
      });

  test('a shut hard write gate leaves the state exactly as it was', () => {
    const layer = attentionLayer({ writeGate: 'hard', memoryEps: 1, memoryEpsMode: 'add' });
    const before = layer.forward(randomInput([1, 8, 8])).memory!;
    layer.writeGate!.bias!.assign(full([2], -5, { dtype: 'f64' }));
    const after = layer.forward(randomInput([1, 40, 8], 4), before).memory!;
    expect(largestDifference(after.matrix, before.matrix)).toBe(0);
    expect(largestDifference(after.normalizer, before.normalizer)).toBe(0);
  });

  test('nonsense is refused with its name', () => {
    const refuse = (options: object, says: RegExp): void =>
      expect(() => infiniTransformerConfig({ ...small, ...options })).toThrow(says);
    refuse({ segmentLength: 0 }, /segmentLength must be an integer ≥ 1/);
    refuse({ numKvHeads: 3 }, /not a multiple of numKvHeads/);
    refuse({ memoryLayers: [2] }, /names layer 2 of 2/);
    refuse({ featureMap: 'elu' }, /featureMap must be one of/);
    refuse({ hiddenSize: 6 }, /headDim must be even/);
    refuse({ detachEvery: 0 }, /detachEvery/);
    refuse({ memoryDecay: 0 }, /memoryDecay/);
  });
});
