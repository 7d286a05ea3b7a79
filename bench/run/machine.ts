/** The machine, and keeping a measurement on its own part of it. */
import { spawnSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
}

export function machine(): Machine {
  const list = cpus();
  return {
    processor: list[0]?.model.trim() ?? 'unknown',
    cores: list.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}

/** Numbers of the cores that this process may run on, as `taskset` tells them; null without it. */
function allowedCores(): number[] | null {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
  const list = status === 0 ? /: (\S+)\s*$/.exec(stdout)?.[1] : undefined;
  if (!list) return null;
  return list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number) as [number, number?];
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** How the measuring processes are held to cores. */
export interface Pin {
  /** What goes before a command. */
  readonly prefix: readonly string[];
  readonly told: string;
}

/** The last `threads` cores that there are: the first one has the most to do with other things. */
export function pinTo(threads: number): Pin {
  const cores = allowedCores();
  if (!cores) return { prefix: [], told: 'not pinned to a core: there is no taskset here' };
  if (cores.length < threads)
    return { prefix: [], told: `not pinned: ${threads} threads, ${cores.length} cores` };
  const chosen = cores.slice(-threads).join(',');
  return {
    prefix: ['taskset', '-c', chosen],
    told: `each process pinned to core${threads > 1 ? 's' : ''} ${chosen} (taskset)`,
  };
}
