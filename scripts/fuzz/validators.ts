/**
 * What is right and wrong in a file, said a second time: naively, with whole numbers of any size, sharing no code with the readers.
 * Each gives what the file holds or throws Wrong.
 */
import { inflateRawSync } from 'node:zlib';
import { numbersIn, parse, utf8, wrong, type Json } from './json.ts';
import { dtypeOf, elements, nativeKinds, product, widths, type Array_, type Kind } from './values.ts';

export interface Options {
  readonly narrow: boolean;
  readonly widen: boolean;
}

const bits: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  I16: 16,
  U16: 16,
  I32: 32,
  U32: 32,
  I64: 64,
  U64: 64,
  F16: 16,
  BF16: 16,
  F32: 32,
  F64: 64,
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

const whole = (json: Json | undefined): bigint => {
  if (typeof json !== 'object' || json === null || !('number' in json)) return wrong('no number');
  if (!/^\d+$/.test(json.number)) return wrong('not an integer');
  const n = BigInt(json.number);
  return n < 2n ** 53n ? n : wrong('a number out of range');
};

export function safetensors(bytes: Uint8Array, { narrow, widen }: Options): Array_[] {
  if (bytes.length < 8) wrong('too short');
  let length = 0n;
  for (let i = 7; i >= 0; i--) length = length * 256n + BigInt(bytes[i]!);
  if (length > 100_000_000n || 8n + length > BigInt(bytes.length)) wrong('the header is too long');
  const begin = 8 + Number(length);
  const text = utf8(bytes.subarray(8, begin));
  if (!text.startsWith('{')) wrong('no object');
  const header = parse(text);
  if (!(header instanceof Map)) return wrong('no object');
  for (const number of numbersIn(header))
    if (!/^(0|[1-9]\d*)$/.test(number)) wrong('a number that is no size');
  const found: { name: string; dtype: string; shape: bigint[]; start: bigint; end: bigint }[] = [];
  for (const [name, entry] of header) {
    if (!(entry instanceof Map)) return wrong('no entry');
    if (name === '__metadata__') {
      for (const value of entry.values()) if (typeof value !== 'string') wrong('metadata that is no text');
      continue;
    }
    if (name.length > 4096) wrong('a long name');
    const [dtype, sizes, offsets] = ['dtype', 'shape', 'data_offsets'].map((key) => entry.get(key));
    if (typeof dtype !== 'string' || !Object.keys(bits).includes(dtype)) return wrong('an unknown dtype');
    if (!Array.isArray(sizes) || sizes.length > 64) return wrong('no shape');
    if (!Array.isArray(offsets) || offsets.length !== 2) return wrong('no offsets');
    const shape = sizes.map(whole);
    const [start, end] = offsets.map(whole) as [bigint, bigint];
    if (product(shape) * BigInt(bits[dtype]!) !== 8n * (end - start)) wrong('another size');
    found.push({ name, dtype, shape, start, end });
  }
  found.sort((a, b) => Number(a.start - b.start) || Number(a.end - b.end));
  let at = 0n;
  for (const { start, end } of found) {
    if (start !== at) wrong('a gap or an overlap');
    at = end;
  }
  if (BigInt(begin) + at !== BigInt(bytes.length)) wrong('another length');
  return found.map(({ name, dtype, shape, start, end }) => {
    const kind = dtype.toLowerCase() as Kind;
    if (!Object.hasOwn(widths, kind) || (!nativeKinds.has(kind) && !narrow))
      wrong('a dtype that is not read');
    const values = elements(kind, bytes.subarray(begin + Number(start), begin + Number(end)));
    return { name, dtype: dtypeOf(kind, widen), shape: shape.map(Number), values };
  });
}

const numpyKinds: Readonly<Record<string, Kind>> = {
  b1: 'bool',
  u1: 'u8',
  i1: 'i8',
  u2: 'u16',
  i2: 'i16',
  u4: 'u32',
  i4: 'i32',
  u8: 'u64',
  i8: 'i64',
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
};

export function npy(bytes: Uint8Array, { widen }: Pick<Options, 'widen'>, name = ''): Array_ {
  const file = Buffer.from(bytes);
  if (file.subarray(0, 6).toString('latin1') !== '\x93NUMPY' || file.length < 10) wrong('no .npy file');
  const version = file.readUInt16BE(6);
  const start = version === 0x0100 ? 10 : version === 0x0200 || version === 0x0300 ? 12 : wrong('a version');
  if (file.length < start) wrong('too short');
  const length = start === 10 ? file.readUInt16LE(8) : file.readUInt32LE(8);
  if (length > 10_000 || start + length > file.length) wrong('a long header');
  const text = file.subarray(start, start + length).toString('latin1');
  const s = '[ \\n]*';
  const quoted = (what: string): string => `(?:'${what}'|"${what}")`;
  const order = '(?<order>True|False)';
  const shape = `\\((?<shape>${s}|(?:${s}\\d+${s},)+${s}|(?:${s}\\d+${s},)+${s}\\d+${s})\\)`;
  const pairs = [
    `${quoted('descr')}${s}:${s}(?:'(?<single>[<>|][biuf][1248])'|"(?<double>[<>|][biuf][1248])")`,
    `${quoted('fortran_order')}${s}:${s}${order}`,
    `${quoted('shape')}${s}:${s}${shape}`,
  ];
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  const match = orders
    .map(
      (order) =>
        new RegExp(`^${s}\\{${s}${order.map((i) => pairs[i]).join(`${s},${s}`)}${s}(?:,${s})?\\}${s}$`),
    )
    .map((pattern) => pattern.exec(text))
    .find((found) => found !== null);
  const { single, double, order: fortran, shape: sizes } = match?.groups ?? {};
  const descr = single ?? double;
  if (descr === undefined || sizes === undefined) return wrong('no header of NumPy');
  const kind = numpyKinds[descr.slice(1)] ?? wrong('a dtype');
  if (descr[0] === '|' && widths[kind] > 1) wrong('no byte order');
  const numbers = sizes.match(/\d+/g) ?? [];
  if (numbers.length > 64 || numbers.some((n) => n.length > 1 && n.startsWith('0'))) wrong('a shape');
  const dims = numbers.map(BigInt);
  const count = product(dims);
  if (count * BigInt(widths[kind]) !== BigInt(file.length - start - length)) wrong('another length');
  const stored = elements(kind, bytes.subarray(start + length), descr[0] !== '>');
  const sizesOf = dims.map(Number);
  const values = fortran === 'True' ? stored.map((_, i) => stored[columnMajor(i, sizesOf)]!) : stored;
  return { name, dtype: dtypeOf(kind, widen), shape: sizesOf, values };
}

/** Where the i-th element of the row-major order stands in the column-major one. */
function columnMajor(i: number, sizes: readonly number[]): number {
  const index: number[] = [];
  for (const n of [...sizes].reverse()) {
    index.unshift(i % n);
    i = Math.floor(i / n);
  }
  let out = 0;
  let step = 1;
  sizes.forEach((n, axis) => {
    out += index[axis]! * step;
    step *= n;
  });
  return out;
}

function checksum(bytes: Uint8Array): number {
  let c = -1;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
  }
  return ~c >>> 0;
}

export function npz(bytes: Uint8Array, { widen, maxBytes }: { widen: boolean; maxBytes: number }): Array_[] {
  const file = Buffer.from(bytes);
  const end = file.length - 22;
  if (end < 0 || file.readUInt32BE(end) !== 0x504b0506) wrong('no end');
  if (file.readUInt32LE(end + 4) !== 0 || file.readUInt16LE(end + 20) !== 0) wrong('parts or a comment');
  const count = file.readUInt16LE(end + 10);
  if (count !== file.readUInt16LE(end + 8) || count > 10_000) wrong('counts');
  let at = file.readUInt32LE(end + 16);
  if (at + file.readUInt32LE(end + 12) !== end) wrong('a directory elsewhere');
  const data = at;
  const taken = new Uint8Array(data);
  const out: Array_[] = [];
  let total = 0;
  const text = (part: Buffer, flags: number): string =>
    flags & 0x800 ? utf8(part) : part.every((b) => b < 128) ? part.toString('latin1') : wrong('no ASCII');
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || file.readUInt32BE(at) !== 0x504b0102) wrong('no entry');
    const [flags, method] = [file.readUInt16LE(at + 8), file.readUInt16LE(at + 10)];
    if ((flags & ~0x80e) !== 0 || (method !== 0 && method !== 8)) wrong('flags or method');
    const sizes = file.subarray(at + 16, at + 28);
    const [crc, packed, size] = [0, 4, 8].map((k) => sizes.readUInt32LE(k)) as [number, number, number];
    const next =
      at + 46 + file.readUInt16LE(at + 28) + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32);
    if (next > end || file.readUInt16LE(at + 34) !== 0 || packed === 2 ** 32 - 1 || size === 2 ** 32 - 1)
      wrong('an entry');
    const name = text(file.subarray(at + 46, at + 46 + file.readUInt16LE(at + 28)), flags);
    if (file.readUInt16LE(at + 28) > 4096 || !name.endsWith('.npy') || name.includes('\0')) wrong('a name');
    if (out.some((other) => `${other.name}.npy` === name)) wrong('a name twice');
    total += size;
    if (total > maxBytes) wrong('too many bytes');

    const local = file.readUInt32LE(at + 42);
    if (local + 30 > data || file.readUInt32BE(local) !== 0x504b0304) wrong('no local header');
    const extra = local + 30 + file.readUInt16LE(local + 26);
    const start = extra + file.readUInt16LE(local + 28);
    if (start + packed > data) wrong('beyond the data');
    if (file.readUInt16LE(local + 6) !== flags || file.readUInt16LE(local + 8) !== method)
      wrong('another kind');
    if (text(file.subarray(local + 30, extra), flags) !== name) wrong('another name');
    let said = [14, 18, 22].map((k) => file.readUInt32LE(local + k));
    if (said[1] === 2 ** 32 - 1 && said[2] === 2 ** 32 - 1) {
      let wide: number[] | null = null;
      for (let k = extra; k + 4 <= start && !wide; k += 4 + file.readUInt16LE(k + 2))
        if (file.readUInt16LE(k) === 1 && file.readUInt16LE(k + 2) >= 16 && k + 20 <= start)
          wide = [said[0]!, Number(file.readBigUInt64LE(k + 12)), Number(file.readBigUInt64LE(k + 4))];
      said = wide ?? wrong('no wide sizes');
    }
    const after = (flags & 8) !== 0 && said.every((n) => n === 0);
    if (!after && (said[0] !== crc || said[1] !== packed || said[2] !== size)) wrong('other sizes');
    for (let k = local; k < start + packed; k++) {
      if (taken[k] !== 0) wrong('an overlap');
      taken[k] = 1;
    }
    const held = file.subarray(start, start + packed);
    let content: Uint8Array = held;
    if (method === 8)
      try {
        content = inflateRawSync(held, { maxOutputLength: Math.max(1, size) });
      } catch {
        wrong('no deflate');
      }
    if (content.length !== size || checksum(content) !== crc) wrong('other content');
    out.push(npy(content, { widen }, name.slice(0, -4)));
    at = next;
  }
  if (at !== end) wrong('a directory that is too long');
  return out;
}

/** Which file holds which tensor. */
export function shardIndex(bytes: Uint8Array): Map<string, string> {
  const index = parse(utf8(bytes));
  if (!(index instanceof Map)) return wrong('no object');
  const map = index.get('weight_map');
  const metadata = index.get('metadata');
  if (!(map instanceof Map) || !(metadata instanceof Map || metadata === undefined)) return wrong('no map');
  for (const file of map.values())
    if (typeof file !== 'string' || !/^[a-z0-9-]+\.safetensors$/i.test(file)) wrong('a file elsewhere');
  return map as Map<string, string>;
}
