/** Every op of the table, in every dtype that the GPU has and in every layout, against the reference. */
import { setBackend } from '@infinigrad/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { cases, conform, Tally } from './conform.ts';
import { gpu } from './host.ts';

const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 8);

describe.skipIf(!gpu)('the gpu backend agrees with the reference', () => {
  setBackend('wasm');
  const tally = new Tally();

  it.each(cases)('$op $dtype', async (one) => {
    const lack = await conform(one, runs);
    expect(lack).not.toBe('');
    tally.add(one, lack);
  });

  afterAll(async () => {
    console.log(
      [`webgpu: ${tally.passed} cases agree, ${tally.absentCount} declared absent`, ...tally.reasons()].join(
        '\n',
      ),
    );
    await gpu!.close();
  });
});
