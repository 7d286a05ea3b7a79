/** Keeps two processes from working in one folder. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from './plan.ts';

export const lockName = '.lock';

/**
 * Holds the folder until the returned function is called. A lock whose process is gone is taken over.
 * @throws RunError where another process holds it
 */
export function lockFolder(path: string): () => void {
  const lock = join(path, lockName);
  for (let attempt = 0; ; attempt++)
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code !== 'EEXIST') throw new RunError(`${path} cannot be written (${code ?? String(error)})`);
      const holder = readHolder(lock);
      if (attempt > 0 || (holder !== process.pid && isAlive(holder)))
        throw new RunError(`another process (${holder}) is at work in ${path}; if it is not, delete ${lock}`);
      rmSync(lock, { force: true });
    }
}

/** The number in the lock; NaN where it holds none. */
function readHolder(lock: string): number {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch (error) {
    const { code } = error as { code?: string };
    // Its holder has let go of it in this moment.
    if (code === 'ENOENT') return NaN;
    throw new RunError(`${lock} cannot be read (${code ?? String(error)})`);
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}
