/** What reading and writing folders of models have in common. */
import { readFile, stat } from 'node:fs/promises';
import { FormatError, InfinigradError } from '@infinigrad/tensor';

export const configName = 'config.json';
export const weightsName = 'model.safetensors';
export const indexName = 'model.safetensors.index.json';
export const cardName = 'README.md';

/** Longest config.json that is read. */
const maxConfigBytes = 1_000_000;

/** @throws FormatError that names the file where it is missing, too long or no JSON */
export async function readJson(op: string, path: string): Promise<unknown> {
  const fail = (problem: string): never => {
    throw new FormatError(op, problem);
  };
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxConfigBytes) return fail(`${path} has ${size} bytes, more than ${maxConfigBytes}`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const code = reason(error);
    return fail(code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`);
  }
  try {
    return JSON.parse(text);
  } catch {
    return fail(`${path} is not JSON: it is damaged or truncated`);
  }
}

export async function kindOf(path: string): Promise<'folder' | 'file' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return null;
  }
}

export function reason(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}

/** Does what it is told; an error of ours then says which file it is about. */
export function naming<T>(
  path: string,
  what: () => T,
  error: (problem: string, cause: InfinigradError) => Error,
): T {
  try {
    return what();
  } catch (cause) {
    if (!(cause instanceof InfinigradError)) throw cause;
    throw error(`${path}: ${cause.message}`, cause);
  }
}
