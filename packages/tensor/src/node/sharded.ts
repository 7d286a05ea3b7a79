/** Checkpoints in several safetensors files with an index, in Hugging Face's layout. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, ValueError } from '../errors.ts';
import { record, shorten } from '../io/json.ts';
import {
  encodeShardIndex,
  parseShardIndex,
  type ShardIndex,
  type ShardIndexLimits,
} from '../io/shard-index.ts';
import type { ElementOptions, SafetensorsContent } from '../io/safetensors.ts';
import type { Tensor } from '../tensor.ts';
import { readWhole, reading, syncFolder, writeFileAtomic, writeStreamAtomic } from './files.ts';
import {
  fileBytesOf,
  listed,
  openAs,
  readAll,
  writeTensors,
  type LazyTensor,
  type Listed,
  type OpenOptions,
  type TensorFile,
  type TensorInfo,
} from './safetensors.ts';

export interface ShardOptions {
  /** Most bytes of tensors in a file; a tensor that is larger has one to itself. Default 5,000,000,000. */
  readonly maxShardBytes?: number;
  /** Written into the index and every file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What the files' names begin with. Default `model`. */
  readonly name?: string;
}

export interface OpenShardedOptions extends OpenOptions, ShardIndexLimits {
  /** What the index's name begins with. Default `model`. */
  readonly name?: string;
}

export interface ShardedContent extends SafetensorsContent {}

const indexName = (name: string): string => `${name}.safetensors.index.json`;
const maxIndex = 100_000_000;

function checkName(op: string, name: string): void {
  if (!/^[\w-][\w.-]*$/.test(name))
    throw new ValueError(op, `'${name}' is no name for files`, { hint: 'letters, digits, _, - and .' });
}

/** Runs of tensors, each of at most so many bytes or of one tensor. */
function shardsOf(list: readonly Listed[], maxBytes: number): Listed[][] {
  const shards: Listed[][] = [[]];
  let bytes = 0;
  for (const entry of list) {
    const size = fileBytesOf(entry[1]);
    if (shards.at(-1)!.length > 0 && bytes + size > maxBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(entry);
    bytes += size;
  }
  return shards;
}

/**
 * Writes tensors into `model-00001-of-00003.safetensors` … and `model.safetensors.index.json` in a folder, which is made
 * where there is none. Whole or not at all: a checkpoint of that name that is there already can be read until the new one
 * can, whenever the process ends; then the files that only it needed are removed.
 * @returns the names of the files, the index last
 * @throws ValueError for a limit or a name that makes no sense; FormatError for names that the format does not take
 */
export async function saveSafetensorsSharded(
  folder: string,
  tensors: Readonly<Record<string, Tensor | LazyTensor>>,
  { maxShardBytes = 5_000_000_000, metadata = {}, name = 'model' }: ShardOptions = {},
): Promise<string[]> {
  const op = 'saveSafetensorsSharded';
  checkName(op, name);
  if (!(maxShardBytes > 0)) throw new ValueError(op, `maxShardBytes must be > 0, got ${maxShardBytes}`);
  if (Object.hasOwn(metadata, 'total_size'))
    throw new ValueError(op, "metadata cannot have 'total_size', which the index's own is");
  const shards = shardsOf(listed(tensors), maxShardBytes);
  const number = (i: number): string => String(i).padStart(5, '0');
  const files = shards.map((_, i) => `${name}-${number(i + 1)}-of-${number(shards.length)}.safetensors`);
  const aside = join(folder, `.${name}.${randomUUID()}.tmp`);
  await mkdir(aside, { recursive: true });
  try {
    let total = 0;
    const fileOf: [string, string][] = [];
    for (const [i, shard] of shards.entries()) {
      const path = join(aside, files[i]!);
      await writeStreamAtomic(path, (write) => writeTensors(write, shard, metadata));
      for (const [tensor, source] of shard) {
        total += fileBytesOf(source);
        fileOf.push([tensor, files[i]!]);
      }
    }
    await writeFileAtomic(join(aside, indexName(name)), encodeShardIndex(fileOf, total, metadata));
    await publish(folder, aside, files, name);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return [...files, indexName(name)];
}

/**
 * Moves files and index into the folder. An index that is there is first made to point at second names of those of its
 * files that would be overwritten, so that at any moment the folder holds the old checkpoint or the new one.
 */
async function publish(folder: string, aside: string, files: readonly string[], name: string): Promise<void> {
  const path = join(folder, indexName(name));
  const before = await readIndex('saveSafetensorsSharded', folder, name, {}).catch(() => null);
  const own = new RegExp(
    `^${name.replaceAll('.', '\\.')}-(?:old-[0-9a-f]{8}-)?\\d{5}-of-\\d{5}\\.safetensors$`,
  );
  const replaced = [...new Set(before?.fileOf.values())].filter((file) => own.test(file));
  if (before) {
    const mark = `${name}-old-${randomUUID().slice(0, 8)}`;
    const second = new Map<string, string>();
    for (const file of replaced)
      if (files.includes(file) && (await exists(join(folder, file)))) {
        second.set(file, `${mark}${file.slice(name.length)}`);
        await duplicate(join(folder, file), join(folder, second.get(file)!));
      }
    if (second.size > 0) {
      const weights = [...before.fileOf].map(([tensor, file]) => [tensor, second.get(file) ?? file] as const);
      const index = { metadata: before.metadata, weight_map: record(weights) };
      await syncFolder(folder);
      await writeFileAtomic(path, `${JSON.stringify(index, null, 2)}\n`);
    }
  }
  for (const file of files) await rename(join(aside, file), join(folder, file));
  await syncFolder(folder);
  await rename(join(aside, indexName(name)), path);
  await syncFolder(folder);
  const left = (await readdir(folder)).filter((file) => file.startsWith(`${name}-old-`) && own.test(file));
  for (const file of [...replaced, ...left])
    if (!files.includes(file)) await rm(join(folder, file), { force: true });
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A second name for a file, or a copy where the file system has no such names. */
async function duplicate(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_EXCL));
}

function readIndex(
  op: string,
  folder: string,
  name: string,
  { maxIndexBytes = maxIndex, ...limits }: ShardIndexLimits,
): Promise<ShardIndex> {
  const path = join(folder, indexName(name));
  return reading(op, path, async () => parseShardIndex(await readWhole(op, path, maxIndexBytes), limits));
}

/**
 * All tensors of a checkpoint in several files, as its index lists them, and the index's metadata of text.
 * @throws FormatError where the index or a file is missing or malformed, a file lacks a tensor that the index says it
 * holds, or the index names a file outside the folder
 */
export async function loadSafetensorsSharded(
  folder: string,
  options: OpenShardedOptions = {},
): Promise<ShardedContent> {
  const file = await openShardedAs('loadSafetensorsSharded', folder, options);
  try {
    return { tensors: await readAll(file), metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/**
 * Opens a checkpoint in several files: index and headers are read and held against one another, tensors are read one
 * by one. Tensors that the index does not list are not part of it. Close it when done.
 * @throws FormatError as `loadSafetensorsSharded`
 */
export function openSafetensorsSharded(
  folder: string,
  options: OpenShardedOptions = {},
): Promise<TensorFile> {
  return openShardedAs('openSafetensorsSharded', folder, options);
}

async function openShardedAs(
  op: string,
  folder: string,
  options: OpenShardedOptions,
): Promise<ShardedTensors> {
  const name = options.name ?? 'model';
  checkName(op, name);
  const { fileOf, metadata } = await readIndex(op, folder, name, options);
  const files = new Map<string, TensorFile>();
  try {
    for (const file of new Set(fileOf.values()))
      files.set(file, await openAs(op, join(folder, file), options));
    for (const [tensor, file] of fileOf)
      if (!files.get(file)!.has(tensor))
        throw new FormatError(
          op,
          `${join(folder, file)} holds no tensor '${shorten(tensor)}', which the index says it does`,
          { hint: 'index and files are not of one checkpoint' },
        );
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
  return new ShardedTensors(op, folder, files, fileOf, metadata);
}

class ShardedTensors implements TensorFile {
  readonly names: readonly string[];
  readonly metadata: Record<string, string>;
  readonly #op: string;
  readonly #folder: string;
  readonly #files: ReadonlyMap<string, TensorFile>;
  readonly #fileOf: ReadonlyMap<string, string>;

  constructor(
    op: string,
    folder: string,
    files: ReadonlyMap<string, TensorFile>,
    fileOf: ReadonlyMap<string, string>,
    metadata: Readonly<Record<string, unknown>>,
  ) {
    this.#op = op;
    this.#folder = folder;
    this.#files = files;
    this.#fileOf = fileOf;
    this.names = [...files].flatMap(([file, { names }]) => names.filter((name) => fileOf.get(name) === file));
    this.metadata = record(
      Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  }

  has(name: string): boolean {
    return this.#fileOf.has(name);
  }

  info(name: string): TensorInfo {
    return this.#file(name).info(name);
  }

  read(name: string, options?: ElementOptions): Promise<Tensor> {
    return this.#file(name).read(name, options);
  }

  lazy(name: string, options?: ElementOptions): LazyTensor {
    return this.#file(name).lazy(name, options);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<[string, Tensor], void, undefined> {
    for (const name of this.names) yield [name, await this.read(name)];
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #file(name: string): TensorFile {
    const file = this.#fileOf.get(name);
    if (file !== undefined) return this.#files.get(file)!;
    throw new ValueError(this.#op, `the checkpoint in ${this.#folder} holds no tensor '${shorten(name)}'`, {
      hint: 'names lists them',
    });
  }
}
