/** Timing of short calls: benchmark.js samples, the median counts. */
import Benchmark from 'benchmark';
import type { Sampling } from '../workload/settings.ts';

export interface Timing {
  /** Milliseconds of one call. */
  readonly ms: number;
  /** Processor time over wall time. */
  readonly cpu: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Lets the event loop turn, so that the garbage collector can tell what it has found. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Runs `body` and tells processor time over wall time. */
export async function withCpu<T>(
  body: () => Promise<T> | T,
): Promise<{ readonly result: T; readonly cpu: number }> {
  const before = process.cpuUsage();
  const started = performance.now();
  const result = await body();
  const wall = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  return { result, cpu: (user + system) / 1e3 / wall };
}

/** The median time of a call. Between samples the event loop turns. */
export async function timeOf(call: () => void, { warmups, minSamples, seconds }: Sampling): Promise<Timing> {
  for (let i = 0; i < warmups; i++) call();
  await breathe();
  const minTime = Math.min(0.05, seconds / 5);
  const bench = new Benchmark(call, { async: true, delay: 0.001, minSamples, maxTime: seconds, minTime });
  const done = new Promise<void>((resolve) => void bench.on('complete', () => resolve()));
  const { cpu } = await withCpu(() => {
    bench.run();
    return done;
  });
  if (bench.error) throw bench.error;
  return { ms: median(bench.stats.sample as number[]) * 1e3, cpu };
}
