/** One checkpoint: a folder with the tensors and, beside them, what else there is with a checksum of both. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InfinigradError } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors, writeFileAtomic } from '@infinigrad/tensor/node';
import type { TrainerMeta, TrainerState } from '../train/state.ts';
import { CheckpointError } from './errors.ts';

const tensorsName = 'state.safetensors';
const metaName = 'state.json';
/** Longest state.json that is read: cursors hold buffers. */
const mostBytes = 256 * 2 ** 20;
const format = 'infinigrad-checkpoint-1';

/** What state.json says. */
export interface CheckpointInfo {
  readonly step: number;
  /** What was monitored at this step; null where nothing was. */
  readonly value: number | null;
}

interface Sealed extends CheckpointInfo {
  readonly format: typeof format;
  readonly tensors: { readonly bytes: number; readonly sha256: string };
  readonly meta: TrainerMeta;
}

/**
 * Writes a checkpoint aside, flushes it, reads it back for its checksum, then gives it its name: it is there whole or not at all.
 * @param path must not be there yet
 */
export async function writeCheckpoint(
  path: string,
  state: TrainerState,
  info: CheckpointInfo,
): Promise<void> {
  const aside = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    await mkdir(aside, { recursive: true });
    const tensors = join(aside, tensorsName);
    await saveSafetensors(tensors, state.tensors);
    const { size } = await stat(tensors);
    const content: Sealed = {
      format,
      ...info,
      tensors: { bytes: size, sha256: await hashOfFile(tensors) },
      meta: state.meta,
    };
    await writeFileAtomic(join(aside, metaName), sealed(content));
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  await flushFolder(dirname(path));
}

/** @throws CheckpointError where it is not whole, or not what was written */
export async function readCheckpoint(
  path: string,
): Promise<TrainerState & { readonly info: CheckpointInfo }> {
  const { tensors: expected, meta, step, value } = await readSealed(path);
  const file = join(path, tensorsName);
  return checking(path, async () => {
    const { size } = await stat(file);
    if (size !== expected.bytes)
      throw new CheckpointError(
        path,
        `${tensorsName} has ${size} bytes, not the ${expected.bytes} that were written`,
      );
    if ((await hashOfFile(file)) !== expected.sha256)
      throw new CheckpointError(path, `${tensorsName} has been altered: its checksum is another`);
    const { tensors } = await loadSafetensors(file);
    return { tensors, meta, info: { step, value } };
  });
}

/** What a checkpoint says of itself, its tensors unread. @throws CheckpointError where that has been altered */
export async function readInfo(path: string): Promise<CheckpointInfo> {
  const { step, value } = await readSealed(path);
  return { step, value };
}

/** JSON with its own checksum in its first line. */
function sealed(content: Sealed): string {
  const text = `${JSON.stringify(content, null, 1)}\n`;
  return `${JSON.stringify({ sha256: hashOf(text) })}\n${text}`;
}

function readSealed(path: string): Promise<Sealed> {
  return checking(path, async () => {
    const file = join(path, metaName);
    const { size } = await stat(file);
    if (size > mostBytes)
      throw new CheckpointError(path, `${metaName} has ${size} bytes, more than ${mostBytes}`);
    const text = await readFile(file, 'utf8');
    const end = text.indexOf('\n') + 1;
    const body = text.slice(end);
    if (text.slice(0, end) !== `${JSON.stringify({ sha256: hashOf(body) })}\n`)
      throw new CheckpointError(path, `${metaName} has been altered: its checksum is another`);
    const content = JSON.parse(body) as Sealed;
    if (content.format !== format)
      throw new CheckpointError(path, `${metaName} is of another format (${String(content.format)})`);
    return content;
  });
}

/** What goes wrong becomes a CheckpointError. */
async function checking<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const { code, path: file } = error as { code?: string; path?: string };
    if (error instanceof InfinigradError) throw new CheckpointError(path, error.problem);
    const what = code === 'ENOENT' ? `${file?.split('/').at(-1)} is missing` : (code ?? String(error));
    throw new CheckpointError(path, what);
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Makes a rename last through a loss of power; where folders cannot be flushed, the system sees to it. */
async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {
    // Not on this system
  }
}
