/** Keeps two processes from training in one folder. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, reason } from '../errors.ts';

export const lockName = '.lock';

/**
 * Holds the folder until the returned function is called. A lock whose process is gone is taken over.
 * @throws CommandError where another process holds it
 */
export function lockFolder(folder: string): () => void {
  const lock = join(folder, lockName);
  for (let attempt = 0; ; attempt++)
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (reason(error) !== 'EEXIST')
        throw new CommandError(`${folder} cannot be written (${reason(error)})`);
      const holder = holderOf(lock);
      if (attempt > 0 || (holder !== process.pid && isAlive(holder)))
        throw new CommandError(
          `another process (${holder}) is at work in ${folder}; if it is not, delete ${lock}`,
        );
      rmSync(lock, { force: true });
    }
}

/** NaN where it holds no number, or is gone in this moment. */
function holderOf(lock: string): number {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return NaN;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return reason(error) === 'EPERM';
  }
}
