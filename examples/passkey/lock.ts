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
      const holder = Number(readFileSync(lock, 'utf8'));
      if (attempt > 0 || (holder !== process.pid && isAlive(holder)))
        throw new RunError(`another process (${holder}) is at work in ${path}; if it is not, delete ${lock}`);
      rmSync(lock, { force: true });
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
