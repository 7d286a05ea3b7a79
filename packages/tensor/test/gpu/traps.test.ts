/** What goes wrong silently on GPUs, or through gpu.js, and must not here. */
import {
  arange,
  BackendError,
  concat,
  fromData,
  getBackend,
  IndexError,
  ir,
  memoryStats,
  ones,
  openScope,
  scope,
  setBackend,
  Storage,
  tensor,
  Tensor,
  zeros,
  type DType,
} from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useGpu } from '@infinigrad/tensor/gpu';
import { gpu, webGpu } from './host.ts';

const read = async (x: Tensor): Promise<number[]> => Array.from(await x.data());

describe.skipIf(!gpu)('on the gpu', () => {
  beforeAll(() => setBackend('gpu'));
  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });

  it('runs in the mode that was asked for, and says on what', () => {
    expect(gpu!.mode).toBe('webgpu');
    expect(gpu!.adapter).toMatch(/\w/);
    expect(gpu!.limits.inputs).toBe(7);
    expect(tensor([1]).backend.name).toBe('gpu');
  });

  it('takes a program on the CPU only where it is told to', async () => {
    if (!gpu!.software) return;
    const refused = useGpu({ mode: 'webgpu', webgpu: webGpu() });
    await expect(refused).rejects.toThrow(/webgpu: .*is a program on the CPU \(force: true takes it\)/);
  });

  it('gives the reason for each mode that is not to be had', async () => {
    await expect(useGpu({ mode: 'webgl2' })).rejects.toThrow(
      /no GPU is at hand: webgl2: there is no WebGL 2/,
    );
    await expect(useGpu({ mode: 'headlessgl' })).rejects.toThrow(/headlessgl: the package 'gl' is not/);
    await expect(useGpu({ mode: 'cuda' as 'webgpu' })).rejects.toThrow("'cuda' is no mode");
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

  it('makes a kernel for each shape', async () => {
    const double = (n: number): Promise<number[]> => read(arange(n, undefined, 1, { dtype: 'f32' }).mul(2));
    expect(await double(4)).toEqual([0, 2, 4, 6]);
    expect(await double(9)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16]);
    expect(await double(4)).toEqual([0, 2, 4, 6]);
  });

  it('serves every window of a tensor, and every scalar, with one kernel', async () => {
    const x = arange(0, 64, 1, { dtype: 'f32' });
    expect(await read(x.narrow(0, 1, 8).mul(2))).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
    const { built } = gpu!.kernelStats();
    for (let i = 2; i < 20; i++) expect((await read(x.narrow(0, i, 8).mul(i)))[0]).toBe(i * i);
    expect(gpu!.kernelStats().built).toBe(built);
  });

  it('splits a chain that reads more arrays than a kernel can', async () => {
    const parts = Array.from({ length: 16 }, (_, i) => fromData(new Float32Array([i, 2 * i]), [2]));
    const inner = openScope({ fuse: true });
    const tree = (list: readonly Tensor[]): Tensor =>
      list.length === 1
        ? list[0]!
        : tree(Array.from({ length: list.length / 2 }, (_, i) => list[2 * i]!.add(list[2 * i + 1]!)));
    const total = tree(parts);
    const data = total.data();
    inner.close();
    expect(Array.from(await data)).toEqual([120, 240]);
    const long = concat(parts);
    expect(await read(long)).toEqual(parts.flatMap((_, i) => [i, 2 * i]));
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

  describe('indices', () => {
    const x = (): Tensor =>
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]);

    it('that the host knows are checked at once', () => {
      expect(() => x().indexSelect(0, tensor([3], { dtype: 'i32' }))).toThrow(IndexError);
      expect(() => x().gather(0, tensor([[-1, 0]], { dtype: 'i32' }))).toThrow('index -1 is out of range');
    });

    it('that the GPU has computed are read back, and checked where the result is read', async () => {
      const computed = tensor([0, 1], { dtype: 'i32' }).add(1);
      expect(await read(x().indexSelect(0, computed))).toEqual([3, 4, 5, 6]);
      expect(await read(x().indexAdd(0, computed, ones([2, 2])))).toEqual([1, 2, 4, 5, 6, 7]);
      const out = x().indexSelect(0, computed.add(1));
      const after = out.add(1);
      await expect(out.data()).rejects.toThrow(IndexError);
      await expect(after.data()).rejects.toThrow(
        'indexSelect: index 3 is out of range for an axis of size 3',
      );
    });

    it('add up where they repeat', async () => {
      const index = tensor([1, 1, 1, 0], { dtype: 'i32' });
      expect(await read(zeros([2, 3]).indexAdd(0, index, ones([4, 3])))).toEqual([1, 1, 1, 3, 3, 3]);
    });
  });

  it('reads later, not at once', () => {
    expect(() => tensor([1]).dataSync()).toThrow('await data()');
    expect(String(tensor([1, 2]))).toContain('[2]');
  });

  describe('failures', () => {
    const broken = (): Tensor => {
      const backend = getBackend('gpu');
      const buffer = backend.allocate('f32', 2);
      const layout = { shape: [2], strides: [1], offset: 0 };
      backend.run({
        op: 'brokenOp',
        // What no kernel can be built from.
        record: { kind: 'elementwise', define: () => ir.constant('a[' as never) } as never,
        inputs: [tensor([1, 2]).view()],
        output: { buffer, dtype: 'f32', ...layout },
        attrs: {},
      });
      return new Tensor(new Storage(backend, buffer, 8, 'brokenOp', null), layout, 'f32').add(1);
    };

    it('to build a kernel show where the result is read, with the op named', async () => {
      await expect(broken().data()).rejects.toThrow(/^brokenOp: its kernel failed on the GPU/);
      await getBackend('gpu').sync();
    });

    it('show at the next sync, once', async () => {
      broken();
      await expect(getBackend('gpu').sync()).rejects.toThrow(/^brokenOp: its kernel failed on the GPU/);
      await getBackend('gpu').sync();
      expect(await read(tensor([1]).add(1))).toEqual([2]);
    });
  });

  it('keeps memory flat over 1,000 steps', async () => {
    const w = ones([512, 128]).clone();
    const small = ones([16, 16]).clone();
    const step = (): Tensor =>
      scope(() => w.mul(0.5).add(small.matmul(small).sum()).sum(0).max(), { fuse: true });
    for (let i = 0; i < 50; i++) await step().item();
    const before = { rss: process.memoryUsage().rss, bytes: memoryStats().bytes };
    let last = 0;
    for (let i = 0; i < 1000; i++) {
      const loss = step();
      if (i % 50 === 49) last = await loss.item();
    }
    await getBackend('gpu').sync();
    expect(last).toBeGreaterThan(0);
    // A result is of 256 KiB: 1,000 steps have made 500 MB of them.
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(100 * 2 ** 20);
    expect(memoryStats().bytes - before.bytes).toBeLessThan(2 ** 20);
  }, 300_000);
});
