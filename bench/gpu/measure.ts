/** Times calls on a backend that computes later: many calls, then a wait until all is done. */
import { currentBackend } from '@infinigrad/tensor';
import { breathe, median } from '../own/sample.ts';

export interface Sampling {
  readonly minSamples: number;
  /** Go on sampling for this long. Of a call that takes longer there is one sample. */
  readonly seconds: number;
}

/** As many calls as take this long go between two waits. */
const sampleMs = 20;

/** What is timed; it may wait for what it reads. */
export type Call = () => void | Promise<void>;

/** The median time of a call on the backend at hand, in milliseconds. */
export async function timeLater(call: Call, { minSamples, seconds }: Sampling): Promise<number> {
  const backend = currentBackend();
  const run = async (calls: number): Promise<number> => {
    const before = performance.now();
    for (let i = 0; i < calls; i++) {
      const pending = call();
      if (pending) await pending;
    }
    await backend.sync();
    return (performance.now() - before) / calls;
  };
  // Kernels are built, and memory is found.
  await run(1);
  const once = await run(1);
  if (once > seconds * 1e3) return once;
  const calls = Math.max(1, Math.round(sampleMs / once));
  const samples: number[] = [];
  const end = performance.now() + seconds * 1e3;
  while (samples.length < minSamples || performance.now() < end) {
    samples.push(await run(calls));
    await breathe();
  }
  return median(samples);
}
