/** Changes to files that know where their headers and sizes are. */
import { join } from './blind.ts';
import type { Choices } from './random.ts';
import { duplicated, inText } from './text.ts';

interface Described {
  dtype: unknown;
  shape: unknown;
  data_offsets: [number, number];
}

/** A safetensors file whose header has been changed, with its true length before it most of the time. */
export function safetensors(bytes: Uint8Array, choices: Choices): Uint8Array {
  const file = Buffer.from(bytes);
  const length = file.length < 8 ? 0 : Number(file.readBigUInt64LE(0));
  if (8 + length > file.length) return bytes;
  let text = file.subarray(8, 8 + length).toString('utf8');
  let data: Uint8Array = bytes.slice(8 + length);
  if (choices.chance(0.5)) {
    let header: Record<string, Described>;
    try {
      header = JSON.parse(text) as Record<string, Described>;
    } catch {
      return bytes;
    }
    const names = Object.keys(header).filter((name) => Array.isArray(header[name]?.data_offsets));
    if (names.length === 0) return bytes;
    const [a, b] = [header[choices.pick(names)]!, header[choices.pick(names)]!];
    const change = choices.below(14);
    switch (change) {
      case 0:
        [a.data_offsets, b.data_offsets] = [b.data_offsets, a.data_offsets];
        break;
      case 1:
        a.data_offsets[choices.below(2)]! += choices.pick([
          -8,
          -4,
          -1,
          1,
          4,
          8,
          data.length,
          2 ** 32,
          2 ** 53,
        ]);
        break;
      case 2:
        // The same bytes under another dtype or shape: right where they fill it
        a.dtype = choices.pick<unknown>([
          'BOOL',
          'U8',
          'I8',
          'F16',
          'BF16',
          'I16',
          'U16',
          'I32',
          'U32',
          'F32',
          'F64',
          'I64',
          'U64',
          'F4',
          'F8_E5M2',
          'C64',
        ]);
        if (choices.chance(0.5)) a.shape = [choices.pick([1, 2, 4, 8, 1, 0])];
        break;
      case 3:
        if (Array.isArray(a.shape))
          a.shape = choices.pick([
            [...a.shape].reverse(),
            [...(a.shape as number[]), 1],
            [1, ...(a.shape as number[])],
            [(a.shape as number[]).reduce((x, y) => x * y, 1)],
            [2 ** 32, 2 ** 32, ...(a.shape as number[])],
            [0, 2 ** 53],
          ]);
        break;
      case 4: {
        const [start, end] = a.data_offsets;
        a.data_offsets = [start, end + 8];
        data = join(data, choices.bytes(8));
        break;
      }
      case 9: {
        // A field of another kind
        const field = choices.pick(['dtype', 'shape', 'data_offsets'] as const);
        const odd: unknown[] = [[a[field]], { toString: 1 }, { length: 2 }, null, true, 1, String(a[field])];
        Object.assign(a, { [field]: choices.pick(odd) });
        break;
      }
      case 8: {
        // Bytes that are nobody's, before a tensor
        const [start] = a.data_offsets;
        const gap = choices.pick([1, 8]);
        for (const name of names) {
          const { data_offsets: offsets } = header[name]!;
          if (offsets[0] >= start) header[name]!.data_offsets = [offsets[0] + gap, offsets[1] + gap];
        }
        data = join(data.slice(0, start), choices.bytes(gap), data.slice(start));
        break;
      }
      case 5:
        // Overlap: one tensor's bytes are another's
        a.data_offsets = [...b.data_offsets];
        a.dtype = b.dtype;
        a.shape = b.shape;
        break;
      case 6:
        delete (a as Partial<Described>)[choices.pick(['dtype', 'shape', 'data_offsets'] as const)];
        break;
      case 7:
        Object.assign(header, {
          __metadata__: choices.pick([
            {},
            { a: 'b' },
            { a: 1 },
            [],
            null,
            'x',
            { a: null },
            { a: { b: 'c' } },
          ]),
        });
    }
    text = JSON.stringify(header);
    if (choices.chance(0.3)) text = JSON.stringify(header, null, choices.pick([' ', '\n', '\t']));
    if (choices.chance(0.1)) text = duplicated(text, choices);
    if (change > 9 || choices.chance(0.1)) text = respelled(text, choices);
  } else text = inText(text, choices);
  const padded = text + ' '.repeat(choices.chance(0.5) ? choices.below(9) : 0);
  // As bytes of its own, a character beyond ASCII is no UTF-8 mostly
  const encoded = Buffer.from(padded, choices.chance(0.9) ? 'utf8' : 'latin1');
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(
    BigInt(encoded.length) + (choices.chance(0.05) ? choices.pick([1n, 8n, 2n ** 40n, 2n ** 60n]) : 0n),
  );
  return join(head, encoded, data);
}

/** JSON that means the same to a careless reader, or nearly: numbers, names and fields spelled otherwise. */
function respelled(text: string, choices: Choices): string {
  const pick = (pattern: RegExp, change: (found: string) => string): string => {
    const found = [...text.matchAll(pattern)];
    if (found.length === 0) return text;
    const { 0: old, index } = choices.pick(found);
    return text.slice(0, index) + change(old) + text.slice(index + old.length);
  };
  switch (choices.below(5)) {
    case 4:
      // No entry where one should be
      return pick(/\{"dtype"[^{}]*\}/g, () => choices.pick(['null', '[]', '3', '"F32"', 'true', '{}']));
    case 0:
      return pick(/\d+(?=[,\]])/g, (n) =>
        choices.pick([`${n}.0`, `${n}e0`, `${n}E+0`, `-${n}`, `0${n}`, `${n}0e-1`]),
      );
    case 1:
      // A tensor under another name
      return pick(/"[^"]*"(?=:\{"dtype")/g, () =>
        choices.pick([
          '"\\ud800"',
          '"\\udc00x"',
          '"\\ud83d\\ude00"',
          '"\\u0061"',
          '"__proto__"',
          '""',
          `"${'n'.repeat(4096)}"`,
          `"${'n'.repeat(4097)}"`,
        ]),
      );
    case 2: {
      // A field that nobody asked for
      const depth = choices.pick([1, 125, 126, 127, 2000]);
      const more = choices.pick([
        '1',
        '-1',
        '1.5',
        '"\\ud800"',
        'null',
        '[{}]',
        '{"a":1,"a":1}',
        '['.repeat(depth) + ']'.repeat(depth),
      ]);
      return pick(/\{"dtype"/g, () => `{"more":${more},"dtype"`);
    }
    default:
      return pick(/"[a-z]"/g, () => choices.pick(['"\u00FF"', '"\u00C3\u00A9"', '"\u00ED\u00A0\u0080"']));
  }
}

/** A .npy file whose header has been changed, with its true length before it most of the time. */
export function npy(bytes: Uint8Array, choices: Choices): Uint8Array {
  const file = Buffer.from(bytes);
  if (file.length < 12) return bytes;
  const wideLength = file[6] !== 1;
  const start = wideLength ? 12 : 10;
  const length = wideLength ? file.readUInt32LE(8) : file.readUInt16LE(8);
  if (start + length > file.length) return bytes;
  let text = file.subarray(start, start + length).toString('latin1');
  const change = choices.below(4);
  if (change === 0) text = inText(text, choices);
  else if (change === 3)
    text = choices.pick([
      text.replace(/\((\d+),\)/, '($1)'),
      text.replace(/\((\d+),\)/, '(,$1)'),
      text.replace(/\(.*\)/, '(,)'),
      text.replace(/'shape': .*\)/, '$&, $&'),
      text.replace(/'descr': '[^']*'/, "'descr': '<f4', $&"),
      text.replace(/'fortran_order': /, "$&True, 'fortran_order': "),
      text.replace(/'descr'/, "'other': True, $&"),
      text.replace(/'fortran_order': (True|False), /, ''),
    ]);
  else if (change === 1)
    text = text.replace(
      /[<>|][a-z]\d/,
      choices.pick([
        '<f4',
        '>f4',
        '<f2',
        '>f2',
        '|b1',
        '<b1',
        '|u1',
        '|i1',
        '<i4',
        '>i4',
        '|i4',
        '<u4',
        '>u2',
        '<i2',
        '<f8',
        '>i8',
        '<u8',
        '<c8',
        '=f4',
        '|O',
        '|V4',
        '<f3',
      ]),
    );
  else
    text = text.replace(/\([\d, ]*\)/, () => {
      const sizes = choices.pick([
        [],
        [0],
        [1],
        [2, 3],
        [3, 2],
        [6],
        [1, 6, 1],
        [2, 2],
        [4],
        [12],
        [24],
        [2, 3, 4],
        [4, 3, 2],
        [8, 3],
        [4294967296, 4294967296],
        [9007199254740991],
        [0, 9007199254740992],
      ] as const);
      return sizes.length === 1 ? `(${sizes[0]},)` : `(${sizes.join(', ')})`;
    });
  const version = choices.chance(0.2) ? choices.pick([1, 2, 3, 0, 4]) : file[6]!;
  const encoded = Buffer.from(text, 'latin1');
  const head = Buffer.alloc(version === 1 ? 10 : 12);
  file.copy(head, 0, 0, 6);
  head[6] = version;
  const claimed = encoded.length + (choices.chance(0.05) ? choices.pick([1, 64, 60_000]) : 0);
  if (version === 1) head.writeUInt16LE(Math.min(claimed, 0xffff), 8);
  else head.writeUInt32LE(claimed, 8);
  return join(head, encoded, bytes.slice(start + length));
}

/** The text of an index, changed. */
export function shardIndex(bytes: Uint8Array, choices: Choices): Uint8Array {
  const text = Buffer.from(bytes).toString('utf8');
  if (choices.chance(0.3)) return Buffer.from(duplicated(text.replaceAll(/: /g, ':'), choices));
  if (choices.chance(0.3))
    return Buffer.from(
      text.replace(/model-\d+-of-\d+/, () =>
        choices.pick([
          '../model-00001-of-00002',
          '/etc/passwd',
          'model-00001-of-00002',
          'model-00002-of-00002',
          '..\\\\x',
          'model-00003-of-00002',
          './model-00001-of-00002',
          '',
          'C:x',
          'a\\u0000b',
          'below/x',
        ]),
      ),
    );
  return Buffer.from(inText(text, choices));
}
