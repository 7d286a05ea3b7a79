/** Models from Hugging Face's hub, or what speaks like it, into a folder on this machine. */
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FormatError, ValueError } from '@infinigrad/tensor';
import { writeFileAtomic } from '@infinigrad/tensor/node';
import { configName, indexName, readJson, weightsName } from './files.ts';
import { DownloadError, Origin, type RemoteFile } from './origin.ts';
import { checksumFits, resumed } from './resume.ts';

export interface DownloadProgress {
  readonly file: string;
  /** Bytes of this file that are here, those of an earlier attempt too. */
  readonly loaded: number;
  readonly total: number;
}

export interface DownloadOptions {
  /** A branch, a tag or a commit. Default `main`. */
  readonly revision?: string;
  /** Where folders of models are kept. Default `.cache/infinigrad/models` in the user's home. */
  readonly cacheFolder?: string;
  /** Default `https://huggingface.co`. */
  readonly endpoint?: string;
  /** For models that are not for everyone; sent to the endpoint alone. */
  readonly token?: string;
  /** Further files to fetch, where they are there. Default: those of tokenizers and of generation. */
  readonly also?: readonly string[];
  /** Ask again for what is complete. Default false. */
  readonly refresh?: boolean;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

const beside = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'special_tokens_map.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
];
const doneName = '.complete.json';
const maxJsonBytes = 100_000_000;

/**
 * Brings a model's files into a folder, for `fromPretrained`. What is complete is not asked for again, so that it works offline; what was
 * interrupted goes on where it stopped; what arrives is held against its checksum.
 *
 * ```ts
 * const model = await fromPretrained(await download('HuggingFaceTB/SmolLM2-135M'));
 * ```
 *
 * @param model `owner/name`, or the address of its page
 * @returns the folder
 * @throws DownloadError (a FormatError) that says what could not be had, ValueError for names that are none
 */
export async function download(model: string, options: DownloadOptions = {}): Promise<string> {
  const { revision = 'main', token, onProgress, signal, refresh = false, also = beside } = options;
  const { endpoint, id } = parse(model, options.endpoint);
  if (!/^\w[\w.-]*(?:\/\w[\w.-]*)*$/.test(revision) || revision.includes('..'))
    throw new ValueError('download', `'${revision}' is no revision`);
  for (const name of also) checkName(name);
  const cache = options.cacheFolder ?? join(homedir(), '.cache', 'infinigrad', 'models');
  const folder = join(cache, `${id.replace('/', '--')}`, revision.replaceAll('/', '--'));
  if (!refresh && (await isComplete(folder))) return folder;
  await mkdir(folder, { recursive: true });
  const origin = new Origin(`${endpoint}/${id}/resolve/${encodeURIComponent(revision)}`, token, signal);
  const done: Record<string, number> = {};

  /** False where there is no such file. */
  const fetched = async (name: string, maxBytes = Infinity): Promise<boolean> => {
    const remote = await origin.look(name);
    if (!remote) return false;
    if (remote.size > maxBytes)
      throw new DownloadError(`${remote.url} has ${remote.size} bytes, more than ${maxBytes}`);
    await bring(origin, remote, join(folder, name), (loaded) =>
      onProgress?.({ file: name, loaded, total: remote.size }),
    );
    done[name] = remote.size;
    return true;
  };

  if (!(await fetched(configName, maxJsonBytes)))
    throw new DownloadError(`there is no ${configName} of ${id} at ${endpoint}, revision ${revision}`);
  if (!(await fetched(weightsName))) {
    if (!(await fetched(indexName, maxJsonBytes)))
      throw new DownloadError(`${id} has no weights as safetensors at ${endpoint}, revision ${revision}`);
    for (const shard of await shardsOf(join(folder, indexName)))
      if (!(await fetched(shard))) throw new DownloadError(`${id} lacks ${shard}, which its index names`);
  }
  for (const name of also) await fetched(name, maxJsonBytes);
  await writeFileAtomic(join(folder, doneName), `${JSON.stringify(done, null, 2)}\n`);
  return folder;
}

/** One file: not again where it is whole, else from where an earlier attempt stopped; in its place only once it is right. */
async function bring(
  origin: Origin,
  remote: RemoteFile,
  path: string,
  progress: (loaded: number) => void,
): Promise<void> {
  const here = await stat(path).catch(() => null);
  if (here?.size === remote.size && (await checksumFits(path, remote.tag))) return;
  const part = `${path}.part`;
  await resumed(origin, remote, part, progress);
  const { size } = await stat(part);
  if (size !== remote.size || !(await checksumFits(part, remote.tag))) {
    for (const left of [part, `${part}.tag`]) await rm(left, { force: true });
    throw new DownloadError(
      size === remote.size
        ? `${remote.url} has arrived damaged: its checksum is another`
        : `${remote.url} has ${remote.size} bytes, of which ${size} arrived`,
    );
  }
  await rename(part, path);
  await rm(`${part}.tag`, { force: true });
}

function parse(model: string, endpoint = 'https://huggingface.co'): { endpoint: string; id: string } {
  const address = /^(https?:\/\/[^/?#]+)\/([^?#]+?)\/?$/.exec(model);
  const id = address?.[2] ?? model;
  const parts = id.split('/');
  if (parts.length > 2 || parts.some((part) => !/^\w[\w.-]*$/.test(part) || part.includes('..')))
    throw new ValueError('download', `'${model}' names no model`, {
      hint: 'owner/name, or the address of its page',
    });
  return { endpoint: address?.[1] ?? endpoint.replace(/\/$/, ''), id };
}

function checkName(name: string): void {
  if (!/^\w[\w.-]*$/.test(name)) throw new ValueError('download', `'${name}' is no name of a file`);
}

/** The files that an index names, which must lie beside it. */
async function shardsOf(path: string): Promise<string[]> {
  let index: unknown;
  try {
    index = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw new DownloadError(`${path} is not JSON`);
  }
  const { weight_map: map } = (index ?? {}) as { weight_map?: unknown };
  const names = typeof map === 'object' && map !== null ? Object.values(map) : [];
  for (const name of names)
    if (typeof name !== 'string' || !/^\w[\w.-]*\.safetensors$/.test(name))
      throw new DownloadError(`${path} names ${JSON.stringify(name)}, which is no file beside it`);
  return [...new Set(names as string[])];
}

async function isComplete(folder: string): Promise<boolean> {
  let done: unknown;
  try {
    done = await readJson('download', join(folder, doneName));
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
  if (typeof done !== 'object' || done === null) return false;
  for (const [name, size] of Object.entries(done))
    if ((await stat(join(folder, name)).catch(() => null))?.size !== size) return false;
  return true;
}
