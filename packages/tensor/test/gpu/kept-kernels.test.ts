/** How many kernels are kept to be launched again. */
import { ones, setBackend, ValueError } from '@infinigrad/tensor';
import { useGpu, type Gpu } from '@infinigrad/tensor/gpu';
import { afterAll, describe, expect, it } from 'vitest';
import { gpu, webGpu } from './host.ts';

it.each([0, -1, 1.5, NaN])('no %s kernels are kept', async (kernels) => {
  await expect(useGpu({ kernels })).rejects.toThrow(ValueError);
  await expect(useGpu({ kernels })).rejects.toThrow(`useGpu: kernels is ${kernels}`);
});

describe.skipIf(!gpu)('kernels', () => {
  const open = (kernels: number): Promise<Gpu> =>
    useGpu({ mode: 'webgpu', force: true, webgpu: webGpu(), kernels });

  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });

  it('go where more were made than are kept, and are built again', async () => {
    const few = await open(3);
    const made = Array.from({ length: 8 }, (_, i) => ones([i + 2]).mul(i));
    for (const [i, x] of made.entries())
      expect(Array.from(await x.add(1).data())).toEqual(new Array(i + 2).fill(i + 1));
    const { built, kept } = few.kernelStats();
    expect(kept).toBe(3);
    await made[0]!.add(1).data();
    expect(few.kernelStats().built).toBe(built + 1);
    await open(1000);
    await made[1]!.add(1).data();
    await made[2]!.add(1).data();
    expect(few.kernelStats().kept).toBe(5);
  });
});
