/** The gpu backend on a GPU that is as bad as any may be: tried everywhere, since no GPU is needed. */
import { fromData, registerBackend, scope, setBackend } from '@infinigrad/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { GpuBackend } from '../../src/backends/gpu/backend.ts';
import { cases, conform } from './conform.ts';
import { PretendDevice } from './pretend.ts';

const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 3);

const divisions = [
  { division: 'exact', grid: [64, 64, 64] },
  { division: 'low', grid: [0, 0, 0] },
  { division: 'high', grid: [8, 8, 2] },
] as const;

describe.each(divisions)('a GPU whose quotients are $division, of grids up to $grid', (bad) => {
  beforeAll(() => {
    setBackend('js');
    registerBackend(new GpuBackend(new PretendDevice(bad)));
  });

  it.each(cases)('$op $dtype', async (one) => {
    expect(await conform(one, runs)).not.toBe('');
  });
});

it('lets the GPU catch up where nothing is read: memory that is given back is there again only then', async () => {
  const device = new PretendDevice({ division: 'exact', grid: [64, 64, 64] });
  const backend = new GpuBackend(device);
  const x = fromData(new Float32Array([1, 2]), [2], { backend });
  for (let i = 0; i < 1000; i++) scope(() => void x.add(i));
  await x.add(1).data();
  expect(device.drains).toBeGreaterThan(1000 / 40);
  expect(device.drains).toBeLessThan(100);
});
