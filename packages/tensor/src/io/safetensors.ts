/**
 * The safetensors format: a length (u64, little-endian), a JSON header, raw little-endian bytes. Files come from
 * anywhere, so the parser trusts nothing in them.
 */
import { fromData } from '../creation.ts';
import {
  arrayOn,
  bytesPerElement,
  computeDType,
  decodeElements,
  isHalf,
  type DType,
  type TypedArray,
} from '../dtype.ts';
import { FormatError } from '../errors.ts';
import { sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

const names: Readonly<Record<DType, string>> = {
  f32: 'F32',
  f64: 'F64',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u8: 'U8',
  bool: 'BOOL',
};
const dtypesByName = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));

const metadataKey = '__metadata__';

export interface SafetensorsLimits {
  /** Longest header that is read. Default 100,000,000, as in the reference implementation. */
  readonly maxHeaderBytes?: number;
  /** Length of the whole file, where only its beginning is given. Default: the bytes given are all. */
  readonly fileBytes?: number;
}

export interface DecodeOptions extends Pick<SafetensorsLimits, 'maxHeaderBytes'> {
  /** F16 and BF16 become f32, which holds all their values, at twice the memory. Default false: f16 and bf16. */
  readonly widen?: boolean;
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from `dataStart`. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of their bytes. */
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Record<string, string>;
  /** Where in the file the data begins. */
  readonly dataStart: number;
}

export interface SafetensorsContent {
  readonly tensors: Record<string, Tensor>;
  readonly metadata: Record<string, string>;
}

const fail = (problem: string, hint?: string): never => {
  throw new FormatError('safetensors', problem, hint === undefined ? {} : { hint });
};

/** An object that takes any key as data, `__proto__` too. */
function record<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const out: Record<string, T> = {};
  for (const [key, value] of entries)
    Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true });
  return out;
}

/** The bytes of a file that holds the tensors, in the order given. The same tensors give the same bytes. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const list = Object.entries(tensors);
  let offset = 0;
  const entries: [string, unknown][] = [];
  for (const [key, text] of Object.entries(metadata))
    if (typeof text !== 'string') fail(`${metadataKey} '${key}' is not a string`);
  if (Object.keys(metadata).length > 0) entries.push([metadataKey, metadata]);
  for (const [name, x] of list) {
    if (name === metadataKey) fail(`a tensor cannot be called ${metadataKey}`);
    const end = offset + x.size * bytesPerElement(x.dtype);
    entries.push([name, { dtype: names[x.dtype], shape: x.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(record(entries)));
  // Spaces fill the header up, so that the data starts at a multiple of 8
  const header = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  header.set(text);
  const out = new Uint8Array(8 + header.length + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(header.length), true);
  out.set(header, 8);
  let at = 8 + header.length;
  for (const [, x] of list) {
    const bytes = littleEndian(isHalf(x.dtype) ? x.wordsSync() : x.dataSync(), x.dtype);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** @throws FormatError where the bytes are not a well-formed file, saying what is wrong */
export function decodeSafetensors(
  bytes: Uint8Array,
  { widen = false, ...limits }: DecodeOptions = {},
): SafetensorsContent {
  const { entries, metadata, dataStart } = parseSafetensorsHeader(bytes, limits);
  const tensors = entries.map(({ name, dtype, shape, start, end }): [string, Tensor] => {
    // Not `slice`, which Node's Buffer overrides to share memory
    const data = fromLittleEndian(new Uint8Array(bytes.subarray(dataStart + start, dataStart + end)), dtype);
    if (dtype === 'bool' && data.some((v) => v > 1))
      fail(`tensor '${name}' is BOOL but holds a byte other than 0 and 1`);
    return [
      name,
      widen
        ? fromData(decodeElements(dtype, data), shape, { dtype: computeDType(dtype) })
        : fromData(data, shape, { dtype }),
    ];
  });
  return { tensors: record(tensors), metadata };
}

/**
 * What a file holds, from its first bytes: 8, and the header whose length they tell.
 * @throws FormatError where the header is not well-formed or does not fit the file, saying what is wrong
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  { maxHeaderBytes = 100_000_000, fileBytes = bytes.length }: SafetensorsLimits = {},
): SafetensorsHeader {
  if (bytes.length < 8)
    fail(
      `the file ends after ${bytes.length} bytes, before the header's length`,
      'it is truncated or not a safetensors file',
    );
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes))
    fail(`the header claims ${length} bytes, more than ${maxHeaderBytes}`, 'it is not a safetensors file');
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length)
    fail(`the header needs ${dataStart} bytes, the file has ${bytes.length}`, 'it is truncated');
  const header = parseJson(bytes.subarray(8, dataStart));
  let metadata: Record<string, string> = {};
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(header))
    if (name === metadataKey) metadata = parseMetadata(value);
    else entries.push(parseEntry(name, value));
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  const available = fileBytes - dataStart;
  let at = 0;
  for (const { name, start, end } of entries) {
    if (start !== at)
      fail(
        `tensor '${name}' starts at byte ${start}, where ${at} is expected: the data has a gap or an overlap`,
      );
    if (end > available)
      fail(
        `tensor '${name}' takes the data's bytes ${start} to ${end}, the file has ${available}`,
        'it is truncated',
      );
    at = end;
  }
  if (at !== available)
    fail(`the tensors take ${at} bytes of data, the file has ${available}`, 'it has bytes too many');
  return { entries, metadata, dataStart };
}

function parseJson(bytes: Uint8Array): object {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    return fail('the header is not JSON', 'it is damaged or not a safetensors file');
  }
  refuseRepeatedKeys(text);
  return isObject(value) ? value : fail('the header is not a JSON object');
}

/** JSON.parse lets the last of equal keys win without a word; two readers could then see two files. */
function refuseRepeatedKeys(json: string): void {
  const open: Set<string>[] = [];
  for (const [token, colon] of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) fail(`the header has '${key}' twice`);
      keys.add(key);
    }
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) return fail(`${metadataKey} is not an object`);
  const entries = Object.entries(value) as [string, unknown][];
  for (const [key, text] of entries)
    if (typeof text !== 'string') fail(`${metadataKey} '${key}' is not a string`);
  return record(entries as [string, string][]);
}

function parseEntry(name: string, value: unknown): SafetensorsEntry {
  if (!isObject(value)) return fail(`tensor '${name}' is not described by an object`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = value as Readonly<Record<string, unknown>>;
  const dtype =
    dtypesByName.get(String(dtypeName)) ??
    fail(
      `tensor '${name}' has dtype ${String(dtypeName)}`,
      `read here: ${[...dtypesByName.keys()].join(', ')}`,
    );
  if (!isSizes(shape)) return fail(`tensor '${name}' has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2) return fail(`tensor '${name}' has no valid data_offsets`);
  const [start, end] = offsets as [number, number];
  const size = sizeOf(shape) * bytesPerElement(dtype);
  if (end - start !== size)
    fail(
      `tensor '${name}' of shape [${shape.join(', ')}] needs ${size} bytes, its data_offsets give ${end - start}`,
    );
  return { name, dtype, shape, start, end };
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

const hostIsLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function littleEndian(data: TypedArray, dtype: DType): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return hostIsLittle ? bytes : swapped(bytes, bytesPerElement(dtype));
}

/** `bytes` start a buffer of their own, so that they are aligned. */
function fromLittleEndian(bytes: Uint8Array<ArrayBuffer>, dtype: DType): TypedArray {
  const { buffer } = hostIsLittle ? bytes : swapped(bytes, bytesPerElement(dtype));
  return arrayOn(dtype, buffer, 0, bytes.length / bytesPerElement(dtype));
}

function swapped(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i - (i % width) + width - 1 - (i % width)]!;
  return out;
}
