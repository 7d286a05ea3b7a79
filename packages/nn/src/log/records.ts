/** TFRecord: how event files hold their messages. */
import { joined } from './protobuf.ts';

/** CRC-32C (Castagnoli), reflected. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** So that checksums of data that hold checksums mean something. */
function masked(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  return littleEndian((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
}

function littleEndian(word: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, word, true);
  return out;
}

/** A record: length (u64), its masked checksum, the content, its masked checksum. */
export function framed(content: Uint8Array): Uint8Array {
  const length = joined([littleEndian(content.length), littleEndian(0)]);
  return joined([length, masked(length), content, masked(content)]);
}
