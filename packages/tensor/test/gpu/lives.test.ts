/** What lives too long, too short or somewhere else on GPUs, or through gpu.js, and must not here. */
import {
  arange,
  BackendError,
  concat,
  DisposedError,
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
} from '@infinigrad/tensor';
import { useGpu, type Gpu } from '@infinigrad/tensor/gpu';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { GpuBackend } from '../../src/backends/gpu/backend.ts';
import { assertMode, loadLibrary } from '../../src/backends/gpu/gpujs.ts';
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

  it('is one in a process: asked for again, the same', async () => {
    expect(await useGpu({ mode: 'webgpu', force: true, webgpu: webGpu() })).toBe(gpu);
    expect(tensor([1]).backend).toBe(getBackend('gpu'));
  });

  it('refuses what gpu.js has run in another mode than was asked for', async () => {
    const library = await loadLibrary();
    const cpu = new library.GPU({ mode: 'cpu' as 'webgpu' });
    const settings = { output: [2], pipeline: true, immutable: true, precision: 'single' } as const;
    const kernel = cpu.createKernel('function (s) { return s; }', { ...settings, loopMaxIterations: 1 });
    await kernel(1);
    expect(() => assertMode(library, kernel, 'webgpu')).toThrow(BackendError);
    expect(() => assertMode(library, kernel, 'webgpu')).toThrow("in mode 'cpu' instead of 'webgpu'");
    await cpu.destroy();
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

  it('has kernels go while their results live, and builds them again', async () => {
    const keep = (kernels: number): Promise<Gpu> =>
      useGpu({ mode: 'webgpu', force: true, webgpu: webGpu(), kernels });
    await keep(4);
    const { built } = gpu!.kernelStats();
    const made = Array.from({ length: 24 }, (_, i) => ones([i + 2]).mul(i));
    const sums = made.map((x) => x.add(1).sum());
    for (const [i, x] of made.entries()) expect(await read(x)).toEqual(new Array(i + 2).fill(i));
    for (const [i, x] of sums.entries()) expect(await x.item()).toBe((i + 2) * (i + 1));
    expect(gpu!.kernelStats().built).toBeGreaterThanOrEqual(built + 48);
    expect(gpu!.kernelStats().kept).toBeLessThanOrEqual(4);
    for (const [i, x] of made.entries()) expect(await read(x.mul(2))).toEqual(new Array(i + 2).fill(2 * i));
    await keep(1000);
  });

  describe('what was given back', () => {
    it('is not read', async () => {
      const made: Tensor[] = [];
      scope(() => void made.push(tensor([1, 2]).add(1)));
      expect(() => made[0]!.add(1)).toThrow(DisposedError);
      await expect(async () => made[0]!.data()).rejects.toThrow(DisposedError);
    });

    it('and is used again takes nothing from what lives', async () => {
      const kept: [number, Tensor][] = [];
      for (let i = 0; i < 40; i++) {
        const twice = (): Tensor => fromData(new Float32Array(100).fill(i), [100]).mul(2);
        if (i % 3 === 0) kept.push([2 * i, scope(twice)]);
        else scope(() => void twice());
      }
      for (const [value, y] of kept) expect(await read(y)).toEqual(new Array(100).fill(value));
    });
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

    it('of the driver to build a kernel are not printed', async () => {
      const print = vi.spyOn(console, 'error');
      const { device } = getBackend('gpu') as GpuBackend;
      const given = device.upload(new Float32Array(2));
      // WGSL steps no counter that starts at a float.
      const source = 'function (a) { let s = 0; for (let i = a[0]; i < 2; i++) { s = s + a[1]; } return s; }';
      const kernel = device.compile(source, [2], [2], 0);
      await expect(async () => device.launch(kernel, [given], [])).rejects.toThrow();
      await device.drain();
      expect(device.complaint()).toMatch(/\w/);
      expect(print).not.toHaveBeenCalled();
      print.mockRestore();
      device.release(given);
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
    // Until all that is kept is there.
    for (let i = 0; i < 300; i++)
      if (i % 50 === 49) await step().item();
      else step();
    const outside = (): number => {
      const { rss, heapTotal } = process.memoryUsage();
      return rss - heapTotal;
    };
    const before = { outside: outside(), bytes: memoryStats().bytes };
    let last = 0;
    for (let i = 0; i < 1000; i++) {
      const loss = step();
      if (i % 50 === 49) last = await loss.item();
    }
    await getBackend('gpu').sync();
    expect(last).toBeGreaterThan(0);
    // A result is of 256 KiB: 1,000 steps have made 500 MB of them.
    expect(outside() - before.outside).toBeLessThan(100 * 2 ** 20);
    expect(memoryStats().bytes - before.bytes).toBeLessThan(2 ** 20);
  }, 300_000);
});
