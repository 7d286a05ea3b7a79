/** Safetensors files tensor by tensor: opened, copied, written whole or not at all. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  memoryStats,
  scope,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import {
  loadSafetensors,
  openSafetensors,
  saveSafetensors,
  writeFileAtomic,
  type LazyTensor,
} from '@infinigrad/tensor/node';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { bitsOf, make, safetensorsFile, sample } from './tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-streaming-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());
const fresh = (): string => join(mkdtempSync(join(folder, 'x-')), 'file.safetensors');

describe('opened', () => {
  test('a file tells what is in it and hands out the same tensors', () =>
    fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), sample, { maxKeys: 4 }), async (samples) => {
        fc.pre(!Object.hasOwn(samples, '__metadata__'));
        const tensors = Object.fromEntries(Object.entries(samples).map(([name, s]) => [name, make(s)]));
        const path = fresh();
        await saveSafetensors(path, tensors, { k: 'v' });
        expect(new Uint8Array(readFileSync(path))).toEqual(encodeSafetensors(tensors, { k: 'v' }));
        const file = await openSafetensors(path);
        expect([...file.names].sort()).toEqual(Object.keys(tensors).sort());
        expect(file.metadata).toEqual({ k: 'v' });
        for (const [name, x] of Object.entries(tensors)) {
          const { dtype, shape, bytes } = file.info(name);
          expect([dtype, shape, bytes]).toEqual([
            x.dtype,
            x.shape,
            bitsOf(x).at(-1) && (bitsOf(x)[2] as []).length,
          ]);
          expect(bitsOf(await file.read(name))).toEqual(bitsOf(x));
        }
        const seen: string[] = [];
        for await (const [name, x] of file) {
          seen.push(name);
          expect(bitsOf(x)).toEqual(bitsOf(tensors[name]!));
        }
        expect(seen).toEqual(file.names);
        await file.close();
      }),
      { numRuns: 50 },
    ));

  test('options of opening hold unless reading has its own', async () => {
    const path = fresh();
    const header = {
      a: { dtype: 'I64', shape: [1], data_offsets: [0, 8] },
      b: { dtype: 'F16', shape: [1], data_offsets: [8, 10] },
    };
    writeFileSync(path, safetensorsFile(header, 10));
    const file = await openSafetensors(path, { narrow: true });
    expect(file.info('a')).toEqual({ name: 'a', stored: 'I64', dtype: null, shape: [1], bytes: 8 });
    expect((await file.read('a')).dtype).toBe('i32');
    expect((await file.read('b')).dtype).toBe('f16');
    expect((await file.read('b', { widen: true })).dtype).toBe('f32');
    await expect(file.read('a', {})).rejects.toThrow(/dtype I64, which no tensor here has.*narrow: true/);
    expect(() => file.lazy('a', {})).toThrow(FormatError);
    await file.close();
  });

  test('conversions run in pieces, and all of them', async () => {
    const path = fresh();
    const count = 300_001;
    const bytes = safetensorsFile(
      { a: { dtype: 'I64', shape: [count], data_offsets: [0, 8 * count] } },
      8 * count,
    );
    const view = new DataView(bytes.buffer, bytes.length - 8 * count);
    for (let i = 0; i < count; i++) view.setBigInt64(8 * i, BigInt(i - 1000), true);
    writeFileSync(path, bytes);
    const { tensors } = await loadSafetensors(path, { narrow: true });
    expect(tensors['a']!.dataSync()).toEqual(Int32Array.from({ length: count }, (_, i) => i - 1000));
    expect(decodeSafetensors(bytes, { narrow: true }).tensors['a']!.dataSync()).toEqual(
      tensors['a']!.dataSync(),
    );
    view.setBigInt64(8 * (count - 1), 2n ** 31n, true);
    writeFileSync(path, bytes);
    await expect(loadSafetensors(path, { narrow: true })).rejects.toThrow(
      /'a': 2147483648 does not fit into i32/,
    );
  });

  test('what is not there is said', async () => {
    const path = fresh();
    await expect(openSafetensors(path)).rejects.toThrow(/there is no file .*file\.safetensors/);
    await expect(openSafetensors(folder)).rejects.toThrow(/cannot be read \(EISDIR\)/);
    await saveSafetensors(path, { x: tensor([1]) });
    const file = await openSafetensors(path);
    expect([file.has('x'), file.has('y'), file.has('toString')]).toEqual([true, false, false]);
    expect(() => file.info('y')).toThrow(ValueError);
    expect(() => file.read('y')).toThrow(/holds no tensor 'y'/);
    await file.close();
    expect(() => file.read('x')).toThrow(/has been closed/);
  });

  test('a header that claims more than the file is refused before it is read', async () => {
    const path = fresh();
    writeFileSync(path, Uint8Array.of(0xff, 0xe0, 0xf5, 5, 0, 0, 0, 0, 0x7b));
    await expect(openSafetensors(path)).rejects.toThrow(/header needs 100000007 bytes, the file has 9/);
    writeFileSync(path, Uint8Array.of(1));
    await expect(openSafetensors(path)).rejects.toThrow(/ends after 1 bytes/);
  });

  test('a file that is cut meanwhile', async () => {
    const path = fresh();
    await saveSafetensors(path, { x: zeros([1000]) });
    const file = await openSafetensors(path);
    truncateSync(path, 1000);
    await expect(file.read('x')).rejects.toThrow(/file\.safetensors: .*ends after 1000 bytes/);
    await file.close();
  });

  test('every file handle is let go', async () => {
    const held = (): number => readdirSync('/proc/self/fd').length;
    const path = fresh();
    writeFileSync(path, 'no such format, and longer than eight bytes');
    const before = held();
    for (let i = 0; i < 20; i++) {
      await openSafetensors(path).catch(() => {});
      await loadSafetensors(path).catch(() => {});
      await openSafetensors(folder).catch(() => {});
    }
    expect(held()).toBeLessThan(before + 5);
  });
});

describe('written', () => {
  test('what is lazy is made when its turn comes, and must be what it was announced as', async () => {
    const from = fresh();
    const to = fresh();
    await saveSafetensors(from, { a: tensor([1, 2]), b: tensor([true]) });
    const file = await openSafetensors(from);
    await saveSafetensors(to, {
      ...Object.fromEntries(file.names.map((name) => [name, file.lazy(name)])),
      c: tensor([3]),
    });
    await file.close();
    expect(
      Object.entries((await loadSafetensors(to)).tensors).map(([name, x]) => [name, x.toArraySync()]),
    ).toEqual([
      ['a', [1, 2]],
      ['b', [true]],
      ['c', [3]],
    ]);
    const wrong: LazyTensor = { dtype: 'f32', shape: [3], read: () => tensor([1, 2]) };
    await expect(saveSafetensors(to, { wrong })).rejects.toThrow(
      /'wrong' was announced as another tensor: \[3\] f32, \[2\] f32/,
    );
    expect(Object.keys((await loadSafetensors(to)).tensors)).toEqual(['a', 'b', 'c']);
  });

  test('values are those at the time of the call', async () => {
    const path = fresh();
    const x = zeros([3]).add(1);
    const saving = saveSafetensors(path, { x });
    x.storage = zeros([3]).add(2).storage;
    await saving;
    expect((await loadSafetensors(path)).tensors['x']!.toArraySync()).toEqual([1, 1, 1]);
  });

  test('a name that the format does not take leaves the old file', async () => {
    const path = fresh();
    await saveSafetensors(path, { x: tensor([1]) });
    await expect(saveSafetensors(path, { __metadata__: tensor([1]) })).rejects.toThrow(FormatError);
    expect(Object.keys((await loadSafetensors(path)).tensors)).toEqual(['x']);
    expect(readdirSync(join(path, '..'))).toHaveLength(1);
  });

  test('a disk that takes little at a time gets all; one that is full leaves the old file and nothing else', async () => {
    const path = fresh();
    const probe = await open(join(folder, 'probe'), 'w');
    await probe.close();
    const handle = Object.getPrototypeOf(probe) as {
      write(...args: unknown[]): Promise<{ bytesWritten: number }>;
    };
    const { write } = handle;
    let room = Infinity;
    vi.spyOn(handle, 'write').mockImplementation(function (this: unknown, bytes, at, length) {
      const few = Math.min(length as number, 1000, room);
      if (few === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      room -= few;
      return Reflect.apply(write, this, [bytes, at, few]);
    });
    const x = tensor([...Array(5000).keys()]);
    await saveSafetensors(path, { x });
    expect((await loadSafetensors(path)).tensors['x']!.dataSync()).toEqual(x.dataSync());
    for (room of [0, 8, 100, 5000, 20_000]) {
      await expect(saveSafetensors(path, { x: x.add(1) })).rejects.toThrow('ENOSPC');
      expect((await loadSafetensors(path)).tensors['x']!.dataSync()).toEqual(x.dataSync());
      expect(readdirSync(join(path, '..'))).toEqual(['file.safetensors']);
    }
  });

  test('a failed flush leaves the old file', async () => {
    const path = fresh();
    await writeFileAtomic(path, 'old');
    const probe = await open(path, 'r');
    await probe.close();
    vi.spyOn(Object.getPrototypeOf(probe) as { sync(): Promise<void> }, 'sync').mockRejectedValue(
      new Error('EIO'),
    );
    await expect(saveSafetensors(path, { x: tensor([1]) })).rejects.toThrow('EIO');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(join(path, '..'))).toEqual(['file.safetensors']);
  });
});

/** A project of its own, in which the packages are the workspace's sources. */
const root = resolve(import.meta.dirname, '../../../..');
const project = mkdtempSync(join(folder, 'project-'));
symlinkSync(join(root, 'examples/node_modules'), join(project, 'node_modules'));
writeFileSync(join(project, 'package.json'), '{ "type": "module" }');

/** What Node is to be given to run a program. */
function program(name: string, code: string): string[] {
  const path = join(project, `${name}.ts`);
  writeFileSync(path, code);
  return [
    '--expose-gc',
    '--conditions=@infinigrad/source',
    '--import',
    join(root, 'node_modules/tsx/dist/esm/index.mjs'),
    path,
  ];
}

describe('in a process of its own', () => {
  test('a killed writer leaves the old file, whole', async () => {
    const path = fresh();
    await saveSafetensors(path, { x: tensor([1, 2, 3]) });
    const old = readFileSync(path);
    const args = program(
      'killed',
      `
      import { zeros } from '@infinigrad/tensor';
      import { saveSafetensors } from '@infinigrad/tensor/node';
      const part = { dtype: 'f32', shape: [250_000], read: () => { console.log('part'); return zeros([250_000]); } } as const;
      await saveSafetensors(process.argv[2]!, Object.fromEntries([...Array(5000).keys()].map((i) => ['p' + i, part])));
    `,
    );
    const child = spawn(process.execPath, [...args, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve) => {
      let parts = 0;
      child.stdout.on('data', (text: Buffer) => {
        parts += text.toString().split('part').length - 1;
        if (parts >= 10) child.kill('SIGKILL');
      });
      child.on('exit', () => resolve());
    });
    expect(child.signalCode).toBe('SIGKILL');
    expect(readFileSync(path)).toEqual(old);
    const left = readdirSync(join(path, '..')).find((name) => name.endsWith('.tmp'));
    expect(statSync(join(path, '..', left!)).size).toBeGreaterThan(1_000_000);
  });

  test.skipIf(process.platform === 'win32')(
    'a file larger than the system lets it be leaves the old one',
    () => {
      const path = fresh();
      writeFileSync(path, 'old');
      const args = program(
        'limited',
        `
      import { zeros } from '@infinigrad/tensor';
      import { saveSafetensors } from '@infinigrad/tensor/node';
      await saveSafetensors(process.argv[2]!, { x: zeros([100_000]) }).then(() => console.log('saved'), (error) => console.log(error.code));
    `,
      );
      const command = ['trap "" XFSZ; ulimit -f 64; exec "$@"', 'sh', process.execPath, ...args, path];
      const environment = { ...process.env, TSX_DISABLE_CACHE: '1' };
      const said = execFileSync('sh', ['-c', ...command], { encoding: 'utf8', env: environment });
      expect(said.trim()).toBe('EFBIG');
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(join(path, '..'))).toEqual(['file.safetensors']);
    },
  );

  test('files far larger than what is held are written and read', async () => {
    const path = fresh();
    const args = program(
      'streamed',
      `
      import { memoryStats, scope, zeros } from '@infinigrad/tensor';
      import { openSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
      const gc = (globalThis as unknown as { gc(): void }).gc;
      const [count, size] = [64, 2_000_000];
      await saveSafetensors(process.argv[2]!, Object.fromEntries([...Array(count).keys()].map((i) =>
        ['p' + i, { dtype: 'f32', shape: [size], read: () => (gc(), zeros([size]).add(i)) }])));
      const file = await openSafetensors(process.argv[2]!);
      let sum = 0;
      for await (const [, x] of file) {
        gc();
        sum += scope(() => x.mean()).itemSync();
      }
      await file.close();
      console.log(JSON.stringify({ sum, most: process.resourceUsage().maxRSS * 1024 }));
    `,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [...args, path]);
    const { sum, most } = JSON.parse(stdout) as { sum: number; most: number };
    console.log(
      `a file of ${(statSync(path).size / 1e6).toFixed(0)} MB: ${(most / 1e6).toFixed(0)} MB resident at most`,
    );
    expect(sum).toBe((64 * 63) / 2);
    expect(most).toBeLessThan(0.6 * statSync(path).size);
  });
});

test('nothing is kept of what has been read', async () => {
  const path = fresh();
  await saveSafetensors(path, { a: zeros([1000]), b: zeros([1000]) });
  const file = await openSafetensors(path);
  const before = memoryStats().tiers.scoped;
  for await (const [, x] of file) scope(() => x.add(1));
  expect(memoryStats().tiers.scoped).toBe(before);
  await file.close();
});
