/** @infinigrad/tensor/npz: NumPy's archives anywhere, packed and unpacked by fflate, which is to be installed beside. */
import { deflateSync, Inflate } from 'fflate';
import { decodeNpz, encodeNpz, type NpzOptions, type NpzWriteOptions } from './io/npz-format.ts';
import type { Codec } from './io/zip.ts';
import type { Tensor } from './tensor.ts';

export type { NpzOptions, NpzWriteOptions } from './io/npz-format.ts';

/** What is fed at a time: unpacked it is 4 MiB at most, by which a limit may be overshot before it is seen. */
const piece = 4096;

const codec: Codec = {
  deflate: (bytes) => deflateSync(bytes),
  inflate(bytes, size) {
    const out = new Uint8Array(size);
    let at = 0;
    let ended = false;
    const stream = new Inflate((chunk, final) => {
      if (at + chunk.length > size) throw new RangeError('too many bytes');
      out.set(chunk, at);
      at += chunk.length;
      ended = final;
    });
    for (let i = 0; i === 0 || i < bytes.length; i += piece)
      stream.push(bytes.subarray(i, i + piece), i + piece >= bytes.length);
    if (!ended || at !== size) throw new RangeError('too few bytes');
    return out;
  },
};

/**
 * The arrays in the bytes of an .npz file, by name.
 * @param options.widen read f16 as f32; default false
 * @param options.maxBytes most bytes of all arrays together, unpacked; default 2^30
 * @param options.maxEntries most arrays; default 10,000
 * @throws FormatError where the archive or an array in it is damaged, of a kind that is not read, or beyond a limit
 */
export function readNpz(bytes: Uint8Array, options: NpzOptions = {}): Record<string, Tensor> {
  return decodeNpz(bytes, codec, options);
}

/**
 * The bytes of an .npz file with the tensors, in the order given. The same tensors give the same bytes.
 * @param options.compress deflate the arrays; default false
 * @throws DTypeError for bf16, which NumPy does not have
 */
export function writeNpz(
  tensors: Readonly<Record<string, Tensor>>,
  options: NpzWriteOptions = {},
): Uint8Array<ArrayBuffer> {
  return encodeNpz(tensors, codec, options);
}
