/** Cold starts: processes that import a library, multiply once, and end. */
import { spawnSync } from 'node:child_process';
import { statSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { median } from '../own/sample.ts';
import type { ColdStart, Peer } from '../peers/peer.ts';
import type { Line } from './lines.ts';
import type { Pin } from './machine.ts';

const mark = 'cold:';

/** A program that tells how long its import and its first product took. */
function programOf({ language, load, multiply }: ColdStart): readonly string[] {
  if (language === 'python')
    return [
      '-c',
      `import time\nt0 = time.perf_counter()\n${load}\nt1 = time.perf_counter()\n${multiply}\nt2 = time.perf_counter()\nprint("${mark}", (t1 - t0) * 1e3, (t2 - t1) * 1e3)`,
    ];
  const code = `const t0 = performance.now(); ${load}
    const t1 = performance.now(); ${multiply}
    console.log('${mark}', t1 - t0, performance.now() - t1);`;
  return ['--input-type=module', '-e', code];
}

interface Start {
  readonly wall: number;
  readonly inside: readonly [number, number];
}

/** @throws Error with the first line of what went wrong */
function start(interpreter: string, args: readonly string[], pin: Pin, cwd: string | undefined): Start {
  const [program, ...rest] = [...pin.prefix, interpreter, ...args] as [string, ...string[]];
  const before = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, rest, {
    encoding: 'utf8',
    timeout: 120_000,
    ...(cwd !== undefined && { cwd }),
  });
  const wall = performance.now() - before;
  if (error) throw error;
  if (status !== 0)
    throw new Error(stderr.split('\n').find((line) => line.includes('Error')) ?? `exit code ${status}`);
  const told = stdout.split('\n').find((line) => line.startsWith(mark));
  const [load = 0, multiply = 0] = (told ?? '').slice(mark.length).trim().split(' ').map(Number);
  return { wall, inside: [load, multiply] };
}

/** The newest change in a folder of sources or of what was built from them, in milliseconds. */
function newest(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
      .reduce(
        (latest, { parentPath, name }) => Math.max(latest, statSync(join(parentPath, name)).mtimeMs),
        0,
      );
  } catch {
    return 0;
  }
}

/** Builds the packages where what was built is older than the sources. @returns why they do not build, or null */
export function buildPackages(): string | null {
  const root = resolve(import.meta.dirname, '../..');
  const folders = ['tensor', 'autograd', 'nn', 'zoo'].map((name) => join(root, 'packages', name));
  if (folders.every((folder) => newest(join(folder, 'dist')) > newest(join(folder, 'src')))) return null;
  const { status, stdout, error } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-b', 'packages/zoo'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (error) return error.message;
  return status === 0 ? null : `the packages do not build: ${stdout.split('\n')[0]}`;
}

/** Measures a peer's cold starts. */
export function coldStart(
  { interpreter, coldStarts }: Peer,
  runs: number,
  pin: Pin,
  hear: (line: Line) => void,
): void {
  for (const one of coldStarts) {
    const label = one.label === undefined ? '' : `, ${one.label}`;
    try {
      const args = programOf(one);
      start(interpreter, args, pin, one.cwd);
      const starts = Array.from({ length: runs }, () => start(interpreter, args, pin, one.cwd));
      const say = (name: string, pick: (one: Start) => number): void =>
        hear({ name: `cold/${name}${label}`, value: median(starts.map(pick)), unit: 'ms' });
      say('process', ({ wall }) => wall);
      say('import', ({ inside }) => inside[0]);
      say('first product', ({ inside }) => inside[1]);
    } catch (error) {
      hear({ name: `cold/process${label}`, missing: (error as Error).message });
    }
  }
}

/** The time of a process that does nothing. */
export function bareStart(runs: number, pin: Pin, hear: (line: Line) => void): void {
  const times = Array.from(
    { length: runs + 1 },
    () => start(process.execPath, ['-e', ''], pin, undefined).wall,
  );
  hear({ name: 'cold/bare Node', value: median(times.slice(1)), unit: 'ms' });
}
