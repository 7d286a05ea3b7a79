/** The command line: every flag, its default and its limits. */
import { Argument, Command, CommanderError, InvalidArgumentError } from 'commander';
import { experimentNames, experiments, type ExperimentName } from './experiments.ts';

export interface Request {
  readonly names: readonly ExperimentName[];
  readonly seed: number;
  /** Default: the recipe's. */
  readonly steps?: number;
  readonly quick: boolean;
  /** Folder of the results. */
  readonly out: string;
}

/** A mistake on the command line, told in one line. Without a message there is nothing to say (--help). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Steps of a first look. */
export const quickSteps = 40;

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`Give an integer from ${min} to ${max.toLocaleString('en')}.`);
    return value;
  };
}

const list = experimentNames
  .map((name) => `  ${name.padEnd(8)}${experiments[name].title} (${experiments[name].recipe.steps} steps)`)
  .join('\n');

function command(write: (text: string) => void): Command {
  return new Command('objectives')
    .description('Train small models from scratch on texts whose best possible loss is known.')
    .addArgument(new Argument('<name...>', 'which experiments').choices([...experimentNames, 'all']))
    .option('--steps <n>', "training steps (default: the experiment's)", integer(1, 1_000_000))
    .option('--seed <n>', 'decides weights, source and data', integer(0, 2 ** 32 - 1), 0)
    .option('--quick', `${quickSteps} steps and fewer texts: a first look, goals do not count`)
    .option('--out <dir>', 'folder of the results, <name>-seed<seed>.json each', 'runs/objectives')
    .addHelpText(
      'after',
      `\n${list}\n\nExit codes: 0 all goals reached, 1 one was not, or a loss lies below its floor, 2 wrong options.`,
    )
    .helpOption('--help', 'show this')
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {} });
}

/**
 * What the arguments ask for; null where they ask for help, which is then written.
 * @throws UsageError with one line that says what is wrong
 */
export function parseOptions(argv: readonly string[], write: (text: string) => void): Request | null {
  const parser = command(write);
  try {
    parser.parse(argv[0] === '--' ? argv.slice(1) : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw new UsageError(error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '));
  }
  const { quick = false, ...flags } = parser.opts<Omit<Request, 'names' | 'quick'> & { quick?: boolean }>();
  if (quick && flags.steps !== undefined) throw new UsageError('give either --quick or --steps');
  const names = parser.args as (ExperimentName | 'all')[];
  return {
    ...flags,
    quick,
    names: names.includes('all') ? experimentNames : [...new Set(names as ExperimentName[])],
  };
}
