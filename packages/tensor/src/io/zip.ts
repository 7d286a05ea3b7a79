/**
 * Zip archives, as far as .npz files go: stored and deflated entries below 4 GiB, one disk, no encryption. The directory
 * at the end is held against what stands before each entry, and entries may not overlap: two readers see one archive.
 */
import { FormatError } from '../errors.ts';
import { isWellFormed, shorten } from './json.ts';

/** What packs and unpacks entries. */
export interface Codec {
  deflate(bytes: Uint8Array): Uint8Array;
  /** Exactly `size` bytes. Must stop, by an error, when there would be more. */
  inflate(bytes: Uint8Array, size: number): Uint8Array;
}

export interface ZipLimits {
  /** Most entries. Default 10,000. */
  readonly maxEntries?: number;
  /** Most bytes of all entries together, unpacked. Default 2^30. */
  readonly maxBytes?: number;
  /** Longest name, in bytes. Default 4096. */
  readonly maxNameBytes?: number;
}

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const fail = (problem: string, hint?: string): never => {
  throw new FormatError('zip', problem, hint === undefined ? {} : { hint });
};

const [localMark, centralMark, endMark] = [0x04034b50, 0x02014b50, 0x06054b50];
const [localBytes, centralBytes, endBytes] = [30, 46, 22];
const [encrypted, describedAfter, utf8] = [1, 8, 0x800];
/** Flags that say nothing of how an entry is read: the level of compression, and where its sizes stand. */
const harmlessFlags = 2 | 4 | describedAfter | utf8;
/** No deflated stream gives more bytes for each of its own. */
const maxRatio = 1032;
const beyondZip32 = 0xffffffff;

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = crcTable[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

interface Record {
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly name: string;
  /** Where the entry's own header stands. */
  readonly offset: number;
}

interface Place extends Record {
  readonly start: number;
}

/**
 * The entries of an archive, each unpacked when its turn comes.
 * @throws FormatError where the archive is not well-formed, of a kind that is not read, or beyond a limit
 */
export function* readZip(bytes: Uint8Array, codec: Codec, limits: ZipLimits = {}): Generator<ZipEntry> {
  for (const { name, method, crc, packed, size, start } of places(bytes, limits)) {
    const data = bytes.subarray(start, start + packed);
    let unpacked = data;
    if (method === 8) {
      try {
        unpacked = codec.inflate(data, size);
      } catch {
        return fail(`'${name}' cannot be unpacked to the ${size} bytes that it should have`, 'it is damaged');
      }
    }
    if (unpacked.length !== size)
      fail(`'${name}' should have ${size} bytes, it has ${unpacked.length}`, 'it is damaged');
    if (crc32(unpacked) !== crc) fail(`'${name}' has another checksum than it should`, 'it is damaged');
    yield { name, bytes: unpacked };
  }
}

function places(bytes: Uint8Array, limits: ZipLimits): Place[] {
  const { maxEntries = 10_000, maxBytes = 2 ** 30, maxNameBytes = 4096 } = limits;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - endBytes;
  if (end < 0 || view.getUint32(end, true) !== endMark)
    fail(
      'there is no directory of entries at the end',
      'it is truncated, not a zip archive, or has a comment',
    );
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  const [count, length, begin] = [u16(end + 10), u32(end + 12), u32(end + 16)];
  if (u16(end + 4) !== 0 || u16(end + 6) !== 0 || u16(end + 8) !== count)
    fail('it is one of several parts, or more than 65,534 entries');
  if (u16(end + 20) !== 0) fail('the directory is followed by other bytes');
  if (count === 0xffff || length === beyondZip32 || begin === beyondZip32)
    fail('it is a zip64 archive, for more than 4 GiB or 65,534 entries, which is not read');
  if (count > maxEntries) fail(`it has ${count} entries, more than ${maxEntries}`);
  if (begin + length !== end) fail('the directory is not where the end of the archive says it is');

  const records: Record[] = [];
  const names = new Set<string>();
  let at = begin;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (at + centralBytes > end || u32(at) !== centralMark) fail(`the directory's entry ${i} is damaged`);
    const [nameBytes, extraBytes, commentBytes] = [u16(at + 28), u16(at + 30), u16(at + 32)];
    const next = at + centralBytes + nameBytes + extraBytes + commentBytes;
    if (next > end) fail(`the directory's entry ${i} goes beyond its end`);
    if (nameBytes > maxNameBytes) fail(`a name has ${nameBytes} bytes, more than ${maxNameBytes}`);
    const flags = u16(at + 8);
    const name = nameOf(bytes.subarray(at + centralBytes, at + centralBytes + nameBytes), flags);
    if (names.has(name)) fail(`there are two entries '${shorten(name)}'`);
    names.add(name);
    const [method, crc, packed, size, disk, offset] = [
      u16(at + 10),
      u32(at + 16),
      u32(at + 20),
      u32(at + 24),
      u16(at + 34),
      u32(at + 42),
    ];
    if (flags & encrypted) fail(`'${name}' is encrypted`);
    if (flags & ~harmlessFlags) fail(`'${name}' has flags 0x${flags.toString(16)}, which are not known`);
    if (method !== 0 && method !== 8)
      fail(`'${name}' is packed by method ${method}`, 'read here: stored (0) and deflated (8)');
    if (disk !== 0 || [packed, size, offset].includes(beyondZip32))
      fail(`'${name}' lies on another disk or is of 4 GiB or more`);
    if (method === 0 ? size !== packed : size > packed * maxRatio)
      fail(`'${name}' claims to unpack ${packed} bytes to ${size}`);
    total += size;
    if (total > maxBytes) fail(`the entries take more than ${maxBytes} bytes`, 'maxBytes sets the limit');
    records.push({ name, flags, method, crc, packed, size, offset });
    at = next;
  }
  if (at !== end) fail('the directory has bytes too many');
  return placed(bytes, view, records, begin);
}

/** Where the data of each entry lies, in the order of the directory. */
function placed(bytes: Uint8Array, view: DataView, records: readonly Record[], dataEnd: number): Place[] {
  const found = records.map((record): Place => {
    const { offset, name, flags, method } = record;
    if (offset + localBytes > dataEnd || view.getUint32(offset, true) !== localMark)
      fail(`'${name}' is not where the directory says it is`);
    const [nameBytes, extraBytes] = [view.getUint16(offset + 26, true), view.getUint16(offset + 28, true)];
    const start = offset + localBytes + nameBytes + extraBytes;
    if (start + record.packed > dataEnd) fail(`'${name}' reaches into the directory`);
    const localFlags = view.getUint16(offset + 6, true);
    const localName = bytes.subarray(offset + localBytes, offset + localBytes + nameBytes);
    if (
      localFlags !== flags ||
      view.getUint16(offset + 8, true) !== method ||
      nameOf(localName, localFlags) !== name ||
      !sizesAgree(view, record, start - extraBytes, start)
    )
      fail(`'${name}' is not what the directory says it is`);
    return { ...record, start };
  });
  let reached = 0;
  for (const { name, offset, start, packed } of found.toSorted((a, b) => a.offset - b.offset)) {
    if (offset < reached) fail(`'${name}' overlaps the entry before it`);
    reached = start + packed;
  }
  return found;
}

/** Whether the sizes and the checksum that stand before the entry are those of the directory, or told to come after it. */
function sizesAgree(view: DataView, record: Record, extra: number, extraEnd: number): boolean {
  const { offset } = record;
  const crc = view.getUint32(offset + 14, true);
  let [packed, size] = [view.getUint32(offset + 18, true), view.getUint32(offset + 22, true)];
  if (packed === beyondZip32 && size === beyondZip32) {
    // NumPy writes every entry so, not knowing how large it will be
    const wide = zip64Sizes(view, extra, extraEnd);
    if (wide === null) return false;
    [size, packed] = wide;
  }
  if (record.flags & describedAfter && crc === 0 && packed === 0 && size === 0) return true;
  return crc === record.crc && packed === record.packed && size === record.size;
}

function zip64Sizes(view: DataView, extra: number, end: number): [size: number, packed: number] | null {
  for (let at = extra; at + 4 <= end; at += 4 + view.getUint16(at + 2, true))
    if (view.getUint16(at, true) === 1 && view.getUint16(at + 2, true) >= 16 && at + 20 <= end)
      return [Number(view.getBigUint64(at + 4, true)), Number(view.getBigUint64(at + 12, true))];
  return null;
}

function nameOf(bytes: Uint8Array, flags: number): string {
  let name = '';
  if (flags & utf8)
    try {
      name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      fail('a name is not UTF-8');
    }
  else
    for (const byte of bytes) {
      if (byte > 0x7f) fail('a name is neither ASCII nor marked as UTF-8');
      name += String.fromCharCode(byte);
    }
  if (name === '' || name.includes('\0')) fail('a name is empty or holds a zero');
  return name;
}

/**
 * An archive of entries, stored or, with a codec, deflated. The same entries give the same bytes: all are of 1 January 1980.
 * @throws FormatError where it would be larger than the format holds
 */
export function writeZip(entries: readonly ZipEntry[], codec: Codec | null): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    if (!isWellFormed(name) || name.includes('\0'))
      fail(`the name '${name}' holds a zero or half of a surrogate pair`);
    const encoded = new TextEncoder().encode(name);
    if (encoded.length === 0 || encoded.length > 0xffff) fail(`a name has ${encoded.length} bytes`);
    const packed = codec ? codec.deflate(bytes) : bytes;
    const central = new Uint8Array(centralBytes + encoded.length);
    const view = new DataView(central.buffer);
    view.setUint32(0, centralMark, true);
    view.setUint16(4, 20, true);
    view.setUint16(6, 20, true);
    view.setUint16(8, encoded.length === name.length ? 0 : utf8, true);
    view.setUint16(10, codec ? 8 : 0, true);
    view.setUint16(14, 0x21, true);
    view.setUint32(16, crc32(bytes), true);
    view.setUint32(20, packed.length, true);
    view.setUint32(24, bytes.length, true);
    view.setUint16(28, encoded.length, true);
    view.setUint32(42, offset, true);
    central.set(encoded, centralBytes);
    // What stands before an entry is what the directory says of it, without its last fields
    const local = new Uint8Array(localBytes + encoded.length);
    new DataView(local.buffer).setUint32(0, localMark, true);
    local.set(central.subarray(6, 32), 4);
    local.set(encoded, localBytes);
    parts.push(local, packed);
    directory.push(central);
    offset += local.length + packed.length;
    if (Math.max(offset, bytes.length) >= beyondZip32)
      fail('the archive would be of 4 GiB or more', 'write several, or safetensors');
  }
  if (entries.length >= 0xffff) fail(`${entries.length} entries are more than an archive holds`);
  const begin = offset;
  for (const { length } of directory) offset += length;
  const end = new Uint8Array(endBytes);
  const view = new DataView(end.buffer);
  view.setUint32(0, endMark, true);
  view.setUint16(8, entries.length, true);
  view.setUint16(10, entries.length, true);
  view.setUint32(12, offset - begin, true);
  view.setUint32(16, begin, true);
  const out = new Uint8Array(offset + endBytes);
  let at = 0;
  for (const part of [...parts, ...directory, end]) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
