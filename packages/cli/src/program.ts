/** The commands together: parsing, errors in one line, exit codes. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { InfinigradError } from '@infinigrad/tensor';
import { defineConvert } from './commands/convert.ts';
import { defineEval } from './commands/eval.ts';
import { defineGenerate } from './commands/generate.ts';
import { defineInspect } from './commands/inspect.ts';
import { defineTrain } from './commands/train.ts';
import { CommandError, Interrupted, UsageError } from './errors.ts';
import type { Io } from './output.ts';

/** As `Io`, with a place for errors. */
export interface ProgramIo extends Io {
  error(text: string): void;
}

const notes = `
Every command has its own --help, with examples.
Exit codes: 0 done, 1 it could not be done, 2 wrong options, 130 stopped by Ctrl-C
(143 by SIGTERM) and saved. With INFINIGRAD_DEBUG=1 an error shows its stack.`;

/** Beside the sources, and beside what is built of them. */
function versionOf(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

function programOf(io: ProgramIo): Command {
  const program = new Command('infinigrad')
    .description('Train, run and look into language models.')
    .version(versionOf(), '--version', 'show the version')
    .helpOption('--help', 'show this')
    .helpCommand(false)
    .addHelpText('after', notes)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: () => {}, outputError: () => {} });
  defineTrain(program, io);
  defineGenerate(program, io);
  defineEval(program, io);
  defineInspect(program, io);
  defineConvert(program, io);
  return program;
}

/**
 * Does what the arguments say.
 * @returns the exit code; what went wrong has then been told in one line
 */
export async function run(argv: readonly string[], io: ProgramIo): Promise<number> {
  const program = programOf(io);
  const given = argv[0] === '--' ? argv.slice(1) : argv;
  try {
    if (given.length === 0) throw new UsageError('say what to do: infinigrad --help lists the commands');
    await program.parseAsync(given, { from: 'user' });
    return 0;
  } catch (error) {
    return told(error, io);
  }
}

function told(error: unknown, io: ProgramIo): number {
  const complain = (message: string, hint = ''): void => {
    const stack = error instanceof Error ? (error.stack ?? message) : message;
    const line = `${message.replaceAll(/\s*\n\s*/g, ' ')}${hint}`;
    io.error(process.env['INFINIGRAD_DEBUG'] ? `${stack}\n` : `infinigrad: ${line}\n`);
  };
  const help = ' (--help shows all options)';
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    complain(error.message.replace(/^error: /, ''), help);
    return 2;
  }
  if (error instanceof UsageError) {
    complain(error.message, error.message.includes('--help') ? '' : help);
    return 2;
  }
  if (error instanceof Interrupted) {
    io.error(`${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof CommandError || error instanceof InfinigradError) complain(error.message);
  else complain(`unexpected: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
}
