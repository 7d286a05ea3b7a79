/** What a command ends with when it does not end well. */
import { InfinigradError } from '@infinigrad/tensor';

/** A mistake on the command line: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was asked for cannot be done: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** A command that a signal has ended; the message says what was saved. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** An error of the library about what the user has typed becomes a mistake on the command line. */
export function asUsage<T>(what: () => T): T {
  try {
    return what();
  } catch (error) {
    if (error instanceof InfinigradError) throw new UsageError(error.message);
    throw error;
  }
}

/** What went wrong with a file, in a word. */
export function reason(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}
