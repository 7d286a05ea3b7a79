/** Linear layers in f16 and bf16: for a few rows the weights are widened as they are read, to the same bits. */
import { fromData, getBackend, Key, memoryStats, scope, tensor, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KernelCall } from '../../src/backends/backend.ts';

const halves = ['f16', 'bf16'] as const;

const layouts = {
  'as they come': (w: Tensor) => w,
  'with columns along memory': (w: Tensor) => w.transpose().clone().transpose(),
  'with gaps': (w: Tensor) => w.repeatInterleave(2, 0).slice([[null, null, 2]]),
} as const;

const bits = (x: Tensor): number[] => [...new Uint16Array((x.dataSync() as Uint16Array).buffer)];

/** What the backend is given as weights while `body` runs. */
function weightsIn(body: () => void): string[] {
  const backend = getBackend('wasm');
  const seen: string[] = [];
  const run = backend.run;
  backend.run = (call: KernelCall) => {
    if (call.op === 'linear') seen.push(call.inputs[1]!.dtype);
    run.call(backend, call);
  };
  try {
    body();
  } finally {
    backend.run = run;
  }
  return seen;
}

describe.each(halves)('linear in %s', (dtype) => {
  it.each(Object.keys(layouts) as (keyof typeof layouts)[])('is that of the widened weights, %s', (layout) =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        (rows, out, inner, seed) =>
          scope(() => {
            const keys = new Key(seed).split(3) as [Key, Key, Key];
            const x = keys[0].normal([rows, inner]).cast(dtype);
            const w = layouts[layout](keys[1].normal([out, inner]).cast(dtype));
            const b = keys[2].normal([out]).cast(dtype);
            const wide = [x, w, b].map((y) => y.cast('f32').clone()) as [Tensor, Tensor, Tensor];
            expect(bits(x.linear(w, b))).toEqual(bits(wide[0].linear(wide[1], wide[2]).cast(dtype)));
          }),
      ),
      { numRuns: 60 },
    ),
  );

  it('reads the weights as they are, and takes no memory for wider ones', () => {
    const [out, inner] = [256, 512];
    const w = new Key(0).normal([out, inner]).cast(dtype);
    const x = new Key(1).normal([1, inner]).cast(dtype);
    const before = memoryStats().allocatedBytes;
    expect(weightsIn(() => void scope(() => x.linear(w)))).toEqual([dtype]);
    expect(memoryStats().allocatedBytes - before).toBeLessThan(out * inner);
  });

  it('adds nothing beside an infinity, and to none', () => {
    // A single element is left over when four at a time are done.
    const x = fromData(Float32Array.from([1, 1, 1, 1, 2]), [1, 5]).cast(dtype);
    const w = tensor([
      [0, 0, 0, 0, Infinity],
      [Infinity, 0, 0, 0, 1],
      [1, 2, 3, 4, NaN],
    ]).cast(dtype);
    expect(x.linear(w).cast('f32').toArraySync()).toEqual([[Infinity, Infinity, NaN]]);
  });
});
