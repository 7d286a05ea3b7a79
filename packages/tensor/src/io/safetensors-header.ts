/**
 * The header of a safetensors file: a length (u64, little-endian), then JSON that says where each tensor lies. Files come
 * from anywhere, so the parser trusts nothing in them.
 */
import type { DType } from '../dtype.ts';
import { FormatError } from '../errors.ts';
import type { Shape } from '../shape.ts';
import { checkedSize, isForeign, widthOf, type StoredKind } from './elements.ts';
import { isObject, isWellFormed, parseJson, record, shorten, show } from './json.ts';

const names: Readonly<Record<StoredKind, string>> = {
  f32: 'F32',
  f64: 'F64',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u8: 'U8',
  bool: 'BOOL',
  i8: 'I8',
  i16: 'I16',
  u16: 'U16',
  u32: 'U32',
  i64: 'I64',
  u64: 'U64',
};
const kinds = new Map(Object.entries(names).map(([kind, name]) => [name, kind as StoredKind]));

/** Bits of an element of what is known by name alone. */
const unreadBits: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  C64: 64,
};

const metadataKey = '__metadata__';

/** What a file may ask of its reader. */
export interface SafetensorsLimits {
  /** Longest header that is read, in bytes. Default 100,000,000, as in the reference implementation. */
  readonly maxHeaderBytes?: number;
  /** Most tensors in a file. Default 1,000,000. */
  readonly maxTensors?: number;
  /** Most axes of a tensor. Default 64. */
  readonly maxRank?: number;
  /** Longest name of a tensor, in UTF-16 units. Default 4096. */
  readonly maxNameLength?: number;
  /** Length of the whole file, where only its beginning is given. Default: the bytes given are all. */
  readonly fileBytes?: number;
}

export interface SafetensorsEntry {
  readonly name: string;
  /** In the format's spelling, such as I64. */
  readonly stored: string;
  /** null where no tensor here has that dtype; integers among these can be narrowed to i32. */
  readonly dtype: DType | null;
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

export const fail = (problem: string, hint?: string): never => {
  throw new FormatError('safetensors', problem, hint === undefined ? {} : { hint });
};

/** What a tensor to be written is, before its elements are. */
export interface TensorSpec {
  readonly dtype: DType;
  readonly shape: Shape;
}

export function bytesOf({ dtype, shape }: TensorSpec): number {
  return (checkedSize(shape) ?? fail(`the shape [${shape.join(', ')}] cannot be written`)) * widthOf(dtype);
}

/** All that comes before the data of these tensors, which lie in the order given. */
export function encodeHeader(
  tensors: readonly (readonly [name: string, spec: TensorSpec])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = [];
  for (const [key, text] of Object.entries(metadata)) {
    if (typeof text !== 'string') fail(`${metadataKey} '${key}' is not a string`);
    if (!isWellFormed(key) || !isWellFormed(text))
      fail(`${metadataKey} '${key}' holds half of a surrogate pair`);
  }
  if (Object.keys(metadata).length > 0) entries.push([metadataKey, metadata]);
  let offset = 0;
  for (const [name, spec] of tensors) {
    if (name === metadataKey) fail(`a tensor cannot be called ${metadataKey}`);
    if (!isWellFormed(name)) fail(`the name '${name}' holds half of a surrogate pair`);
    const end = offset + bytesOf(spec);
    entries.push([name, { dtype: names[spec.dtype], shape: spec.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(record(entries)));
  // Spaces fill it up, so that the data starts at a multiple of 8
  const out = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(out.length - 8), true);
  out.set(text, 8);
  return out;
}

/**
 * Where the data of a file begins, from its first 8 bytes.
 * @throws FormatError where that lies beyond the file or the limit
 */
export function parseDataStart(
  bytes: Uint8Array,
  { maxHeaderBytes = 100_000_000, fileBytes = bytes.length }: SafetensorsLimits = {},
): number {
  if (bytes.length < 8)
    fail(
      `the file ends after ${bytes.length} bytes, before the header's length`,
      'it is truncated or not a safetensors file',
    );
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes))
    fail(`the header claims ${length} bytes, more than ${maxHeaderBytes}`, 'it is not a safetensors file');
  const dataStart = 8 + Number(length);
  if (dataStart > fileBytes)
    fail(`the header needs ${dataStart} bytes, the file has ${fileBytes}`, 'it is truncated');
  return dataStart;
}

/**
 * What a file holds, from its first bytes: 8, and the header whose length they tell.
 * @throws FormatError where the header is not well-formed or does not fit the file, saying what is wrong
 */
export function parseSafetensorsHeader(bytes: Uint8Array, limits: SafetensorsLimits = {}): SafetensorsHeader {
  const { maxTensors = 1_000_000, fileBytes = bytes.length } = limits;
  const dataStart = parseDataStart(bytes, limits);
  if (dataStart > bytes.length)
    fail(`the header needs ${dataStart} bytes, ${bytes.length} are given`, 'it is truncated');
  if (dataStart > 8 && bytes[8] !== 0x7b)
    fail('the header is no JSON object that begins with {', 'it is damaged or not a safetensors file');
  const header = parseJson(bytes.subarray(8, dataStart), 'the header', fail);
  if (!isObject(header)) return fail('the header is not a JSON object');
  let metadata: Record<string, string> = {};
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(header))
    if (name === metadataKey) metadata = parseMetadata(value);
    else if (entries.push(parseEntry(name, value, limits)) > maxTensors)
      fail(`the header names more than ${maxTensors} tensors`);
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

function parseMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) return fail(`${metadataKey} is not an object`);
  const entries = Object.entries(value);
  for (const [key, text] of entries)
    if (typeof text !== 'string') fail(`${metadataKey} '${shorten(key)}' is not a string`);
  return record(entries as [string, string][]);
}

function parseEntry(name: string, value: unknown, limits: SafetensorsLimits): SafetensorsEntry {
  const { maxRank = 64, maxNameLength = 4096 } = limits;
  if (name.length > maxNameLength)
    fail(`a tensor's name has ${name.length} characters, more than ${maxNameLength}: '${shorten(name)}'`);
  if (!isObject(value)) return fail(`tensor '${name}' is not described by an object`);
  const { dtype: stored, shape, data_offsets: offsets } = value;
  const kind = kinds.get(stored as string);
  const bits = kind ? widthOf(kind) * 8 : bitsOf(stored);
  if (bits === null)
    return fail(`tensor '${name}' has dtype ${show(stored)}`, `known here: ${known().join(', ')}`);
  const count = checkedSize(shape);
  if (count === null)
    return fail(`tensor '${name}' has no valid shape`, 'integers ≥ 0 whose product is below 2^53');
  const sizes = shape as number[];
  if (sizes.length > maxRank) fail(`tensor '${name}' has ${sizes.length} axes, more than ${maxRank}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || checkedSize([offsets[0], 1]) === null)
    return fail(`tensor '${name}' has no valid data_offsets`);
  const [start, end] = offsets as [number, number];
  if (!Number.isSafeInteger(end) || end < 0) return fail(`tensor '${name}' has no valid data_offsets`);
  const size = (count * bits) / 8;
  if (end - start !== size)
    fail(
      `tensor '${name}' of shape [${sizes.join(', ')}] needs ${size} bytes, its data_offsets give ${end - start}`,
    );
  const dtype = kind && !isForeign(kind) ? kind : null;
  return { name, stored: stored as string, dtype, shape: sizes, start, end };
}

function bitsOf(stored: unknown): number | null {
  return typeof stored === 'string' && Object.hasOwn(unreadBits, stored) ? unreadBits[stored]! : null;
}

const known = (): string[] => [...kinds.keys(), ...Object.keys(unreadBits)];

/**
 * How the elements of an entry are stored.
 * @throws FormatError where they are of no kind that is read, or would have to be narrowed without leave
 */
export function kindOf({ name, stored }: SafetensorsEntry, narrow: boolean): StoredKind {
  const kind = kinds.get(stored);
  if (kind && (narrow || !isForeign(kind))) return kind;
  return fail(
    `tensor '${name}' has dtype ${stored}, which no tensor here has`,
    kind
      ? '{ narrow: true } reads integers as i32, and refuses those that do not fit'
      : `read here: ${[...kinds.keys()].join(', ')}`,
  );
}
