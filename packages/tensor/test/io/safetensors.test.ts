/** Safetensors in memory and as one file: round trips, hostile files. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  parseSafetensorsHeader,
  tensor,
  type Tensor,
} from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors, writeFileAtomic } from '@infinigrad/tensor/node';
import { afterAll, describe, expect, test } from 'vitest';
import { safetensorsFile as file, make, sample } from './tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('round trips', () => {
  test('give the same tensors, names, order and metadata, and the same bytes again', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), sample, { maxKeys: 4 }),
        fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }),
        (samples, metadata) => {
          fc.pre(!Object.hasOwn(samples, '__metadata__'));
          const tensors = Object.fromEntries(Object.entries(samples).map(([name, s]) => [name, make(s)]));
          const bytes = encodeSafetensors(tensors, metadata);
          const back = decodeSafetensors(bytes);
          expect(Object.keys(back.tensors).sort()).toEqual(Object.keys(tensors).sort());
          for (const [name, x] of Object.entries(tensors)) {
            expect([back.tensors[name]!.dtype, back.tensors[name]!.shape]).toEqual([x.dtype, x.shape]);
            expect(back.tensors[name]!.dataSync()).toEqual(x.dataSync());
          }
          expect({ ...back.metadata }).toEqual({ ...metadata });
          expect(encodeSafetensors(tensors, metadata)).toEqual(bytes);
        },
      ),
    ));

  test('a view is written row-major, and data starts at a multiple of 8', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]).transpose();
    const bytes = encodeSafetensors({ x });
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
    expect(decodeSafetensors(bytes).tensors['x']!.toArraySync()).toEqual([
      [1, 3],
      [2, 4],
    ]);
  });

  test("bytes inside a larger buffer, and Node's Buffer, are read alike", () => {
    const bytes = encodeSafetensors({ a: tensor([true]), b: tensor([1, 2], { dtype: 'f64' }) });
    const inside = new Uint8Array(bytes.length + 5);
    inside.set(bytes, 3);
    for (const given of [inside.subarray(3, 3 + bytes.length), Buffer.from(inside.buffer, 3, bytes.length)])
      expect(decodeSafetensors(given).tensors['b']!.toArraySync()).toEqual([1, 2]);
  });

  test('names like __proto__ are data', () => {
    const tensors = Object.defineProperty({}, '__proto__', {
      value: tensor([1]),
      enumerable: true,
    }) as Record<string, Tensor>;
    const { tensors: back } = decodeSafetensors(encodeSafetensors(tensors));
    expect(Object.keys(back)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['size']).toBeUndefined();
  });
});

describe('hostile files', () => {
  const entry = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /ends after 0 bytes/],
    ['huge header', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x7f), /more than 100000000/],
    ['header beyond the end', file('{}').subarray(0, 9), /is truncated/],
    ['not JSON', file('{"a":'), /not JSON/],
    ['not UTF-8', file('{}').map((b, i) => (i === 9 ? 0xff : b)), /not JSON/],
    ['an array', file('[]'), /begins with {/],
    ['a space before the header', file(' {}'), /begins with {/],
    ['unknown dtype', file({ a: { ...entry, dtype: 'F9' } }, 8), /dtype F9.*known here: F32, .*U64/],
    [
      'a dtype of which there are no tensors',
      file({ a: { ...entry, dtype: 'F8_E4M3' } }, 2).map((b) => b),
      /a' of shape \[2\] needs 2 bytes/,
    ],
    [
      'a dtype that cannot be read',
      file({ a: { dtype: 'F8_E4M3', shape: [2], data_offsets: [0, 2] } }, 2),
      /dtype F8_E4M3, which no tensor here has.*read here/,
    ],
    [
      'a dtype that is an object',
      file({ a: { ...entry, dtype: { toString: 1 } } }, 8),
      /dtype {"toString":1}/,
    ],
    [
      'a dtype of half bytes that do not add up',
      file({ a: { dtype: 'F4', shape: [3], data_offsets: [0, 1] } }, 1),
      /needs 1.5 bytes/,
    ],
    [
      'wide integers without leave',
      file({ a: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } }, 8),
      /dtype I64.*narrow: true/,
    ],
    ['negative size', file({ a: { ...entry, shape: [-2] } }, 8), /holds -2, which/],
    ['minus zero', file('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'), /holds -0, which/],
    [
      'a size with a point',
      file('{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', 8),
      /holds 2.0, which/,
    ],
    [
      'a size with an exponent',
      file('{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', 8),
      /holds 2e0, which/,
    ],
    ['a shape that is no list', file({ a: { ...entry, shape: { length: 1 } } }, 8), /no valid shape/],
    ['sizes of text', file({ a: { ...entry, shape: ['2'] } }, 8), /no valid shape/],
    [
      'too many axes',
      file({ a: { ...entry, shape: [2, ...Array<number>(64).fill(1)] } }, 8),
      /65 axes, more than 64/,
    ],
    ['a long name', file({ ['x'.repeat(5000)]: entry }, 8), /5000 characters, more than 4096/],
    [
      'half of a surrogate pair',
      file('{"\\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
      /half of a surrogate pair/,
    ],
    ['deep nesting', file(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), /nested deeper than 128/],
    ['offsets in reverse', file({ a: { ...entry, data_offsets: [8, 0] } }, 8), /give -8/],
    [
      'an empty shape hidden by an overflow',
      file({ a: { ...entry, shape: [2 ** 52, 0, 2 ** 52], data_offsets: [0, 0] } }),
      /no valid shape/,
    ],
    ['fractional size', file({ a: { ...entry, shape: [1.5] } }, 8), /holds 1.5, which/],
    ['one offset', file({ a: { ...entry, data_offsets: [0] } }, 8), /no valid data_offsets/],
    ['wrong size', file({ a: { ...entry, shape: [3] } }, 8), /needs 12 bytes, its data_offsets give 8/],
    ['overflowing shape', file({ a: { ...entry, shape: [2 ** 52, 2 ** 52] } }, 8), /no valid shape/],
    ['gap', file({ a: { ...entry, data_offsets: [4, 12] } }, 12), /gap or an overlap/],
    ['overlap', file({ a: entry, b: { ...entry, data_offsets: [4, 12] } }, 12), /gap or an overlap/],
    ['too short', file({ a: entry }, 7), /truncated/],
    ['too long', file({ a: entry }, 9), /bytes too many/],
    [
      'the second tensor cut',
      file({ a: entry, b: { ...entry, data_offsets: [8, 16] } }, 15),
      /tensor 'b'.*truncated/,
    ],
    [
      'a name twice',
      file(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      ),
      /has 'a' twice/,
    ],
    [
      'a field twice',
      file('{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
      /has 'dtype' twice/,
    ],
    ['unsafe offsets', file({ a: { ...entry, data_offsets: [0, 2 ** 53] } }, 8), /no valid data_offsets/],
    ['no object', file({ a: 3 }), /not described by an object/],
    ['metadata of numbers', file({ __metadata__: { a: 1 } }), /not a string/],
    [
      'a bool of 2',
      file({ a: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, 1).map((b, i, all) =>
        i === all.length - 1 ? 2 : b,
      ),
      /neither 0 nor 1/,
    ],
  ];
  for (const [name, bytes, says] of cases)
    test(`${name}: refused`, () => {
      expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
      expect(() => decodeSafetensors(bytes)).toThrow(says);
    });

  test('more tensors than the limit: refused', () => {
    const bytes = encodeSafetensors({ a: tensor([1]), b: tensor([2]) });
    expect(Object.keys(decodeSafetensors(bytes, { maxTensors: 2 }).tensors)).toEqual(['a', 'b']);
    expect(() => decodeSafetensors(bytes, { maxTensors: 1 })).toThrow(/more than 1 tensors/);
  });

  test('a name of many megabytes does not exhaust the stack', () => {
    for (const letter of ['a', '\\\\', 'é'])
      expect(() => decodeSafetensors(file(`{"${letter.repeat(8_000_000)}":1}`))).toThrow(
        /8000000 characters/,
      );
  });

  test('what is written can be read: other names are refused', () => {
    const x = tensor([1]);
    for (const [tensors, metadata, says] of [
      [{ __metadata__: x }, {}, /cannot be called __metadata__/],
      [{ '\ud800': x }, {}, /half of a surrogate pair/],
      [{ x }, { a: '\udfff' }, /half of a surrogate pair/],
      [{ x }, { a: 3 as never }, /not a string/],
    ] as const) {
      expect(() => encodeSafetensors(tensors, metadata)).toThrow(FormatError);
      expect(() => encodeSafetensors(tensors, metadata)).toThrow(says);
    }
  });

  test('a header longer than the limit: refused', () => {
    const bytes = encodeSafetensors({ a: tensor([1]) });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(Object.keys(decodeSafetensors(bytes, { maxHeaderBytes: length }).tensors)).toEqual(['a']);
    expect(() => decodeSafetensors(bytes, { maxHeaderBytes: length - 1 })).toThrow(/more than/);
  });

  test('braces, quotes and backslashes in names do not confuse the search for repeated keys', () => {
    const names = ['{', '"', '\\', '\\"', 'a": ', '}', ':'];
    const bytes = encodeSafetensors(Object.fromEntries(names.map((name) => [name, tensor([1])])));
    expect(Object.keys(decodeSafetensors(bytes).tensors)).toEqual(names);
  });

  test('cut at any byte: refused', () => {
    const bytes = encodeSafetensors({ a: tensor([1, 2, 3]), b: tensor([true, false]) }, { made: 'here' });
    for (let n = 0; n < bytes.length; n++)
      expect(() => decodeSafetensors(bytes.subarray(0, n)), `${n} bytes`).toThrow(FormatError);
  });

  test('with any byte changed: read or refused, never anything else', () =>
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), (at, value) => {
        const bytes = encodeSafetensors({ a: tensor([1, 2, 3]), b: tensor([true, false]) });
        bytes[at % bytes.length] = value;
        try {
          decodeSafetensors(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 300 },
    ));
});

describe('the header alone', () => {
  test('tells names, dtypes, shapes and places without the data', () => {
    const bytes = encodeSafetensors({ b: tensor([[1, 2]]), a: tensor([true]) }, { k: 'v' });
    const dataStart = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = parseSafetensorsHeader(bytes.subarray(0, dataStart), { fileBytes: bytes.length });
    expect(header).toEqual({
      entries: [
        { name: 'b', stored: 'F32', dtype: 'f32', shape: [1, 2], start: 0, end: 8 },
        { name: 'a', stored: 'BOOL', dtype: 'bool', shape: [1], start: 8, end: 9 },
      ],
      metadata: { k: 'v' },
      dataStart,
    });
    expect(() =>
      parseSafetensorsHeader(bytes.subarray(0, dataStart), { fileBytes: bytes.length - 1 }),
    ).toThrow(/truncated/);
  });
});

describe('on disk', () => {
  test('saved and loaded', async () => {
    const path = join(folder, 'a.safetensors');
    await saveSafetensors(path, { x: tensor([1, 2.5]) }, { k: 'v' });
    const { tensors, metadata } = await loadSafetensors(path);
    expect([tensors['x']!.toArraySync(), metadata]).toEqual([[1, 2.5], { k: 'v' }]);
  });

  test('a file that is missing or cut is named', async () => {
    await expect(loadSafetensors(join(folder, 'none'))).rejects.toThrow(/there is no file .*none/);
    await expect(loadSafetensors(folder)).rejects.toThrow(/cannot be read \(EISDIR\)/);
    const path = join(folder, 'cut.safetensors');
    writeFileSync(path, encodeSafetensors({ x: tensor([1, 2]) }).subarray(0, 40));
    await expect(loadSafetensors(path)).rejects.toThrow(/cut\.safetensors: .*truncated/);
  });

  test('a failed write leaves the old file and nothing else', async () => {
    const target = mkdtempSync(join(folder, 'atomic-'));
    const path = join(target, 'file');
    await writeFileAtomic(path, 'old');
    await expect(writeFileAtomic(path, Symbol('no data') as never)).rejects.toThrow();
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(target)).toEqual(['file']);
  });
});
