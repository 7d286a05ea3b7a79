/** Texts from files that are larger than memory. */
import { open, type FileHandle } from 'node:fs/promises';
import { FormatError, ValueError, type Key } from '@infinigrad/tensor';
import { checkCount, checkSame, countOf, fieldsOf, permutation } from '../data/cursor.ts';
import type { DataSource, Json } from '../data/source.ts';

export interface TextFilesOptions {
  /** What stands between texts. Default a line break; `\r` before it is taken away. */
  readonly separator?: string;
  /** Decides the order of the files, another one in every epoch. Default: as given. */
  readonly shuffle?: Key;
  /** Leave out texts that are empty. Default true. */
  readonly skipEmpty?: boolean;
  /** Longest text, in bytes, that is taken; a longer one is an error. Default 64 MiB. */
  readonly maxBytes?: number;
}

/** Read at a time. */
const chunkBytes = 2 ** 18;

/**
 * The texts in files, one after the other, in UTF-8: memory is that of the longest one. The cursor is a place in a file; files that
 * change meanwhile are not noticed. `shuffled` mixes texts.
 * @throws ValueError for no files or settings out of range; while reading, FormatError that names the file where it is missing or
 * holds too long a text
 */
export function textFiles(paths: readonly string[], options: TextFilesOptions = {}): DataSource<string> {
  const { separator = '\n', shuffle = null, skipEmpty = true, maxBytes = 64 * 2 ** 20 } = options;
  const op = 'textFiles';
  if (paths.length === 0) throw new ValueError(op, 'needs at least one file');
  if (separator === '') throw new ValueError(op, 'the separator must not be empty');
  checkCount(op, 'maxBytes', maxBytes);
  let [epoch, place, offset] = [0, 0, 0];
  const orderOf = (): Uint32Array =>
    shuffle ? permutation(shuffle.foldIn(epoch), paths.length) : Uint32Array.from(paths, (_, i) => i);
  const identity = (): Record<string, Json> => ({
    files: paths.length,
    separator,
    shuffle: shuffle?.words ?? null,
  });
  return {
    async *[Symbol.asyncIterator]() {
      for (const order = orderOf(); place < paths.length; place++, offset = 0) {
        const path = paths[order[place]!]!;
        const file = await opened(path);
        try {
          for await (const { text, end } of pieces(file, { path, separator, from: offset, maxBytes })) {
            offset = end;
            if (!skipEmpty || text !== '') yield text;
          }
        } finally {
          await file.close();
        }
      }
      [epoch, place, offset] = [epoch + 1, 0, 0];
    },
    state: () => ({ epoch, place, offset, ...identity() }),
    load: (state) => {
      const fields = fieldsOf('textFiles.load', state);
      for (const [name, own] of Object.entries(identity()))
        checkSame('textFiles.load', name, fields[name], own);
      const count = (name: string, most?: number): number =>
        countOf('textFiles.load', name, fields[name], most);
      [epoch, place, offset] = [count('epoch', 2 ** 32 - 1), count('place', paths.length), count('offset')];
    },
  };
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new FormatError(
      'textFiles',
      `${path} cannot be read (${(error as { code?: string }).code ?? String(error)})`,
    );
  }
}

interface Piece {
  readonly text: string;
  /** Where the next one begins. */
  readonly end: number;
}

/** The texts of a file from a place on. */
async function* pieces(
  file: FileHandle,
  given: {
    readonly path: string;
    readonly separator: string;
    readonly from: number;
    readonly maxBytes: number;
  },
): AsyncGenerator<Piece, void, undefined> {
  const { path, from, maxBytes } = given;
  const separator = Buffer.from(given.separator);
  const lines = given.separator === '\n';
  const textOf = (bytes: Buffer): string => {
    const cut = lines && bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes;
    return cut.toString('utf8');
  };
  const tooLong = (): never => {
    throw new FormatError('textFiles', `${path} holds a text of more than ${maxBytes} bytes`);
  };
  // What has been read and not given.
  let held: Buffer = Buffer.alloc(0);
  let start = from;
  for (let position = from; ;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
    position += bytesRead;
    // What was held has no separator but for one that is cut.
    let searched = Math.max(0, held.length - separator.length + 1);
    held =
      held.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([held, chunk.subarray(0, bytesRead)]);
    let at = 0;
    for (;;) {
      const found = held.indexOf(separator, Math.max(at, searched));
      if (found < 0) break;
      if (found - at > maxBytes) tooLong();
      const end = found + separator.length;
      yield { text: textOf(held.subarray(at, found)), end: start + end };
      at = searched = end;
    }
    start += at;
    held = held.subarray(at);
    if (held.length > maxBytes) tooLong();
    if (bytesRead === 0) break;
  }
  if (held.length > 0) yield { text: textOf(held), end: start + held.length };
}
