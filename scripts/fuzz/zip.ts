/** Zip archives for the fuzzer, every field of which can be set wrong. */
import { deflateRawSync } from 'node:zlib';

export interface Entry {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflated: boolean;
  /** What stands in the archive, where that is not made from the content. */
  readonly packed?: Uint8Array;
  /** What both headers claim, where that is not the truth. */
  readonly claims?: { readonly size?: number; readonly packed?: number; readonly crc?: number };
  /** What stands before the entry, where that differs from the directory. */
  readonly localClaims?: { readonly size?: number; readonly packed?: number; readonly crc?: number };
  readonly flags?: number;
  readonly method?: number;
  /** Sizes in an extra field before the entry, as NumPy writes them. */
  readonly wide?: boolean;
}

const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

export function crc32(bytes: Uint8Array): number {
  let c = -1;
  for (const byte of bytes) c = table[(c ^ byte) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

export function zip(entries: readonly Entry[]): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, deflated, claims = {}, localClaims = {}, wide = false, ...rest } of entries) {
    const packed = Buffer.from(rest.packed ?? (deflated ? deflateRawSync(content) : content));
    const encoded = Buffer.from(name);
    const truth = { crc: crc32(content), packed: packed.length, size: content.length, ...claims };
    const said = { ...truth, ...localClaims };
    const flags = rest.flags ?? (encoded.length === name.length ? 0 : 0x800);
    const method = rest.method ?? (deflated ? 8 : 0);
    const extra = Buffer.alloc(wide ? 20 : 0);
    if (wide) {
      extra.writeUInt32LE(0x00100001, 0);
      extra.writeBigUInt64LE(BigInt(said.size), 4);
      extra.writeBigUInt64LE(BigInt(said.packed), 12);
    }
    const local = Buffer.alloc(30);
    local.writeUInt32BE(0x504b0304, 0);
    local.writeUInt16LE(45, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(said.crc, 14);
    local.writeUInt32LE(wide ? 2 ** 32 - 1 : said.packed, 18);
    local.writeUInt32LE(wide ? 2 ** 32 - 1 : said.size, 22);
    local.writeUInt16LE(encoded.length, 26);
    local.writeUInt16LE(extra.length, 28);
    const central = Buffer.alloc(46);
    central.writeUInt32BE(0x504b0102, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(truth.crc, 16);
    central.writeUInt32LE(truth.packed, 20);
    central.writeUInt32LE(truth.size, 24);
    central.writeUInt16LE(encoded.length, 28);
    central.writeUInt32LE(offset, 42);
    parts.push(local, encoded, extra, packed);
    directory.push(central, encoded);
    offset += local.length + encoded.length + extra.length + packed.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32BE(0x504b0506, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, list, end]));
}
