/** NumPy's files. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { readNpy, writeNpy, type NpyOptions } from '../io/npy.ts';
import { decodeNpz, encodeNpz, type NpzOptions, type NpzWriteOptions } from '../io/npz-format.ts';
import type { Codec } from '../io/zip.ts';
import type { Tensor } from '../tensor.ts';
import { readWhole, reading, writeFileAtomic } from './files.ts';

const codec: Codec = {
  deflate: (bytes) => deflateRawSync(bytes),
  inflate: (bytes, size) => inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) }),
};

/**
 * The array in a .npy file.
 * @param options.widen read f16 as f32; default false
 * @throws FormatError that names the path where the file is missing, damaged, or of a dtype that is not read
 */
export function loadNpy(path: string, options: NpyOptions = {}): Promise<Tensor> {
  return reading('loadNpy', path, async () => readNpy(await readWhole('loadNpy', path), options));
}

/**
 * Writes a .npy file, the same as NumPy's own; whole or not at all.
 * @throws DTypeError for bf16, which NumPy does not have
 */
export async function saveNpy(path: string, x: Tensor): Promise<void> {
  await writeFileAtomic(path, writeNpy(x));
}

/**
 * The arrays in an .npz file, by name.
 * @param options.widen read f16 as f32; default false
 * @param options.maxBytes most bytes of all arrays together, unpacked; default 2^30
 * @throws FormatError that names the path where the file is missing, damaged, or beyond a limit
 */
export function loadNpz(path: string, options: NpzOptions = {}): Promise<Record<string, Tensor>> {
  return reading('loadNpz', path, async () => decodeNpz(await readWhole('loadNpz', path), codec, options));
}

/**
 * Writes tensors as an .npz file, in the order given; whole or not at all.
 * @param options.compress deflate the arrays; default false
 * @throws DTypeError for bf16, which NumPy does not have
 */
export async function saveNpz(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  options: NpzWriteOptions = {},
): Promise<void> {
  await writeFileAtomic(path, encodeNpz(tensors, codec, options));
}
