/** What lies under a path: a folder of a model, or a file of tensors; its config, and its tensors read one by one. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openSafetensors, openSafetensorsSharded, type TensorFile } from '@infinigrad/tensor/node';
import { CommandError, reason } from './errors.ts';

export const configName = 'config.json';
export const weightsName = 'model.safetensors';
export const indexName = 'model.safetensors.index.json';

/** Longest JSON that is read. */
const maxJsonBytes = 10_000_000;

export interface Checkpoint {
  /** Where its other files lie. */
  readonly folder: string;
  /** The content of config.json; null where there is none. */
  readonly config: Readonly<Record<string, unknown>> | null;
  readonly tensors: TensorFile;
}

export async function kindOf(path: string): Promise<'folder' | 'file' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(reason(error))) return null;
    throw new CommandError(`${path} cannot be read (${reason(error)})`);
  }
}

/** Opens it. Close `tensors` when done. @throws CommandError, FormatError that name the file which is missing or damaged */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const kind = await kindOf(path);
  if (kind === null) throw new CommandError(`there is nothing at ${path}`);
  if (kind === 'file') {
    const folder = dirname(path);
    if (path.endsWith('.index.json')) return openCheckpoint(folder);
    // A file on its own: beside it may lie its config, or that of something else.
    return { folder, config: null, tensors: await openSafetensors(path) };
  }
  const config =
    (await kindOf(join(path, configName))) === 'file' ? await readObject(join(path, configName)) : null;
  const single = join(path, weightsName);
  const state = join(path, 'state.safetensors');
  if ((await kindOf(single)) === 'file')
    return { folder: path, config, tensors: await openSafetensors(single) };
  if ((await kindOf(join(path, indexName))) === 'file')
    return { folder: path, config, tensors: await openSafetensorsSharded(path) };
  // A checkpoint of training.
  if ((await kindOf(state)) === 'file')
    return { folder: path, config, tensors: await openSafetensors(state) };
  throw new CommandError(`${path} holds no ${weightsName}, and no ${indexName}`);
}

/** An object of JSON. @throws CommandError that names the file where it is none */
export async function readObject(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxJsonBytes) throw new CommandError(`${path} has ${size} bytes, more than ${maxJsonBytes}`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      reason(error) === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${reason(error)})`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CommandError(`${path} is not JSON: it is damaged or truncated`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandError(`${path} holds no JSON object`);
  return value as Record<string, unknown>;
}
