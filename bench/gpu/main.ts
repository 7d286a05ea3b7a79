/** Measures the gpu backend beside the wasm backend: `pnpm bench:gpu --help`. */
import { join } from 'node:path';
import { openScope, setBackend, setThreads, threadsReady } from '@infinigrad/tensor';
import type { Gpu } from '@infinigrad/tensor/gpu';
import { UsageError } from '../options.ts';
import { asText, type Table } from '../report/tables.ts';
import { seriesOf, type Case } from './cases.ts';
import { timeLater, type Sampling } from './measure.ts';
import { openGpu } from './open.ts';
import { parseGpuOptions, type GpuBenchOptions } from './options.ts';
import { tableOf, writeSection, type Measured } from './report.ts';

const progress = (text: string): void => void process.stderr.write(`${text}\n`);

/** Numbers that are to agree may differ by this fraction. */
const agreement = 1e-3;

/** @returns what is wrong beside the figures, or null */
async function measure(one: Case, sampling: Sampling): Promise<{ measured: Measured; fault: string | null }> {
  const on = async (backend: string): Promise<{ ms: number; check: number }> => {
    setBackend(backend);
    const made = openScope();
    try {
      const { call, check } = one.ready();
      const value = await check();
      return { ms: await timeLater(call, sampling), check: value };
    } finally {
      made.close();
    }
  };
  const wasm = await on('wasm');
  const gpu = await on('gpu');
  const off = Math.abs(gpu.check - wasm.check) / Math.abs(wasm.check);
  const fault = off <= agreement ? null : `${one.name}: ${gpu.check} on the gpu, ${wasm.check} on wasm`;
  return { measured: { one, wasm: wasm.ms, gpu: gpu.ms }, fault };
}

async function run(gpu: Gpu, { only, quick, threads, write }: GpuBenchOptions): Promise<number> {
  setThreads(threads);
  const { count } = await threadsReady();
  const about = `wasm: ${count} thread${count > 1 ? 's' : ''}; gpu: ${gpu.adapter} (${gpu.mode})`;
  const nothing = gpu.software
    ? `!!! ${gpu.adapter} is a program on the CPU: these figures say nothing about GPUs`
    : null;
  for (const line of [about, nothing]) if (line !== null) console.log(line);
  const sampling = quick ? { minSamples: 3, seconds: 0.1 } : { minSamples: 15, seconds: 1 };
  const series = seriesOf(quick);
  const tables: Table[] = [];
  const faults: string[] = [];
  for (const name of only) {
    const found: Measured[] = [];
    for (const one of series[name].cases) {
      const began = performance.now();
      const { measured, fault } = await measure(one, sampling);
      found.push(measured);
      if (fault !== null) faults.push(fault);
      progress(`${name}: ${one.name} in ${((performance.now() - began) / 1e3).toFixed(1)} s`);
    }
    tables.push(tableOf(series[name], found));
  }
  console.log(`\n${tables.map(asText).join('\n\n')}\n`);
  if (nothing !== null) console.log(nothing);
  if (write && faults.length === 0)
    console.log(`written: ${writeSection(join(import.meta.dirname, '..'), gpu, tables, [about])}`);
  for (const fault of faults) console.error(`!!! ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = parseGpuOptions(process.argv.slice(2), (text) => process.stdout.write(text));
  const gpu = await openGpu(options);
  if (options.write && gpu.software)
    throw new UsageError(`--write: ${gpu.adapter} is a program on the CPU, whose figures mean nothing`);
  return run(gpu, options);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) process.exitCode = error.exitCode;
  else process.exitCode = 1;
  const { message } = error as Error;
  if (message !== '') process.stderr.write(`bench:gpu: ${message}\n`);
}
// Drivers and helper threads would keep the process alive.
process.exit();
