/** One process at a time in a folder. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockFolder, lockName } from '../lock.ts';
import { RunError } from '../plan.ts';
import { temporaryFolder } from './support.ts';

describe('lockFolder', () => {
  test('holds the folder until it is let go', () => {
    const folder = temporaryFolder();
    const unlock = lockFolder(folder);
    expect(readFileSync(join(folder, lockName), 'utf8')).toBe(String(process.pid));
    unlock();
    expect(existsSync(join(folder, lockName))).toBe(false);
    lockFolder(folder)();
  });

  test('refuses a folder that a living process holds, and leaves its lock', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, lockName), String(process.ppid));
    expect(() => lockFolder(folder)).toThrow(RunError);
    expect(() => lockFolder(folder)).toThrow(`another process (${process.ppid}) is at work in ${folder}`);
    expect(readFileSync(join(folder, lockName), 'utf8')).toBe(String(process.ppid));
  });

  test.each([
    ['a process that is gone', String(spawnSync(process.execPath, ['-e', '']).pid)],
    ['nothing', ''],
    ['nonsense', 'me'],
    ['an earlier process with our number', String(process.pid)],
  ])('takes over the lock of %s', (_, holder) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, lockName), holder);
    const unlock = lockFolder(folder);
    expect(readFileSync(join(folder, lockName), 'utf8')).toBe(String(process.pid));
    unlock();
  });

  test('says why a folder cannot be written', () => {
    expect(() => lockFolder(join(temporaryFolder(), 'none'))).toThrow(/cannot be written \(ENOENT\)/);
    const folder = temporaryFolder();
    mkdirSync(join(folder, lockName));
    expect(() => lockFolder(folder)).toThrow(RunError);
  });
});
