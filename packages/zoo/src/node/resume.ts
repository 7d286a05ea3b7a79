/** Files that arrive in several attempts. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import type { Origin, RemoteFile } from './origin.ts';

/**
 * Whether a file has the content that a tag tells of: 64 digits are its SHA-256, 40 git's hash of it. Of any other tag nothing is known, and
 * it is taken to fit.
 */
export async function checksumFits(path: string, tag: string): Promise<boolean> {
  if (!/^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(tag)) return true;
  const hash = createHash(tag.length === 64 ? 'sha256' : 'sha1');
  if (tag.length === 40) hash.update(`blob ${(await stat(path)).size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex') === tag;
}

/** Reads what a part lacks, from where it ends; from the start where it is a part of something else. */
export async function resumed(
  origin: Origin,
  remote: RemoteFile,
  part: string,
  progress: (loaded: number) => void,
): Promise<void> {
  const before = await readFile(`${part}.tag`, 'utf8').catch(() => null);
  const size =
    before === remote.tag
      ? await stat(part).then(
          (s) => s.size,
          () => 0,
        )
      : 0;
  if (size === remote.size && size > 0) return;
  await writeFile(`${part}.tag`, remote.tag);
  const { body, from } = await origin.read(remote, size < remote.size ? size : 0);
  const file = await open(part, from > 0 ? 'r+' : 'w');
  try {
    await file.truncate(from);
    let at = from;
    for await (const chunk of body) {
      await file.write(chunk, 0, chunk.length, at);
      at += chunk.length;
      progress(at);
      // More than was announced: what comes of it is refused by its length.
      if (at > remote.size) break;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
