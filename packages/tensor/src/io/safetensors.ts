/** The safetensors format, in memory: a header (see safetensors-header.ts), then raw little-endian bytes. */
import { fromData } from '../creation.ts';
import type { Tensor } from '../tensor.ts';
import { conversionOf, decodeStored, littleEndianBytesSync, widthOf } from './elements.ts';
import { record } from './json.ts';
import {
  encodeHeader,
  fail,
  kindOf,
  parseSafetensorsHeader,
  type SafetensorsLimits,
} from './safetensors-header.ts';

export { parseSafetensorsHeader } from './safetensors-header.ts';
export type { SafetensorsEntry, SafetensorsHeader, SafetensorsLimits } from './safetensors-header.ts';

/** How elements become those of a tensor. */
export interface ElementOptions {
  /** F16 and BF16 become f32, which holds all their values, at twice the memory. Default false: f16 and bf16. */
  readonly widen?: boolean;
  /** I8, I16, U16, U32, I64 and U64 become i32 where every value fits; one that does not is refused. Default false: all are refused. */
  readonly narrow?: boolean;
}

export interface DecodeOptions extends Omit<SafetensorsLimits, 'fileBytes'>, ElementOptions {}

export interface SafetensorsContent {
  readonly tensors: Record<string, Tensor>;
  readonly metadata: Record<string, string>;
}

/** The bytes of a file that holds the tensors, in the order given. The same tensors give the same bytes. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const list = Object.entries(tensors);
  const header = encodeHeader(list, metadata);
  let end = header.length;
  for (const [, x] of list) end += x.size * widthOf(x.dtype);
  const out = new Uint8Array(end);
  out.set(header);
  let at = header.length;
  for (const [, x] of list) {
    const bytes = littleEndianBytesSync(x);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** @throws FormatError where the bytes are not a well-formed file, saying what is wrong */
export function decodeSafetensors(bytes: Uint8Array, options: DecodeOptions = {}): SafetensorsContent {
  const { widen = false, narrow = false, ...limits } = options;
  const { entries, metadata, dataStart } = parseSafetensorsHeader(bytes, limits);
  const read = entries.map((entry) => {
    const { name, shape, start, end } = entry;
    const kind = kindOf(entry, narrow);
    const conversion = conversionOf(kind, { widen }, (problem, hint) =>
      fail(`tensor '${name}': ${problem}`, hint),
    );
    return { name, shape, start, end, count: (end - start) / widthOf(kind), conversion };
  });
  const tensors = read.map(({ name, shape, start, end, count, conversion }): [string, Tensor] => {
    const { dtype, data } = decodeStored(
      bytes.subarray(dataStart + start, dataStart + end),
      count,
      conversion,
    );
    return [name, fromData(data, shape, { dtype })];
  });
  return { tensors: record(tensors), metadata };
}
