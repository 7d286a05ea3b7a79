/** The command line. */
import { availableParallelism } from 'node:os';
import { backendNames } from '@infinigrad/tensor';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { benchmarkNames, benchmarks, type BenchmarkName } from './benchmarks.ts';

/** A mistake on the command line, told in one line; exit code 2. With exit code 0 there is nothing to say (--help). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number;
  constructor(text: string, exitCode = 2) {
    super(text);
    this.exitCode = exitCode;
  }
}

export interface Options {
  readonly only: readonly BenchmarkName[];
  readonly threads: number;
  readonly backend: string;
  readonly quick: boolean;
  readonly peers: boolean;
  /** Losses and decoded tokens only, as a test. */
  readonly check: boolean;
  readonly json: string | null;
  /** Write results/<date>.json and RESULTS.md. */
  readonly write: boolean;
}

function names(text: string): BenchmarkName[] {
  const given = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = given.filter((name) => !(name in benchmarks));
  if (unknown.length > 0 || given.length === 0)
    throw new InvalidArgumentError(
      `${unknown.length > 0 ? `There is no ${unknown.join(', ')}` : 'It names nothing'}; there are ${benchmarkNames.join(', ')}.`,
    );
  return benchmarkNames.filter((name) => given.includes(name));
}

function threads(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > availableParallelism())
    throw new InvalidArgumentError(`Give an integer from 1 to ${availableParallelism()}, the cores at hand.`);
  return value;
}

function backend(text: string): string {
  if (!backendNames().includes(text))
    throw new InvalidArgumentError(`There is no backend ${text}; there are ${backendNames().join(', ')}.`);
  return text;
}

function file(text: string): string {
  if (text.trim() === '' || text.startsWith('-')) throw new InvalidArgumentError('Give a file.');
  return text;
}

interface Flags {
  readonly only?: BenchmarkName[];
  readonly json?: string;
  readonly threads: number;
  readonly backend: string;
  readonly quick?: boolean;
  readonly peers?: boolean;
  readonly check?: boolean;
  readonly write?: boolean;
}

function command(write: (text: string) => void): Command {
  const fast = backendNames().includes('wasm') ? 'wasm' : backendNames()[0]!;
  return new Command('bench')
    .description('Measures the framework, and beside it jax-js, TensorFlow.js and PyTorch.')
    .option('--only <names>', `some of ${benchmarkNames.join(', ')}`, names)
    .option('--peers', 'measure the peers too; they are installed into a temporary folder')
    .option('--quick', 'few samples and steps: a look, not a measurement')
    .option('--check', 'only see that losses and decoded tokens are right; exit code 1 where not')
    .option('--threads <n>', 'threads, each on a core of its own', threads, 1)
    .option('--backend <name>', 'backend of the framework', backend, fast)
    .option('--json <file>', 'also write the figures to a file: name, peer, value, unit, threads', file)
    .option(
      '--write',
      'write results/<date>.json and RESULTS.md also after --quick or --only, into what is there',
    )
    .helpOption('--help', 'show this')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {} });
}

/**
 * What the arguments ask for.
 * @param write takes the text of --help
 * @throws UsageError with one line that says what is wrong
 */
export function parseOptions(argv: readonly string[], write: (text: string) => void): Options {
  const parser = command(write);
  try {
    parser.parse(argv[0] === '--' ? argv.slice(1) : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new UsageError('', 0);
    throw new UsageError(error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '));
  }
  const flags = parser.opts<Flags>();
  const { quick = false, check = false, peers = false } = flags;
  const checked = ['gpt-small', 'gpt-large', 'decode'] as const;
  if (check && flags.only?.some((name) => !(checked as readonly string[]).includes(name)))
    throw new UsageError(`--check looks at ${checked.join(', ')} only`);
  return {
    only: flags.only ?? (check ? checked : benchmarkNames),
    threads: flags.threads,
    backend: flags.backend,
    quick,
    peers,
    check,
    json: flags.json ?? null,
    write: flags.write ?? (!quick && !check && flags.only === undefined),
  };
}
