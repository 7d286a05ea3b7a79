/** The gpu backend on a GPU that is as bad as any may be: tried everywhere, since no GPU is needed. */
import { registerBackend, setBackend } from '@infinigrad/tensor';
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
