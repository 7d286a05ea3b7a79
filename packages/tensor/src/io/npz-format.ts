/** NumPy's .npz format: a zip archive of .npy files. What packs and unpacks is the caller's. */
import { FormatError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { record, shorten } from './json.ts';
import { readNpy, writeNpy, type NpyOptions } from './npy.ts';
import { readZip, writeZip, type Codec, type ZipLimits } from './zip.ts';

export interface NpzOptions extends NpyOptions, ZipLimits {}

export interface NpzWriteOptions {
  /** Deflate the arrays, as `numpy.savez_compressed` does. Default false: stored. */
  readonly compress?: boolean;
}

const suffix = '.npy';

const fail = (problem: string, hint?: string): never => {
  throw new FormatError('readNpz', problem, hint === undefined ? {} : { hint });
};

export function decodeNpz(bytes: Uint8Array, codec: Codec, options: NpzOptions = {}): Record<string, Tensor> {
  const tensors: [string, Tensor][] = [];
  try {
    for (const { name, bytes: content } of readZip(bytes, codec, options)) {
      if (!name.endsWith(suffix))
        fail(`'${shorten(name)}' is no .npy file`, 'the archive was not made by NumPy');
      try {
        tensors.push([name.slice(0, -suffix.length), readNpy(content, options)]);
      } catch (error) {
        if (error instanceof FormatError) fail(`'${shorten(name)}': ${error.problem}`, error.hint);
        throw error;
      }
    }
  } catch (error) {
    if (error instanceof FormatError && error.op === 'zip') fail(error.problem, error.hint);
    throw error;
  }
  return record(tensors);
}

export function encodeNpz(
  tensors: Readonly<Record<string, Tensor>>,
  codec: Codec,
  { compress = false }: NpzWriteOptions = {},
): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(tensors).map(([name, x]) => ({
    name: name + suffix,
    bytes: writeNpy(x),
  }));
  return writeZip(entries, compress ? codec : null);
}
