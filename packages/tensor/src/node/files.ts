/** Files written whole or not at all, and read in pieces. */
import { randomUUID } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FormatError, InfinigradError } from '../errors.ts';

/** Takes the next bytes of a file. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/**
 * Writes aside in the same folder, flushes to the disk, then renames: whoever reads the path sees the old content or
 * the new one. Where writing fails the old file stays and nothing is left behind; where the process is killed, at most a
 * hidden file `.NAME.….tmp` is.
 */
export function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  return aside(path, (file) => file.writeFile(data));
}

/** As `writeFileAtomic`, piece by piece. */
export function writeStreamAtomic(path: string, write: (write: Write) => Promise<void>): Promise<void> {
  return aside(path, (file) => write((bytes) => writeAll(file, bytes)));
}

async function aside(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A system call may take less than it is given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length)
    at += (await file.write(bytes, at, Math.min(bytes.length - at, 2 ** 30))).bytesWritten;
}

/** Makes renames last through a loss of power; where folders cannot be flushed (Windows), the system sees to it. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {
    // Not on this system
  }
}

/** Opens a file to read. @throws FormatError that names the path where that cannot be */
export function openToRead(op: string, path: string): Promise<FileHandle> {
  return reading(op, path, async () => {
    const file = await open(path, 'r');
    const { code } = await file.stat().then(
      (stats) => ({ code: stats.isFile() ? null : stats.isDirectory() ? 'EISDIR' : 'no file' }),
      (error: unknown) => ({ code: String(error) }),
    );
    if (code === null) return file;
    await file.close();
    throw Object.assign(new Error(code), { code });
  });
}

/**
 * Fills `target` with the bytes of a file from a place on.
 * @throws FormatError where the file ends before
 */
export async function readAt(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  let at = 0;
  while (at < target.length) {
    const { bytesRead } = await file.read(target, at, Math.min(target.length - at, 2 ** 30), position + at);
    if (bytesRead === 0)
      throw new FormatError('file', `ends after ${position + at} bytes, while it is being read`);
    at += bytesRead;
  }
}

/**
 * The bytes of a file.
 * @throws FormatError that names the path where it is missing, unreadable, or longer than `maxBytes`
 */
export async function readWhole(op: string, path: string, maxBytes = Infinity): Promise<Uint8Array> {
  const file = await openToRead(op, path);
  try {
    return await reading(op, path, async () => {
      const { size } = await file.stat();
      if (size > maxBytes) throw new FormatError(op, `the file has ${size} bytes, more than ${maxBytes}`);
      const bytes = new Uint8Array(size);
      await readAt(file, bytes, 0);
      return bytes;
    });
  } finally {
    await file.close();
  }
}

/** Does what it is told; what goes wrong becomes a FormatError that says with which file. */
export async function reading<T>(op: string, path: string, what: () => T | Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (error) {
    if (error instanceof FormatError)
      throw new FormatError(op, `${path}: ${error.message.replace(`${op}: `, '')}`);
    if (error instanceof InfinigradError) throw error;
    const { code } = error as { code?: unknown };
    if (typeof code !== 'string' && !(error instanceof RangeError)) throw error;
    throw new FormatError(
      op,
      code === 'ENOENT'
        ? `there is no file ${path}`
        : `${path} cannot be read (${typeof code === 'string' ? code : String(error)})`,
    );
  }
}
