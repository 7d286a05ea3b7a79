/** The gpu backend on a GPU that is as bad as any may be: tried everywhere, since no GPU is needed. */
import { fromData, registerBackend, scope, setBackend } from '@infinigrad/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { GpuBackend } from '../../src/backends/gpu/backend.ts';
import { Source } from '../../src/backends/gpu/source.ts';
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

it('makes a kernel for each length of what it reads, also where text and threads are the same', async () => {
  const backend = new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] }));
  for (const length of [10, 20, 10]) {
    const x = fromData(
      Float32Array.from({ length }, (_, i) => i + length),
      [length],
      { backend },
    );
    expect(Array.from(await x.narrow(0, 1, 3).mul(2).data())).toEqual([1, 2, 3].map((i) => 2 * (i + length)));
  }
  expect(backend.kernelStats.built).toBe(2);
});

it('raises negative numbers to powers without asking the GPU', async () => {
  const backend = new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] }));
  const [x, y] = [
    [-2, -1.5, -3, 0, 0, -2],
    [3, 2, -1, 0, 2, 0.5],
  ].map((data) => fromData(Float32Array.from(data), [6], { backend }));
  const powers = [-8, 2.25, -1 / 3, 1, 0, NaN].map(Math.fround);
  expect(Array.from(await x!.pow(y!).data())).toEqual(powers);
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

describe('indices are taken apart rightly', () => {
  /** The spacing of f32 at a number from 1 on. */
  const ulp = (x: number): number => 2 ** (Math.floor(Math.log2(x)) - 23);

  it.each([2, 3, 4, 5, 7, 9, 10, 49, 64, 100, 768, 1000, 4096])('by %d', (size) => {
    const source = new Source();
    const { quotient, rest } = source.split('a0', size);
    const { source: text } = source.program(`${quotient} + ${rest} * 0`, [1]);
    const { source: both } = source.program(rest, [1]);
    const run = (body: string, floor: (x: number) => number): ((index: number) => number) =>
      new Function('Math', `return ${body.replace('function ()', 'function (a0)')}`)({ floor });
    const last = 2 ** 24 - 1;
    const around = [0, 1, size - 1, size, 3 * size, last - size, last].flatMap((i) => [i - 1, i, i + 1]);
    const random = Array.from({ length: 200 }, (_, i) => Math.floor((Math.sin(i) * 0.5 + 0.5) * last));
    for (const off of [0, -2.5, 2.5]) {
      // Quotients are off, products are not.
      const floor = (x: number): number =>
        Math.floor(Number.isInteger(Math.log2(size)) || x < 1 ? x : Math.fround(x + off * ulp(x)));
      const [q, r] = [run(text, floor), run(both, floor)];
      for (const i of [...around, ...random].filter((index) => index >= 0 && index <= last)) {
        expect([i, q(i)]).toEqual([i, Math.floor(i / size)]);
        expect([i, r(i)]).toEqual([i, i % size]);
      }
    }
  });
});
