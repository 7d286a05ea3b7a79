/** The command line of `pnpm bench:gpu`. */
import type { Mode } from '@infinigrad/tensor/gpu';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../options.ts';
import { seriesNames, type SeriesName } from './cases.ts';

export interface GpuBenchOptions {
  readonly only: readonly SeriesName[];
  readonly mode: Mode | 'auto';
  readonly quick: boolean;
  /** Take a program on the CPU that stands in for a GPU. */
  readonly force: boolean;
  /** Write the device's section of RESULTS.md. */
  readonly write: boolean;
  /** Of the wasm backend. */
  readonly threads: number;
}

function names(text: string): SeriesName[] {
  const given = text.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !(seriesNames as readonly string[]).includes(name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`There is no ${unknown.join(', ')}; there are ${seriesNames.join(', ')}.`);
  return seriesNames.filter((name) => given.includes(name));
}

function threads(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('Give a whole number from 1 on.');
  return Number(text);
}

/** @throws UsageError with one line that says what is wrong */
export function parseGpuOptions(argv: readonly string[], write: (text: string) => void): GpuBenchOptions {
  const parser = new Command('bench:gpu')
    .description('Measures the gpu backend beside the wasm backend, in one process.')
    .option('--only <names>', `some of ${seriesNames.join(', ')}`, names)
    .option('--quick', 'small sizes and few samples: a look, not a measurement')
    .option('--force', 'also on a program on the CPU that stands in for a GPU; the figures then mean nothing')
    .option(
      '--write',
      "put the figures into RESULTS.md, in a section of the device's own; not with such a program",
    )
    .addOption(
      new Option('--mode <mode>', 'how to reach the GPU')
        .choices(['auto', 'webgpu', 'webgl2', 'headlessgl'])
        .default('auto'),
    )
    .option('--threads <n>', 'threads of the wasm backend', threads, 1)
    .helpOption('--help', 'show this')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {} });
  try {
    parser.parse(argv[0] === '--' ? argv.slice(1) : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new UsageError('', 0);
    throw new UsageError(error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '));
  }
  const flags = parser.opts<Partial<GpuBenchOptions>>();
  return {
    only: flags.only ?? seriesNames,
    mode: flags.mode ?? 'auto',
    quick: flags.quick ?? false,
    force: flags.force ?? false,
    write: flags.write ?? false,
    threads: flags.threads ?? 1,
  };
}
