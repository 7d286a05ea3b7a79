/** NumPy's archives: files that NumPy wrote, round trips, hostile files; with fflate and with Node's own zlib. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { DTypeError, FormatError, fromData, tensor, writeNpy, zeros, type Tensor } from '@infinigrad/tensor';
import { loadNpy, loadNpz, saveNpy, saveNpz } from '@infinigrad/tensor/node';
import { readNpz, writeNpz, type NpzOptions } from '@infinigrad/tensor/npz';
import { afterAll, describe, expect, test } from 'vitest';
import { bitsOf, dtypeOfCode, fixtures, fromBase64, make, numbers, sample } from './tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-npz-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Both readers. */
const readers: [string, (bytes: Uint8Array, options?: NpzOptions) => Promise<Record<string, Tensor>>][] = [
  ['fflate', async (bytes, options) => readNpz(bytes, options)],
  [
    'zlib',
    async (bytes, options) => {
      const path = join(folder, 'read.npz');
      writeFileSync(path, bytes);
      return loadNpz(path, options);
    },
  ],
];
const inNumPy = sample.filter(({ dtype }) => dtype !== 'bf16');

describe.each(readers)('%s', (_, read) => {
  test.each(fixtures.npz)('reads what numpy.$name wrote', async ({ bytes, tensors }) => {
    const back = await read(fromBase64(bytes));
    expect(Object.keys(back)).toEqual(Object.keys(tensors));
    for (const [name, { shape, values }] of Object.entries(tensors)) {
      expect(back[name]!.shape).toEqual(shape);
      expect([...back[name]!.dataSync()]).toEqual(numbers(values));
      if (dtypeOfCode[name]) expect(back[name]!.dtype).toBe(dtypeOfCode[name]);
    }
  });

  test('round trips give the same tensors, names and order', () =>
    fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), inNumPy, { maxKeys: 4 }),
        fc.boolean(),
        async (samples, compress) => {
          const tensors = Object.fromEntries(Object.entries(samples).map(([name, s]) => [name, make(s)]));
          fc.pre(Object.keys(tensors).every((name) => !name.includes('\0')));
          const bytes = writeNpz(tensors, { compress });
          expect(writeNpz(tensors, { compress })).toEqual(bytes);
          const back = await read(bytes);
          expect(Object.keys(back)).toEqual(Object.keys(tensors));
          for (const [name, x] of Object.entries(tensors)) expect(bitsOf(back[name]!)).toEqual(bitsOf(x));
        },
      ),
      { numRuns: 50 },
    ));

  test('names like __proto__ and é are data', async () => {
    const tensors = JSON.parse('{"__proto__":1,"é":2}') as Record<string, Tensor>;
    for (const name of Object.keys(tensors))
      Object.defineProperty(tensors, name, { value: tensor([1]), enumerable: true });
    expect(Object.keys(await read(writeNpz(tensors)))).toEqual(['__proto__', 'é']);
  });

  test('what compresses well is read, up to the limit', async () => {
    const x = zeros([1_000_000]);
    const bytes = writeNpz({ x }, { compress: true });
    expect(bytes.length).toBeLessThan(10_000);
    expect((await read(bytes))['x']!.size).toBe(1_000_000);
    expect((await read(bytes, { maxBytes: 4_000_128 }))['x']!.size).toBe(1_000_000);
    await expect(read(bytes, { maxBytes: 4_000_127 })).rejects.toThrow(/more than 4000127 bytes/);
  });

  const bytesOf = (compress: boolean): Uint8Array =>
    writeNpz({ a: zeros([3, 40]), b: tensor([1, 2]) }, { compress });
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** Where the n-th entry stands in the directory. */
  const entryAt = (bytes: Uint8Array, n: number): number => {
    let at = view(bytes).getUint32(bytes.length - 6, true);
    for (; n > 0; n--) at += 46 + view(bytes).getUint16(at + 28, true);
    return at;
  };
  const changed = (change: (bytes: Uint8Array, v: DataView) => void, compress = false): Uint8Array => {
    const bytes = bytesOf(compress).slice();
    change(bytes, view(bytes));
    return bytes;
  };
  /** An archive whose one entry, deflated, says it is smaller or larger than it is. */
  const lying = (real: number, claimed: number): Uint8Array => {
    const packed = deflateRawSync(new Uint8Array(real));
    const made = writeNpz({ x: tensor([0]) });
    const [local, central, end] = [made.slice(0, 35), made.slice(entryAt(made, 0), -22), made.slice(-22)];
    for (const [part, at] of [
      [local, 18],
      [central, 20],
    ] as const) {
      view(part).setUint16(at === 18 ? 8 : 10, 8, true);
      view(part).setUint32(at, packed.length, true);
      view(part).setUint32(at + 4, claimed, true);
    }
    view(end).setUint32(16, local.length + packed.length, true);
    return Uint8Array.from([...local, ...packed, ...central, ...end]);
  };

  /** An archive of two entries, the second of which is part of the first one's data. */
  const overlapping = (): Uint8Array => {
    const inner = writeNpz({ b: tensor([1]) });
    const part = inner.slice(0, entryAt(inner, 0));
    const outer = writeNpz({ a: fromData(part, [part.length]) });
    const central = inner.slice(entryAt(inner, 0), -22);
    view(central).setUint32(42, entryAt(outer, 0) - part.length, true);
    const bytes = Uint8Array.from([...outer.slice(0, -22), ...central, ...outer.slice(-22)]);
    const end = bytes.length - 22;
    for (const at of [8, 10]) view(bytes).setUint16(end + at, 2, true);
    view(bytes).setUint32(end + 12, view(bytes).getUint32(end + 12, true) + central.length, true);
    return bytes;
  };

  const cases: [string, Uint8Array, RegExp, NpzOptions?][] = [
    ['empty', new Uint8Array(0), /no directory/],
    ['no archive', new Uint8Array(1000).fill(80), /no directory/],
    ['a comment', Uint8Array.from([...bytesOf(false), 0]), /no directory/],
    ['several parts', changed((b, v) => v.setUint16(b.length - 18, 1, true)), /several parts/],
    ['zip64', changed((b, v) => [14, 12].forEach((at) => v.setUint16(b.length - at, 0xffff, true))), /zip64/],
    ['more entries than the limit', bytesOf(false), /2 entries, more than 1/, { maxEntries: 1 }],
    ['a name longer than the limit', bytesOf(false), /5 bytes, more than 4/, { maxNameBytes: 4 }],
    ['a directory elsewhere', changed((b, v) => v.setUint32(b.length - 6, 3, true)), /not where/],
    [
      'one entry less',
      changed((b, v) => [14, 12].forEach((at) => v.setUint16(b.length - at, 1, true))),
      /bytes too many/,
    ],
    [
      'one entry more',
      changed((b, v) => [14, 12].forEach((at) => v.setUint16(b.length - at, 3, true))),
      /entry 2 is damaged/,
    ],
    [
      'a name beyond the end',
      changed((b, v) => v.setUint16(entryAt(b, 1) + 28, 6000, true)),
      /beyond its end/,
    ],
    ['encrypted', changed((b, v) => v.setUint16(entryAt(b, 0) + 8, 1, true)), /is encrypted/],
    ['unknown flags', changed((b, v) => v.setUint16(entryAt(b, 0) + 8, 32, true)), /flags 0x20/],
    ['another method', changed((b, v) => v.setUint16(entryAt(b, 0) + 10, 12, true)), /by method 12/],
    ['stored, of two sizes', changed((b, v) => v.setUint32(entryAt(b, 0) + 24, 1, true)), /claims to unpack/],
    [
      'another place',
      changed((b, v) => v.setUint32(entryAt(b, 1) + 42, 1, true)),
      /not where the directory says/,
    ],
    [
      'beyond the end',
      changed((b, v) => v.setUint32(entryAt(b, 1) + 42, 2 ** 31, true)),
      /not where the directory says/,
    ],
    ['overlapping entries', overlapping(), /'b\.npy' overlaps the entry before it/],
    ['a checksum that is wrong', changed((b) => (b[200] = 1)), /another checksum/],
    [
      'a checksum that is wrong in two places',
      changed((b, v) => [entryAt(b, 0) + 16, 14].forEach((at) => v.setUint32(at, 1, true))),
      /another checksum/,
    ],
    ['sizes that differ', changed((b, v) => v.setUint32(18, 1, true)), /not what the directory says/],
    ['names that differ', changed((b) => (b[30] = 0x63)), /not what the directory says/],
    ['methods that differ', changed((b) => (b[8] = 8)), /not what the directory says/],
    ['damaged deflate', changed((b) => (b[40] = b[40]! ^ 0xff), true), /cannot be unpacked|another checksum/],
    [
      'a name that is not ASCII',
      changed((b) => [30, entryAt(b, 0) + 46].forEach((at) => (b[at] = 0xe9))),
      /neither ASCII/,
    ],
    [
      'a name that is not UTF-8',
      changed((b) =>
        [
          [30, 7],
          [entryAt(b, 0) + 46, 9],
        ].forEach(([at, f]) => {
          b[at!] = 0xe9;
          b[(at === 30 ? 0 : entryAt(b, 0)) + f!] = 8;
        }),
      ),
      /not UTF-8/,
    ],
    [
      'a zero in a name',
      changed((b) => [30, entryAt(b, 0) + 46].forEach((at) => (b[at] = 0))),
      /holds a zero/,
    ],
    [
      'no .npy',
      changed((b) => [30, entryAt(b, 0) + 46].forEach((at) => (b[at + 4] = 0x7a))),
      /'a\.npz' is no \.npy file/,
    ],
    [
      'a bomb that says so',
      lying(50_000_000, 50_000_000),
      /more than 1000000 bytes/,
      { maxBytes: 1_000_000 },
    ],
    ['a bomb that denies it', lying(50_000_000, 1000), /cannot be unpacked to the 1000 bytes/],
    ['a claim that nothing can fill', lying(100, 2 ** 29), /claims to unpack/],
    ['fewer bytes than it says', lying(1000, 1001), /cannot be unpacked|should have/],
  ];
  for (const [name, bytes, says, options] of cases)
    test(`${name}: refused`, async () => {
      await expect(read(bytes, options)).rejects.toThrow(FormatError);
      await expect(read(bytes, options)).rejects.toThrow(says);
    });

  test('an archive in an archive is not unpacked', async () => {
    const inner = writeNpz({ x: tensor([1]) });
    const bytes = writeNpz({ x: zeros([inner.length], { dtype: 'u8' }) });
    const at = bytes.indexOf(0x0a) + 1;
    bytes.set(inner, at);
    await expect(read(bytes)).rejects.toThrow(/another checksum/);
  });

  test('an array that is damaged is named', async () => {
    const bytes = changed((b) => (b[40] = 9));
    await expect(read(bytes)).rejects.toThrow(/another checksum/);
    await expect(read(writeNpz({ x: tensor([1]) }), { maxHeaderBytes: 10 })).rejects.toThrow(
      /'x\.npy': the header claims/,
    );
  });

  test.each([false, true])('cut at any byte: refused (compressed: %s)', async (compress) => {
    const bytes = bytesOf(compress);
    for (let n = 0; n < bytes.length; n += 3)
      await expect(read(bytes.subarray(0, n)), `${n} bytes`).rejects.toThrow(FormatError);
  });
});

describe('writing', () => {
  test('bf16 is refused, and nothing is left', async () => {
    const x = tensor([1], { dtype: 'bf16' });
    expect(() => writeNpz({ x })).toThrow(DTypeError);
    const path = join(folder, 'half.npz');
    await expect(saveNpz(path, { x })).rejects.toThrow(DTypeError);
    await expect(saveNpy(path, x)).rejects.toThrow(DTypeError);
    expect(readdirSync(folder)).not.toContain('half.npz');
  });

  test('names that an archive does not take are refused', () => {
    for (const name of ['\0', '\ud800', 'x'.repeat(70_000)])
      expect(() => writeNpz({ [name]: tensor([1]) })).toThrow(FormatError);
  });

  test('stored by default; deflated on demand', () => {
    const x = zeros([1000]);
    expect(writeNpz({ x }).length).toBeGreaterThan(4000);
    expect(writeNpz({ x }, { compress: true }).length).toBeLessThan(400);
  });
});

describe('on disk', () => {
  test('arrays and archives, saved and loaded', async () => {
    const x = tensor([[1, 2.5]]);
    const [npy, npz] = [join(folder, 'a.npy'), join(folder, 'a.npz')];
    await saveNpy(npy, x);
    expect(bitsOf(await loadNpy(npy))).toEqual(bitsOf(x));
    expect(new Uint8Array(readFileSync(npy))).toEqual(writeNpy(x));
    for (const compress of [false, true]) {
      await saveNpz(npz, { x, y: x.cast('f16') }, { compress });
      const back = await loadNpz(npz, { widen: true });
      expect([back['x']!.toArraySync(), back['y']!.dtype]).toEqual([[[1, 2.5]], 'f32']);
    }
  });

  test('what is missing or damaged is named', async () => {
    const path = join(folder, 'damaged');
    writeFileSync(path, 'neither');
    for (const load of [loadNpy, loadNpz]) {
      await expect(load(join(folder, 'none'))).rejects.toThrow(/there is no file .*none/);
      await expect(load(folder)).rejects.toThrow(/cannot be read \(EISDIR\)/);
      await expect(load(path)).rejects.toThrow(FormatError);
      await expect(load(path)).rejects.toThrow(/damaged: read/);
    }
  });
});
