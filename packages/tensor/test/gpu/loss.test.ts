/** A GPU that goes away. */
import { BackendError, getBackend, setBackend, tensor, type Tensor } from '@infinigrad/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { gpu, webGpu } from './host.ts';
import { useGpu } from '@infinigrad/tensor/gpu';

describe.skipIf(!gpu)('a lost GPU', () => {
  let old: Tensor;
  afterAll(() => setBackend('wasm'));

  it('says so, and what to do', async () => {
    old = tensor([1, 2]).add(1);
    const x = old;
    expect(Array.from(await x.data())).toEqual([2, 3]);
    (getBackend('gpu') as unknown as { device: { lose(): void } }).device.lose();
    await expect(x.data()).rejects.toThrow(BackendError);
    await expect(x.data()).rejects.toThrow(/the GPU was lost.*call useGpu\(\) again/);
    expect(() => x.add(1)).toThrow(/^add: the GPU was lost/);
    expect(() => tensor([1])).toThrow(BackendError);
  });

  it('can be had again, and does not mix with what was lost', async () => {
    const again = await useGpu({ mode: 'webgpu', force: true, webgpu: webGpu() });
    expect(Array.from(await tensor([1, 2]).add(1).data())).toEqual([2, 3]);
    expect(() => tensor([1, 2]).add(old)).toThrow('inputs live on different backends');
    await expect(old.data()).rejects.toThrow(/the GPU was lost/);
    await again.close();
  });
});
