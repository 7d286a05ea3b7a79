/** Writing a folder whole or not at all. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InfinigradError } from '@infinigrad/tensor';
import { CommandError, reason } from './errors.ts';
import { kindOf } from './checkpoint.ts';
import { exitCodes, onSignal } from './signals.ts';

/** @throws CommandError where the folder is there and not empty */
export async function checkFree(folder: string): Promise<void> {
  const kind = await kindOf(folder);
  if (kind === 'file') throw new CommandError(`${folder} is a file: choose another place`);
  if (kind === 'folder' && (await readdir(folder)).length > 0)
    throw new CommandError(`${folder} is not empty: choose another folder`);
}

/**
 * Lets `write` fill a folder beside `folder`, which then takes its place. Where that fails, or Ctrl-C ends it, nothing is left.
 * @throws CommandError where the folder is there and not empty, or cannot be written
 */
export async function writeFolder(folder: string, write: (aside: string) => Promise<void>): Promise<void> {
  await checkFree(folder);
  const target = resolve(folder);
  const aside = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  const off = onSignal((signal) => {
    rmSync(aside, { recursive: true, force: true });
    process.stderr.write(`Stopped; nothing was written to ${folder}\n`);
    process.exit(exitCodes[signal]);
  });
  try {
    await mkdir(aside, { recursive: true });
    await write(aside);
    if ((await kindOf(target)) === 'folder') await rmdir(target);
    await rename(aside, target);
  } catch (error) {
    if (error instanceof InfinigradError || error instanceof CommandError) throw error;
    if (typeof (error as { code?: unknown }).code !== 'string') throw error;
    throw new CommandError(`${folder} cannot be written (${reason(error)})`);
  } finally {
    off();
    await rm(aside, { recursive: true, force: true });
  }
}
