/** Measuring programs as processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseLine, type Line } from './lines.ts';
import type { Pin } from './machine.ts';

export interface Command {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  /** Why it failed, in a line; null where it did not. */
  readonly failure: string | null;
}

const longestMinutes = 60;

/** The part of an error output that says what went wrong. */
function reasonIn(errors: string): string {
  const lines = errors.split('\n').map((line) => line.trim());
  const telling = lines.findLast((line) => /^(\w*(Error|Exception)\b.*:|internal:)/.test(line));
  return (telling ?? lines.findLast((line) => line !== '' && !line.startsWith('at ')) ?? '').slice(0, 300);
}

let running: ChildProcess | null = null;

/** Ends the program that is running, if one is. */
export function stopProgram(): void {
  running?.kill('SIGKILL');
}

/** Runs a program on its cores; `hear` gets each line that it says. Resolves when it has ended. */
export function runProgram(
  { command, cwd, env }: Command,
  pin: Pin,
  hear: (line: Line) => void,
): Promise<Ended> {
  const [program, ...args] = [...pin.prefix, ...command] as [string, ...string[]];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: longestMinutes * 60_000,
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
  });
  running = child;
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-20_000)));
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parseLine(text);
    if (line) hear(line);
  });
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ failure: error.message }));
    child.on('close', (code, signal) => {
      running = null;
      if (code === 0) resolve({ failure: null });
      else
        resolve({
          failure: `${signal ?? `exit code ${code}`}: ${reasonIn(errors) || 'nothing on its error output'}`,
        });
    });
  });
}
