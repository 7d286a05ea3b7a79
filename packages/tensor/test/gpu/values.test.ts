/** What comes out wrong on GPUs, or through gpu.js, and must not here. */
import {
  arange,
  BackendError,
  concat,
  fromData,
  ones,
  setBackend,
  tensor,
  zeros,
  type DType,
  type Tensor,
} from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpu } from './host.ts';

const read = async (x: Tensor): Promise<number[]> => Array.from(await x.data());

describe.skipIf(!gpu)('numbers on the gpu', () => {
  beforeAll(() => setBackend('gpu'));
  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });

  describe('dtypes', () => {
    it.each(['f64', 'f16', 'bf16'] as const)('has no %s, and says why', (dtype) => {
      expect(() => tensor([1], { dtype })).toThrow(BackendError);
      expect(() => tensor([1], { dtype })).toThrow(`the gpu backend has no ${dtype}`);
      expect(() => tensor([1]).cast(dtype)).toThrow(`has no ${dtype}`);
    });

    it('refuses integers that f32 does not hold', async () => {
      expect(() => tensor([2 ** 24 + 1], { dtype: 'i32' })).toThrow('i32 16777217 is beyond ±2^24');
      const large = tensor([2 ** 24], { dtype: 'i32' });
      expect(await read(large)).toEqual([2 ** 24]);
      await expect(large.mul(2).data()).rejects.toThrow('is beyond ±2^24');
    });

    it.each([
      ['i32', [2, -2, 0, 0]],
      ['u8', [2, 254, 0, 0]],
      ['bool', [1, 1, 1, 0]],
      ['f32', [2.7, -2.7, 0.5, 0].map(Math.fround)],
    ] as readonly [DType, number[]][])('casts to %s', async (dtype, expected) => {
      expect(await read(tensor([2.7, -2.7, 0.5, 0]).cast(dtype))).toEqual(expected);
    });
  });

  it('refuses tensors of more than 2^24 elements, and holds as many', async () => {
    const many = 2 ** 24;
    expect(() => zeros([many + 1]).clone()).toThrow(`a tensor of ${many + 1} elements is too large`);
    const counted = fromData(
      Float32Array.from({ length: many }, (_, i) => i),
      [many],
    );
    const last = counted
      .reshape([2 ** 12, 2 ** 12])
      .transpose()
      .clone();
    const at = last.slice([
      [4094, 4096, 1],
      [4095, 4096, 1],
    ]);
    expect(await read(at)).toEqual([many - 2, many - 1]);
  }, 60_000);

  it('needs no kernel for what is empty', async () => {
    expect(await read(zeros([0, 3]).add(1))).toEqual([]);
    expect(await read(zeros([0, 3]).sum(0))).toEqual([0, 0, 0]);
    expect(await read(zeros([2, 0]).matmul(zeros([0, 2])))).toEqual([0, 0, 0, 0]);
    expect(await read(zeros([0]).mean())).toEqual([NaN]);
    expect(await read(zeros([2, 0]).logSumExp(1))).toEqual([-Infinity, -Infinity]);
    expect(await read(concat([zeros([0, 2]), ones([1, 2])]))).toEqual([1, 1]);
    const none = tensor([], { dtype: 'i32' });
    expect(await read(ones([3]).indexAdd(0, none, zeros([0])))).toEqual([1, 1, 1]);
    expect(await read(ones([3]).indexSelect(0, none))).toEqual([]);
  });

  it('knows NaN and the infinities', async () => {
    const x = tensor([NaN, Infinity, -Infinity, 1]);
    expect(await read(x.isNaN())).toEqual([1, 0, 0, 0]);
    expect(await read(x.isFinite())).toEqual([0, 0, 0, 1]);
    expect(await read(x.isInf())).toEqual([0, 1, 1, 0]);
    expect(await read(x.relu())).toEqual([NaN, Infinity, 0, 1]);
    expect(await read(x.maximum(0))).toEqual([NaN, Infinity, 0, 1]);
    expect(await read(x.max())).toEqual([NaN]);
    expect(await read(x.exp())).toEqual([NaN, Infinity, 0, expect.closeTo(Math.E, 5)]);
    expect(await read(tensor([0, -1, Infinity, NaN]).log())).toEqual([-Infinity, NaN, Infinity, NaN]);
    expect(await read(tensor([-1, NaN]).sqrt())).toEqual([NaN, NaN]);
    expect(await read(tensor([1, NaN, 3]).argMax())).toEqual([1]);
    expect(await read(tensor([1, NaN, 3]).eq(NaN))).toEqual([0, 0, 0]);
    expect(await read(tensor([[-Infinity, 0, -Infinity]]).softmax())).toEqual([0, 1, 0]);
    expect(await read(x.isNaN().where(-Infinity, 2))).toEqual([-Infinity, 2, 2, 2]);
  });

  it('computes what drivers get wrong', async () => {
    expect(await read(tensor([1000, -1000, 0]).tanh())).toEqual([1, -1, 0]);
    expect(await read(tensor([-2, -2, 2]).pow(tensor([3, 2, -1])))).toEqual([
      expect.closeTo(-8, 4),
      expect.closeTo(4, 4),
      expect.closeTo(0.5, 6),
    ]);
    expect(await read(tensor([-2, 3]).pow(3))).toEqual([-8, 27]);
    expect(await read(tensor([0, 0, -2]).pow(tensor([0, 2, 0.5])))).toEqual([1, 0, NaN]);
    const tiny = 1e-6;
    for (const f of ['log1p', 'expm1', 'tanh', 'sinh', 'asinh', 'atanh', 'sin', 'erf'] as const) {
      const expected = f === 'erf' ? (2 / Math.sqrt(Math.PI)) * tiny : Math[f](tiny);
      expect((await tensor([tiny])[f]().item()) / expected).toBeCloseTo(1, 5);
    }
    const far = tensor([100, 1000.5, -5000]);
    (await read(far.sin())).forEach((y, i) => expect(y).toBeCloseTo(Math.sin([100, 1000.5, -5000][i]!), 4));
  });

  it('divides whole numbers exactly', async () => {
    const n = 2 ** 12;
    const x = arange(-n, n);
    for (const d of [3, 7, -7, 49, 1000]) {
      expect(await read(x.floorDivide(d))).toEqual(
        Array.from({ length: 2 * n }, (_, i) => Math.floor((i - n) / d) + 0),
      );
      expect(await read(x.fmod(d))).toEqual(Array.from({ length: 2 * n }, (_, i) => ((i - n) % d) + 0));
    }
    expect(await read(x.floorDivide(0))).toEqual(new Array(2 * n).fill(0));
  });

  it('goes through loops to their end', async () => {
    expect(await ones([5000]).clone().sum().item()).toBe(5000);
    expect(await read(ones([4096, 1500]).clone().sum(1).max())).toEqual([1500]);
    expect(
      await ones([1, 3000])
        .matmul(ones([3000, 1]))
        .item(),
    ).toBe(3000);
    expect((await read(ones([3000]).cumsum())).at(-1)).toBe(3000);
  });

  it('adds up long sums in stretches, so that rounding stays that of a few hundred additions', async () => {
    const n = 2 ** 20;
    expect((await tensor(0.1).expand([n]).sum().item()) / (n * Math.fround(0.1))).toBeCloseTo(1, 5);
    expect((await tensor(0.1).expand([4096, 4096]).clone().mean().item()) / Math.fround(0.1)).toBeCloseTo(
      1,
      5,
    );
  });

  it('has more axes than a grid', async () => {
    const x = arange(0, 2 * 3 * 2 * 3 * 2, 1, { dtype: 'f32' }).reshape([2, 3, 2, 3, 2]);
    const y = x.permute([4, 2, 0, 3, 1]);
    const here = Float32Array.from({ length: 72 }, (_, i) => i);
    const expected: number[] = [];
    for (let a = 0; a < 2; a++)
      for (let b = 0; b < 2; b++)
        for (let c = 0; c < 2; c++)
          for (let d = 0; d < 3; d++)
            for (let e = 0; e < 3; e++) expected.push(here[(((c * 3 + e) * 2 + b) * 3 + d) * 2 + a]!);
    expect(await read(y.clone())).toEqual(expected);
  });

  it('has larger axes than a grid takes', async () => {
    // 65,535 workgroups are the most; a thread each along the third axis.
    const [deep, side] = [70_000, 8];
    const x = arange(0, deep * side * side, 1, { dtype: 'f32' }).reshape([deep, side, side]);
    const y = x.transpose(1, 2).clone();
    const last = y.narrow(0, deep - 1, 1).reshape([side, side]);
    const from = (deep - 1) * side * side;
    expect(await read(last)).toEqual(
      Array.from({ length: side * side }, (_, i) => from + (i % side) * side + Math.floor(i / side)),
    );
    expect(
      await read(
        y
          .narrow(0, 66_000, 1)
          .reshape([side * side])
          .narrow(0, 1, 2),
      ),
    ).toEqual([8, 16].map((i) => 66_000 * side * side + i));
  });
});
