/** Checkpoints in several files: round trips, replaced whole or not at all, hostile indexes. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FormatError, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import {
  loadSafetensors,
  loadSafetensorsSharded,
  openSafetensorsSharded,
  saveSafetensors,
  saveSafetensorsSharded,
} from '@infinigrad/tensor/node';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { bitsOf, make, sample } from './tools.ts';

/** Throws instead of the n-th change of the folder from now. */
let changesLeft = Infinity;
const change = (): void => {
  if (changesLeft-- <= 0) throw Object.assign(new Error('EIO'), { code: 'EIO' });
};
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const counted =
    <A extends unknown[], R>(f: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      change();
      return f(...args);
    };
  return {
    ...real,
    rename: counted(real.rename),
    link: counted(real.link),
    copyFile: counted(real.copyFile),
    // What a process that has ended would not do either
    rm: (path: string, options: object) =>
      changesLeft < 0 ? Promise.resolve() : counted(real.rm)(path, options),
  };
});

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-sharded-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fresh = (): string => mkdtempSync(join(folder, 'x-'));
const indexOf = (path: string): string => join(path, 'model.safetensors.index.json');
const readIndex = (path: string): { metadata: Record<string, unknown>; weight_map: Record<string, string> } =>
  JSON.parse(readFileSync(indexOf(path), 'utf8')) as never;
const one = { a: tensor([1, 2]), b: tensor([3]), c: tensor([4, 5, 6]) };

describe('round trips', () => {
  test('give the same tensors, in files within the limit, as the index says', () =>
    fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), sample, { maxKeys: 6 }),
        fc.integer({ min: 1, max: 200 }),
        async (samples, maxShardBytes) => {
          fc.pre(!Object.hasOwn(samples, '__metadata__'));
          const tensors = Object.fromEntries(Object.entries(samples).map(([name, s]) => [name, make(s)]));
          const path = fresh();
          const files = await saveSafetensorsSharded(path, tensors, {
            maxShardBytes,
            metadata: { format: 'pt' },
          });
          expect(readdirSync(path).sort()).toEqual([...files].sort());
          const back = await loadSafetensorsSharded(path);
          expect(Object.keys(back.tensors).sort()).toEqual(Object.keys(tensors).sort());
          for (const [name, x] of Object.entries(tensors))
            expect(bitsOf(back.tensors[name]!)).toEqual(bitsOf(x));
          expect(back.metadata).toEqual({ format: 'pt' });
          const bytes = (x: Tensor): number => (bitsOf(x)[2] as unknown[]).length;
          const { metadata, weight_map: map } = readIndex(path);
          expect(metadata).toEqual({
            format: 'pt',
            total_size: Object.values(tensors).reduce((sum, x) => sum + bytes(x), 0),
          });
          for (const file of files.slice(0, -1)) {
            const held = (await loadSafetensors(join(path, file))).tensors;
            const size = Object.values(held).reduce((sum, x) => sum + bytes(x), 0);
            expect(size <= maxShardBytes || Object.keys(held).length === 1).toBe(true);
            expect(Object.keys(held).every((name) => map[name] === file)).toBe(true);
          }
        },
      ),
      {
        numRuns: 50,
      },
    ));

  test("names are Hugging Face's", async () => {
    const path = fresh();
    expect(await saveSafetensorsSharded(path, one, { maxShardBytes: 12 })).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(readIndex(path)).toEqual({
      metadata: { total_size: 24 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00001-of-00002.safetensors',
        c: 'model-00002-of-00002.safetensors',
      },
    });
    await saveSafetensorsSharded(path, one, { name: 'optimizer.1' });
    expect(Object.keys((await loadSafetensorsSharded(path, { name: 'optimizer.1' })).tensors)).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  test('tensors are handed out one by one, and can be put into other files', async () => {
    const [path, other] = [fresh(), fresh()];
    await saveSafetensorsSharded(path, one, { maxShardBytes: 8 });
    const file = await openSafetensorsSharded(path);
    expect(file.names).toEqual(['a', 'b', 'c']);
    expect(file.info('c')).toEqual({ name: 'c', stored: 'F32', dtype: 'f32', shape: [3], bytes: 12 });
    expect((await file.read('b')).toArraySync()).toEqual([3]);
    expect([file.has('a'), file.has('z')]).toEqual([true, false]);
    expect(() => file.read('z')).toThrow(/holds no tensor 'z'/);
    const lazy = Object.fromEntries(file.names.map((name) => [name, file.lazy(name)]));
    await saveSafetensorsSharded(other, lazy, { maxShardBytes: 12 });
    await file.close();
    expect(readdirSync(other)).toHaveLength(3);
    expect((await loadSafetensorsSharded(other)).tensors['c']!.toArraySync()).toEqual([4, 5, 6]);
  });

  test('files that are links are followed, as in a cache of downloads', async () => {
    const [path, other] = [fresh(), fresh()];
    const files = await saveSafetensorsSharded(path, one);
    for (const file of files) symlinkSync(join(path, file), join(other, file));
    expect(Object.keys((await loadSafetensorsSharded(other)).tensors)).toEqual(['a', 'b', 'c']);
  });
});

describe('replaced', () => {
  const two = { a: tensor([7, 8]), b: tensor([9]), c: tensor([10, 11, 12]) };
  const state = async (path: string): Promise<string> => {
    const { tensors } = await loadSafetensorsSharded(path);
    return JSON.stringify(Object.values(tensors).map((x) => x.toArraySync()));
  };
  const [before, after] = ['[[1,2],[3],[4,5,6]]', '[[7,8],[9],[10,11,12]]'];

  test('files of the old checkpoint alone go, others stay', async () => {
    const path = fresh();
    await saveSafetensorsSharded(path, one, { maxShardBytes: 1 });
    writeFileSync(join(path, 'config.json'), '{}');
    writeFileSync(join(path, 'model-00009-of-00009.safetensors'), 'not of that checkpoint');
    const files = await saveSafetensorsSharded(path, two, { maxShardBytes: 12 });
    expect(readdirSync(path).sort()).toEqual(
      [...files, 'config.json', 'model-00009-of-00009.safetensors'].sort(),
    );
    expect(await state(path)).toBe(after);
  });

  // Two shards over two, one over two, two over one, three over two
  test.each([
    [12, 12],
    [12, 100],
    [100, 12],
    [12, 1],
  ])(
    'where the process ends at any moment, the old or the new one is there (%i over %i)',
    async (first, second) => {
      const seen = new Set<string>();
      let n = 0;
      for (let ended = true; ended; n++) {
        const path = fresh();
        await saveSafetensorsSharded(path, one, { maxShardBytes: first });
        changesLeft = n;
        ended = await saveSafetensorsSharded(path, two, { maxShardBytes: second }).then(
          () => changesLeft < 0,
          () => true,
        );
        changesLeft = Infinity;
        const found = await state(path);
        seen.add(found);
        expect([before, after]).toContain(found);
        // The next attempt cleans up what belongs to no checkpoint
        await saveSafetensorsSharded(path, two, { maxShardBytes: second });
        expect(await state(path)).toBe(after);
        expect(readdirSync(path).filter((name) => name.includes('-old-'))).toEqual([]);
      }
      expect([...seen]).toEqual([before, after]);
      expect(n).toBeGreaterThan(4);
    },
  );

  test('a tensor that cannot be read leaves the old one and nothing else', async () => {
    const path = fresh();
    const files = await saveSafetensorsSharded(path, one, { maxShardBytes: 12 });
    const broken = { dtype: 'f32', shape: [2], read: () => Promise.reject(new Error('gone')) } as const;
    await expect(
      saveSafetensorsSharded(path, { a: tensor([1]), broken }, { maxShardBytes: 4 }),
    ).rejects.toThrow('gone');
    expect(readdirSync(path).sort()).toEqual([...files].sort());
    expect(await state(path)).toBe(before);
  });

  test('a damaged index is replaced', async () => {
    const path = fresh();
    await saveSafetensorsSharded(path, one);
    writeFileSync(indexOf(path), '{');
    await saveSafetensorsSharded(path, two);
    expect(await state(path)).toBe(after);
  });
});

describe('arguments that make no sense', () => {
  test.each([
    [{ maxShardBytes: 0 }, /maxShardBytes must be > 0/],
    [{ maxShardBytes: Number.NaN }, /maxShardBytes must be > 0/],
    [{ name: '../model' }, /'\.\.\/model' is no name/],
    [{ name: '..' }, /no name/],
    [{ name: '' }, /no name/],
    [{ metadata: { total_size: '1' } }, /total_size/],
  ])('%o', async (options, says) => {
    const path = fresh();
    await expect(saveSafetensorsSharded(path, one, options)).rejects.toThrow(ValueError);
    await expect(saveSafetensorsSharded(path, one, options)).rejects.toThrow(says);
    expect(readdirSync(path)).toEqual([]);
  });

  test('names that the format does not take', async () => {
    const path = fresh();
    await expect(saveSafetensorsSharded(path, { __metadata__: zeros([1]) })).rejects.toThrow(FormatError);
    expect(readdirSync(path)).toEqual([]);
  });
});

describe('hostile checkpoints', () => {
  const map = (file: unknown): string => JSON.stringify({ weight_map: { a: file } });
  const shard = 'model-00001-of-00001.safetensors';
  const cases: [string, string, RegExp][] = [
    ['no JSON', '{', /not JSON/],
    ['a list', '[]', /not a JSON object/],
    ['no map', '{"metadata":{}}', /no weight_map/],
    ['a map that is a list', '{"weight_map":[]}', /no weight_map/],
    ['metadata that is text', '{"metadata":"x","weight_map":{}}', /metadata is not an object/],
    ['a tensor twice', `{"weight_map":{"a":"${shard}","a":"${shard}"}}`, /has 'a' twice/],
    ['a file that is a number', map(3), /puts tensor 'a' into 3/],
    ['a file that is an object', map({ toString: 1 }), /puts tensor 'a' into {/],
    ['the folder above', map('../secret.safetensors'), /plain name/],
    ['a folder below', map('below/x.safetensors'), /plain name/],
    ['the folder above, by backslash', map('..\\secret.safetensors'), /plain name/],
    ['an absolute path', map('/etc/x.safetensors'), /plain name/],
    ['a drive', map('C:x.safetensors'), /plain name/],
    ['a device', map('NUL.safetensors'), /plain name/],
    ['a zero', map('x\0.safetensors'), /plain name/],
    ['another ending', map('/etc/passwd'), /plain name/],
    ['dots alone', map('..'), /plain name/],
    [
      'half of a surrogate pair',
      String.raw`{"weight_map":{"a":"\ud800.safetensors"}}`,
      /half of a surrogate pair/,
    ],
    ['a missing file', map('model-00002-of-00002.safetensors'), /there is no file .*00002-of-00002/],
    [
      'a tensor that its file lacks',
      `{"weight_map":{"a":"${shard}","z":"${shard}"}}`,
      /holds no tensor 'z', which the index says/,
    ],
    ['an inherited name', `{"weight_map":{"toString":"${shard}"}}`, /holds no tensor 'toString'/],
  ];
  for (const [name, text, says] of cases)
    test(`${name}: refused`, async () => {
      const path = fresh();
      await saveSafetensorsSharded(path, one);
      writeFileSync(join(path, '..', 'secret.safetensors'), readFileSync(join(path, shard)));
      writeFileSync(indexOf(path), text);
      await expect(loadSafetensorsSharded(path)).rejects.toThrow(FormatError);
      await expect(loadSafetensorsSharded(path)).rejects.toThrow(says);
    });

  test('a tensor in another file than the index says: refused', async () => {
    const path = fresh();
    await saveSafetensorsSharded(path, one, { maxShardBytes: 8 });
    const index = readIndex(path);
    index.weight_map['a'] = index.weight_map['b']!;
    writeFileSync(indexOf(path), JSON.stringify(index));
    await expect(loadSafetensorsSharded(path)).rejects.toThrow(/00002-of-00003.* holds no tensor 'a'/);
  });

  test('a shard that is missing, cut or grown: refused, by its name', async () => {
    const path = fresh();
    await saveSafetensorsSharded(path, one, { maxShardBytes: 8 });
    const second = join(path, 'model-00002-of-00003.safetensors');
    const kept = join(path, 'kept');
    copyFileSync(second, kept);
    appendFileSync(second, 'x');
    await expect(loadSafetensorsSharded(path)).rejects.toThrow(/00002-of-00003.*too many/);
    writeFileSync(second, readFileSync(kept).subarray(0, -1));
    await expect(loadSafetensorsSharded(path)).rejects.toThrow(/00002-of-00003.*truncated/);
    unlinkSync(second);
    await expect(loadSafetensorsSharded(path)).rejects.toThrow(/there is no file .*00002-of-00003/);
    await expect(loadSafetensorsSharded(join(path, 'none'))).rejects.toThrow(
      /there is no file .*index\.json/,
    );
    expect(existsSync(second)).toBe(false);
  });

  test('limits', async () => {
    const path = fresh();
    await saveSafetensorsSharded(path, one, { maxShardBytes: 8 });
    await expect(loadSafetensorsSharded(path, { maxShards: 2 })).rejects.toThrow(/more than 2 files/);
    await expect(loadSafetensorsSharded(path, { maxIndexBytes: 10 })).rejects.toThrow(/bytes, more than 10/);
    expect(Object.keys((await loadSafetensorsSharded(path, { maxShards: 3 })).tensors)).toHaveLength(3);
  });

  test("tensors that the index does not list are not part of it; a total_size of another's is not held against it", async () => {
    const path = fresh();
    await saveSafetensors(join(path, shard), one);
    writeFileSync(indexOf(path), JSON.stringify({ metadata: { total_size: 1.5 }, weight_map: { b: shard } }));
    const { tensors } = await loadSafetensorsSharded(path);
    expect(Object.keys(tensors)).toEqual(['b']);
  });
});
