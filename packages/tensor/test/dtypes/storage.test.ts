/** f16 and bf16 as storage: making, reading, moving and computing with them. */
import {
  arange,
  concat,
  decodeSafetensors,
  encodeSafetensors,
  eye,
  fromData,
  full,
  Key,
  linspace,
  maximum,
  memoryStats,
  scope,
  tensor,
  where,
  withBackend,
  zeros,
  type HalfDType,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { roundBF16, roundF16 } from '../../src/half.ts';

const round = { f16: roundF16, bf16: roundBF16 } as const;
const list = (x: Tensor): number[] => [...x.dataSync()];
/** The same bits; long lists are slow to compare one by one. */
const equal = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
/** Bytes that the ops in `body` allocate. */
const allocated = (body: () => unknown): number => {
  const before = memoryStats().allocatedBytes;
  body();
  return memoryStats().allocatedBytes - before;
};

describe.each(['f16', 'bf16'] as const)('%s', (dtype: HalfDType) => {
  describe.each(['js', 'wasm'])('on %s', (backend) => {
    const test = (name: string, body: () => void): void => it(name, () => withBackend(backend, body));
    const third = round[dtype](1 / 3);

    test('is made of numbers, each rounded once', () => {
      expect(list(tensor([1 / 3, -1 / 3], { dtype }))).toEqual([third, -third]);
      expect(list(fromData(Float64Array.of(1 / 3), [1], { dtype }))).toEqual([third]);
      expect(list(full([2], 1 / 3, { dtype }))).toEqual([third, third]);
      expect(list(linspace(0, 1, 4, { dtype }))).toEqual([0, third, round[dtype](2 / 3), 1]);
      expect(list(arange(0, 1, 1 / 3, { dtype }))).toEqual([0, third, round[dtype](2 / 3)]);
      expect(list(eye(2, 2, { dtype }))).toEqual([1, 0, 0, 1]);
      expect(list(zeros([2], { dtype }))).toEqual([0, 0]);
    });

    test('is made of words, and gives them back', () => {
      const words = Uint16Array.of(0x3c00, 0xc000, 0x3f80);
      const x = fromData(words, [3], { dtype });
      expect(x.wordsSync()).toEqual(words);
      expect(x.slice([[null, null, -1]]).wordsSync()).toEqual(Uint16Array.of(0x3f80, 0xc000, 0x3c00));
      expect(tensor(words, { dtype }).dtype).toBe(dtype);
      words[0] = 0;
      expect(x.wordsSync()[0]).toBe(0x3c00);
    });

    test('is read and printed as numbers', () => {
      const x = tensor([[0.5, -2]], { dtype });
      expect(x.toArraySync()).toEqual([[0.5, -2]]);
      expect(tensor(1.5, { dtype }).itemSync()).toBe(1.5);
      expect(String(x)).toBe(`Tensor ${dtype} [1, 2]\n[[ 0.5000, -2.0000]]`);
    });

    test('takes two bytes an element, and views take none', () => {
      expect(allocated(() => fromData(new Float32Array(1000), [1000], { dtype }))).toBe(2000);
      const x = fromData(new Float32Array(1000), [20, 50], { dtype });
      expect(
        allocated(() =>
          x
            .transpose()
            .reshape([1, 50, 20])
            .slice([null, [3, 9]]),
        ),
      ).toBe(0);
    });

    test('is moved as words: nothing is widened', () => {
      const table = fromData(new Float32Array(6400), [100, 64], { dtype });
      const index = tensor([3, 99, 3], { dtype: 'i32' });
      const truth = tensor([[true], [false], [true]]);
      expect(allocated(() => table.indexSelect(0, index))).toBe(3 * 64 * 2);
      const rows = table.slice([[0, 3]]);
      expect(allocated(() => concat([rows, rows]))).toBe(6 * 64 * 2);
      expect(allocated(() => truth.where(rows, rows.flip()))).toBe(3 * 64 * 2);
      expect(allocated(() => rows.transpose().clone())).toBe(3 * 64 * 2);
      expect(allocated(() => table.gather(0, index.unsqueeze(1)))).toBe(3 * 2);
      expect(allocated(() => rows.unslice([5, 64], [1, 0], [1, 1]))).toBe(5 * 64 * 2);
    });

    test('numbers beside it are not rounded before they are computed with, and never lift it', () => {
      const x = tensor([3, 5], { dtype });
      for (const [actual, expected] of [
        [x.mul(0.1), [0.1 * 3, 0.1 * 5]],
        [x.div(3), [1, 5 / 3]],
        [x.add(1e-9), [3, 5]],
        [x.pow(0.5), [Math.sqrt(3), Math.sqrt(5)]],
        [maximum(4.1, x), [4.1, 5]],
      ] as const) {
        expect(actual.dtype).toBe(dtype);
        expect(list(actual)).toEqual(expected.map((v) => round[dtype](Math.fround(v))));
      }
      // 1e-9 is nothing in f16, and neither is 3e9.
      expect(list(maximum(x.mul(1e-9), 1e-9))).toEqual([3e-9, 5e-9].map((v) => round[dtype](Math.fround(v))));
      expect(list(x.mul(0).div(1e-9))).toEqual([0, 0]);
      expect(list(tensor([0.1], { dtype }).eq(0.1))).toEqual([1]);
      expect(list(where(tensor([true, false]), x, 0.1))).toEqual([3, round[dtype](0.1)]);
    });

    test('sums and means add up in f32 or better', () => {
      const ones = full([5000], 1, { dtype });
      // One by one in 16 bits the sum would stay at 2048 or 256.
      expect(ones.sum().itemSync()).toBe(round[dtype](5000));
      expect(full([5000], 100, { dtype }).mean().itemSync()).toBe(100);
      expect(
        full([1, 5000], 1, { dtype })
          .matmul(full([5000, 1], 1, { dtype }))
          .itemSync(),
      ).toBe(round[dtype](5000));
    });

    test('fused in a scope, it gives the bits it gives outside', () => {
      const key = new Key(3);
      const x = key.normal([7, 33]).cast(dtype);
      const y = key.foldIn(1).normal([33]).cast(dtype);
      const chain = (): Tensor => x.mul(y).add(0.1).tanh().sub(x).mul(x.gt(0).cast(dtype));
      const outside = chain().wordsSync();
      expect(scope(() => chain().wordsSync(), { fuse: true })).toEqual(outside);
    });

    test('goes to safetensors and back without loss, or widened', () => {
      const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
      const x = fromData(words, [256, 256], { dtype });
      const bytes = encodeSafetensors({ x, y: x.transpose().slice([[0, 2]]), z: tensor([1, 2]) });
      const { tensors } = decodeSafetensors(bytes);
      expect(tensors['x']!.dtype).toBe(dtype);
      expect(equal(tensors['x']!.wordsSync(), words)).toBe(true);
      expect(tensors['y']!.wordsSync()).toEqual(
        x
          .transpose()
          .slice([[0, 2]])
          .wordsSync(),
      );
      expect(equal(encodeSafetensors(tensors), bytes)).toBe(true);
      const wide = decodeSafetensors(bytes, { widen: true }).tensors;
      expect([wide['x']!.dtype, wide['z']!.dtype]).toEqual(['f32', 'f32']);
      expect(equal(wide['x']!.dataSync(), x.dataSync())).toBe(true);
    });
  });

  it('is drawn: uniform from a grid below the end, normal as f32 rounded', () => {
    const key = new Key(7);
    const steps = dtype === 'f16' ? 1024 : 128;
    const uniform = key.uniform([4000], { dtype });
    expect(uniform.dtype).toBe(dtype);
    expect(list(uniform).every((v) => v >= 0 && v < 1 && Number.isInteger(v * steps))).toBe(true);
    expect(new Set(list(uniform)).size).toBeGreaterThan(steps * 0.9);
    // What JAX 0.10.2 gives.
    const [plain, ranged] = {
      bf16: [
        [0.0390625, 0, 0.6640625, 0.1875, 0.5234375],
        [-2.6875, -3, 2.3125, -1.5, 1.1875],
      ],
      f16: [
        [0.16015625, 0.4921875, 0.162109375, 0.26953125, 0.388671875],
        [-1.71875, 0.9375, -1.703125, -0.84375, 0.109375],
      ],
    }[dtype];
    expect(list(key.uniform([5], { dtype }))).toEqual(plain);
    expect(list(key.uniform([5], { dtype, min: -3, max: 5 }))).toEqual(ranged);
    const normal = key.normal([100], { dtype, mean: 1, std: 2 });
    expect(normal.wordsSync()).toEqual(key.normal([100], { mean: 1, std: 2 }).cast(dtype).wordsSync());
  });
});

describe('refused', () => {
  it('words that do not say what they are', () => {
    for (const make of [
      () => fromData(Uint16Array.of(1), [1]),
      () => fromData(Uint16Array.of(1), [1], { dtype: 'f32' }),
      () => tensor(Uint16Array.of(1), { dtype: 'i32' }),
    ])
      expect(make).toThrow(
        "fromData: a Uint16Array holds words of f16 or of bf16. Hint: say which: { dtype: 'f16' } or { dtype: 'bf16' }",
      );
  });
  it('the words of what has none', async () => {
    const says = 'words: only f16 and bf16 are stored as 16-bit words: [1] f32. Hint: data() reads';
    expect(() => tensor([1]).wordsSync()).toThrow(says);
    await expect(tensor([1]).words()).rejects.toThrow(says);
  });
  it('f16 as an index', () => {
    expect(() => tensor([1, 2]).indexSelect(0, zeros([1], { dtype: 'f16' }))).toThrow('does not accept f16');
  });
});
