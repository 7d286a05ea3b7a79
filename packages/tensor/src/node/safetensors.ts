/** Safetensors files, written and read tensor by tensor. */
import type { FileHandle } from 'node:fs/promises';
import { fromData } from '../creation.ts';
import { allocateArray, type DType, type TypedArray } from '../dtype.ts';
import { ValueError } from '../errors.ts';
import { conversionOf, littleEndianBytes, widthOf } from '../io/elements.ts';
import { record, shorten } from '../io/json.ts';
import {
  bytesOf,
  encodeHeader,
  fail,
  kindOf,
  parseDataStart,
  parseSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type TensorSpec,
} from '../io/safetensors-header.ts';
import type {
  DecodeOptions,
  ElementOptions,
  SafetensorsContent,
  SafetensorsLimits,
} from '../io/safetensors.ts';
import { keep } from '../memory/scope.ts';
import { sameShape } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { openToRead, readAt, reading, writeStreamAtomic, type Write } from './files.ts';

/** A tensor that is made when its turn to be written comes, and let go after. */
export interface LazyTensor extends TensorSpec {
  read(): Tensor | Promise<Tensor>;
}

/** What is known of a tensor in a file before it is read. */
export interface TensorInfo {
  readonly name: string;
  /** In the format's spelling, such as BF16. */
  readonly stored: string;
  /** null where no tensor here has that dtype. */
  readonly dtype: DType | null;
  readonly shape: readonly number[];
  /** In the file. */
  readonly bytes: number;
}

/** Tensors that are read one by one. Asynchronous iteration gives `[name, tensor]`, in the order of `names`. */
export interface TensorFile extends AsyncIterable<[name: string, tensor: Tensor]> {
  /** In the order of their bytes. */
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  has(name: string): boolean;
  /** @throws ValueError where there is no such tensor */
  info(name: string): TensorInfo;
  /**
   * Reads one tensor. @param options in place of those given on opening
   * @throws ValueError where there is no such tensor; FormatError where it cannot be read
   */
  read(name: string, options?: ElementOptions): Promise<Tensor>;
  /** A tensor that is read when it is written to another file. */
  lazy(name: string, options?: ElementOptions): LazyTensor;
  /** Lets the file go. Reading is over then. */
  close(): Promise<void>;
  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OpenOptions extends Omit<SafetensorsLimits, 'fileBytes'>, ElementOptions {}

type Tensors = Readonly<Record<string, Tensor | LazyTensor>>;
export type Listed = readonly [name: string, tensor: Tensor | LazyTensor];

/**
 * The tensors as they are now: what becomes of a parameter while they are written does not show.
 */
export function listed(tensors: Tensors): Listed[] {
  return Object.entries(tensors).map(([name, x]): Listed => {
    if (!(x instanceof Tensor)) return [name, x];
    x.storage.check('saveSafetensors', [x]);
    return [name, keep(new Tensor(x.storage, x.layout, x.dtype))];
  });
}

/** Writes header and data, holding one tensor's bytes at a time. */
export async function writeTensors(
  write: Write,
  list: readonly Listed[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await write(encodeHeader(list, metadata));
  for (const [name, source] of list) await write(await bytesOfSource(name, source));
}

async function bytesOfSource(name: string, source: Tensor | LazyTensor): Promise<Uint8Array> {
  if (source instanceof Tensor) return littleEndianBytes(source);
  const x = await source.read();
  if (x.dtype !== source.dtype || !sameShape(x.shape, source.shape))
    throw new ValueError('saveSafetensors', `'${name}' was announced as another tensor`, {
      operands: [source, x],
    });
  return littleEndianBytes(x);
}

/**
 * Writes the tensors, in the order given, one by one; whole or not at all. What is written are the values at the time
 * of the call.
 * @throws FormatError for names and metadata that the format does not take
 */
export async function saveSafetensors(
  path: string,
  tensors: Tensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const list = listed(tensors);
  await writeStreamAtomic(path, (write) => writeTensors(write, list, metadata));
}

/**
 * All tensors of a file.
 * @param options.widen read F16 and BF16 as f32; default false
 * @param options.narrow read other integers as i32 where they fit; default false: they are refused
 * @throws FormatError that names the path where the file is missing, unreadable, truncated or malformed
 */
export async function loadSafetensors(
  path: string,
  options: DecodeOptions = {},
): Promise<SafetensorsContent> {
  const file = await openAs('loadSafetensors', path, options);
  try {
    return { tensors: await readAll(file), metadata: file.metadata };
  } finally {
    await file.close();
  }
}

export async function readAll(file: TensorFile): Promise<Record<string, Tensor>> {
  const tensors: [string, Tensor][] = [];
  for await (const entry of file) tensors.push(entry);
  return record(tensors);
}

/**
 * Opens a file and reads its header alone; tensors are read one by one. Close it when done.
 * @throws FormatError that names the path where the file is missing, unreadable, truncated or malformed
 */
export function openSafetensors(path: string, options: OpenOptions = {}): Promise<TensorFile> {
  return openAs('openSafetensors', path, options);
}

export async function openAs(op: string, path: string, options: OpenOptions): Promise<SafetensorsFile> {
  const file = await openToRead(op, path);
  try {
    return await reading(op, path, async () => {
      const limits = { ...options, fileBytes: (await file.stat()).size };
      const first = new Uint8Array(Math.min(8, limits.fileBytes));
      await readAt(file, first, 0);
      const beginning = new Uint8Array(parseDataStart(first, limits));
      await readAt(file, beginning, 0);
      return new SafetensorsFile(op, path, file, parseSafetensorsHeader(beginning, limits), options);
    });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Bytes that are held while elements become others. */
const chunkBytes = 2 ** 20;

export class SafetensorsFile implements TensorFile {
  readonly names: readonly string[];
  readonly metadata: Record<string, string>;
  readonly #op: string;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #dataStart: number;
  readonly #entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly #options: ElementOptions;

  constructor(
    op: string,
    path: string,
    file: FileHandle,
    header: SafetensorsHeader,
    options: ElementOptions,
  ) {
    this.names = header.entries.map(({ name }) => name);
    this.metadata = header.metadata;
    this.#op = op;
    this.#path = path;
    this.#file = file;
    this.#dataStart = header.dataStart;
    this.#entries = new Map(header.entries.map((entry) => [entry.name, entry]));
    this.#options = options;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  info(name: string): TensorInfo {
    const { stored, dtype, shape, start, end } = this.#entry(name);
    return { name, stored, dtype, shape, bytes: end - start };
  }

  read(name: string, options: ElementOptions = this.#options): Promise<Tensor> {
    const entry = this.#entry(name);
    return reading(this.#op, this.#path, async () => {
      const { dtype, data } = await this.#elements(entry, options);
      return fromData(data, entry.shape, { dtype });
    });
  }

  lazy(name: string, options: ElementOptions = this.#options): LazyTensor {
    const entry = this.#entry(name);
    const { dtype } = this.#conversion(entry, options);
    return { dtype, shape: entry.shape, read: () => this.read(name, options) };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<[string, Tensor], void, undefined> {
    for (const name of this.names) yield [name, await this.read(name)];
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #entry(name: string): SafetensorsEntry {
    if (this.#file.fd < 0) throw new ValueError(this.#op, `${this.#path} has been closed`);
    const entry = this.#entries.get(name);
    if (entry) return entry;
    throw new ValueError(this.#op, `${this.#path} holds no tensor '${shorten(name)}'`, {
      hint: 'names lists them',
    });
  }

  #conversion(entry: SafetensorsEntry, { widen = false, narrow = false }: ElementOptions) {
    const kind = kindOf(entry, narrow);
    return {
      width: widthOf(kind),
      ...conversionOf(kind, { widen }, (problem, hint) => fail(`tensor '${entry.name}': ${problem}`, hint)),
    };
  }

  async #elements(
    entry: SafetensorsEntry,
    options: ElementOptions,
  ): Promise<{ dtype: DType; data: TypedArray }> {
    const { start, end } = entry;
    const { dtype, width, convert } = this.#conversion(entry, options);
    const data = allocateArray(dtype, (end - start) / width);
    const chunk = new Uint8Array(Math.min(chunkBytes, end - start));
    for (let at = start; at < end; at += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, end - at));
      await readAt(this.#file, part, this.#dataStart + at);
      convert(data, (at - start) / width, part);
    }
    return { dtype, data };
  }
}

/** Bytes that a tensor takes in a file. */
export const fileBytesOf = (tensor: Tensor | LazyTensor): number => bytesOf(tensor);
