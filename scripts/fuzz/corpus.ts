/** Valid files to start from, made without our writers. */
import type { Choices } from './random.ts';
import { widths, type Kind } from './values.ts';
import { zip, type Entry } from './zip.ts';

const kinds = Object.keys(widths) as Kind[];
const shapes: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [3],
  [2, 3],
  [3, 2],
  [2, 0, 3],
  [2, 3, 2],
  [1, 4, 1, 1],
  [24],
];
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Elements of a kind, which a tensor can hold mostly. */
function elements(kind: Kind, count: number, choices: Choices): Uint8Array {
  const width = widths[kind];
  const out = choices.bytes(count * width);
  if (kind === 'bool') return out.map((b) => (b === 200 ? 2 : b & 1));
  if (kind[0] !== 'f' && kind !== 'bf16' && width > 2 && kind !== 'i32' && choices.chance(0.8))
    for (let i = 0; i < count; i++) {
      const negative = kind === 'i64' && choices.chance(0.5);
      for (let k = 4; k < width; k++) out[i * width + k] = negative ? 0xff : 0;
      out[i * width + 3] = negative ? out[i * width + 3]! | 0x80 : out[i * width + 3]! & 0x7f;
    }
  return out;
}

/** A safetensors file of some tensors. */
export function safetensorsFile(
  choices: Choices,
  names: readonly string[] = choices.pick([['a'], ['a', 'b'], ['w', 'b', 'é', '__proto__'], []]),
): Uint8Array {
  const header: [string, unknown][] = [];
  const parts: Uint8Array[] = [];
  let at = 0;
  if (choices.chance(0.3)) header.push(['__metadata__', { format: 'pt', 'a"b': '{}' }]);
  for (const name of names) {
    const kind = choices.pick(kinds);
    const shape = choices.pick(shapes);
    const data = elements(kind, sizeOf(shape), choices);
    header.push([name, { dtype: kind.toUpperCase(), shape, data_offsets: [at, at + data.length] }]);
    parts.push(data);
    at += data.length;
  }
  if (choices.chance(0.3)) header.reverse();
  const text = Buffer.from(
    `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`,
  );
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 7, 0x20)]);
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(padded.length));
  return new Uint8Array(Buffer.concat([head, padded, ...parts]));
}

const codes: Readonly<Record<Exclude<Kind, 'bf16'>, string>> = {
  bool: 'b1',
  u8: 'u1',
  i8: 'i1',
  u16: 'u2',
  i16: 'i2',
  u32: 'u4',
  i32: 'i4',
  u64: 'u8',
  i64: 'i8',
  f16: 'f2',
  f32: 'f4',
  f64: 'f8',
};

/** A .npy file of any kind, version and order. */
export function npyFile(choices: Choices): Uint8Array {
  const kind = choices.pick(Object.keys(codes) as (keyof typeof codes)[]);
  const width = widths[kind];
  const shape = choices.pick(shapes);
  const data = elements(kind, sizeOf(shape), choices);
  const big = width > 1 && choices.chance(0.3);
  if (big) for (let i = 0; i < data.length; i += width) data.subarray(i, i + width).reverse();
  const descr = (width === 1 ? '|' : big ? '>' : '<') + codes[kind];
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': ${choices.chance(0.3) ? 'True' : 'False'}, 'shape': ${tuple}, }`;
  const version = choices.pick([1, 1, 2, 3]);
  const start = version === 1 ? 10 : 12;
  const header = Buffer.from(
    `${text.padEnd(Math.ceil((start + text.length + 1) / 64) * 64 - start - 1)}\n`,
    'latin1',
  );
  const head = Buffer.alloc(start);
  head.write('\x93NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(header.length, 8);
  else head.writeUInt32LE(header.length, 8);
  return new Uint8Array(Buffer.concat([head, header, data]));
}

/** The entries of an .npz archive, with what `change` makes of the first. */
export function npzEntries(
  choices: Choices,
  change: (npy: Uint8Array) => Uint8Array = (npy) => npy,
): Entry[] {
  const names = choices.pick([['a'], ['arr_0', 'arr_1'], ['é', 'b/c', ''], []]);
  return names.map((name, i) => {
    const content = npyFile(choices);
    return {
      name: `${name}.npy`,
      content: i === 0 ? change(content) : content,
      deflated: choices.chance(0.5),
      wide: choices.chance(0.3),
    };
  });
}

export const npzFile = (choices: Choices): Uint8Array => zip(npzEntries(choices));
