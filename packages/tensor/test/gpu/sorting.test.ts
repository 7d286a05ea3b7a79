/** Orders along long lines, which go through many merges. */
import { fromData, getBackend, setBackend, type Tensor } from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpu } from './host.ts';

/** Many equal elements, and some NaN. */
const data = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => (i % 97 === 5 ? NaN : Math.floor(50 * Math.sin(i * i))));

describe.skipIf(!gpu)('orders on the gpu', () => {
  beforeAll(() => setBackend('gpu'));
  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });

  const agree = async (shape: readonly number[], f: (x: Tensor) => Tensor): Promise<void> => {
    const values = data(shape.reduce((a, b) => a * b, 1));
    const [there, here] = ['gpu', 'js'].map((name) =>
      f(fromData(values, shape, { backend: getBackend(name) })),
    );
    expect(Array.from(await there!.data())).toEqual(Array.from(await here!.data()));
  };

  it.each([
    [[3000], 0],
    [[2, 257], 1],
    [[129, 3], 0],
    [[2, 1024, 2], 1],
  ] as const)('of %j along %i are the reference’s, equal elements and NaN included', async (shape, axis) => {
    for (const descending of [false, true]) await agree(shape, (x) => x.argSort(axis, descending));
    for (const largest of [false, true])
      for (const sorted of [false, true]) await agree(shape, (x) => x.argTopK(37, axis, { largest, sorted }));
  });

  it('build one kernel for all widths', async () => {
    const before = gpu!.kernelStats().built;
    await fromData(data(5000), [5000]).argSort().data();
    const { built } = gpu!.kernelStats();
    expect(built - before).toBeLessThanOrEqual(3);
  });
});
