/** Makes file i of a run, has a reader read it, and judges what comes of it. */
import './memory.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import type { Tensor } from '@infinigrad/tensor';
import { blind } from './blind.ts';
import { npyFile, npzEntries, npzFile, safetensorsFile } from './corpus.ts';
import { Wrong } from './json.ts';
import { measured } from './memory.ts';
import * as mutations from './mutations.ts';
import { Choices } from './random.ts';
import * as validators from './validators.ts';
import type { Array_ } from './values.ts';
import { crc32, zip } from './zip.ts';

// After the counting of memory has begun
const { decodeSafetensors, InfinigradError, readNpy, setBackend } = await import('@infinigrad/tensor');
const { readNpz } = await import('@infinigrad/tensor/npz');
const { loadNpz, loadSafetensorsSharded, openSafetensors } = await import('@infinigrad/tensor/node');

export type Verdict =
  | 'accepted'
  | 'refused'
  | 'crashed'
  | 'hung'
  | 'over'
  | 'wronglyAccepted'
  | 'wronglyRefused';

export interface Judged {
  readonly file: number;
  readonly reader: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly bytes: Uint8Array;
}

interface Options extends validators.Options {
  readonly maxBytes: number;
}

/** A reader, what it may ask for, and what is right. */
interface Reader {
  make(choices: Choices): Uint8Array;
  mutate(bytes: Uint8Array, choices: Choices): Uint8Array;
  read(bytes: Uint8Array, options: Options): Promise<Record<string, Tensor>> | Record<string, Tensor>;
  expected(bytes: Uint8Array, options: Options): Array_[];
  /** Bytes that may be asked for, all in all, while a file of so many is read. */
  allowance(bytes: number): number;
}

const maxBytes = 2 ** 20;
/** A bomb: forty million zeros. */
const zeros = deflateRawSync(new Uint8Array(40_000_000));

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'file');

const inMemory = (bytes: number): number => 16 * bytes + 65_536;
/** Besides what is kept: a piece of 4 KiB unpacks to 4 MiB at most, in buffers that double. */
const unpacking = (bytes: number): number => 16 * (bytes + maxBytes) + 2 ** 24;

function mutateNpz(bytes: Uint8Array, choices: Choices): Uint8Array {
  if (choices.chance(0.35)) return blind(bytes, npzFile(choices), choices);
  const entries = npzEntries(choices, (npy) =>
    choices.chance(0.5) ? npy : choices.chance(0.5) ? mutations.npy(npy, choices) : blind(npy, npy, choices),
  );
  if (entries.length === 0 || choices.chance(0.3)) return zip(entries);
  const i = choices.below(entries.length);
  const entry = entries[i]!;
  const { length } = entry.content;
  const claims = choices.pick([
    { size: length + 1 },
    { size: Math.max(0, length - 1) },
    { size: 2 ** 31 },
    { size: 2 ** 32 - 1 },
    { packed: 0 },
    { packed: length + 1 },
    { crc: 1 },
  ]);
  const lies = choices.pick([
    { claims },
    { localClaims: claims },
    { flags: choices.pick([1, 2, 4, 8, 16, 64, 0x800, 0x808]) },
    { method: choices.pick([0, 8, 9, 12, 99]) },
    {
      name: choices.pick([
        'a',
        '.npy',
        '../a.npy',
        'a\0.npy',
        '\u{1F600}.npy',
        'a.npy/',
        'a.NPY',
        `${'x'.repeat(5000)}.npy`,
        'a.npy',
      ]),
    },
    {
      packed: zeros,
      deflated: true,
      claims: { size: choices.pick([1000, maxBytes, 40_000_000]), crc: crc32(entry.content) },
    },
    { localClaims: { crc: 0, packed: 0, size: 0 }, flags: 8 },
  ]);
  entries[i] = { ...entry, ...lies };
  if (choices.chance(0.2)) entries.push(choices.pick(entries));
  const out = zip(entries);
  return choices.chance(0.2) ? blind(out, bytes, choices) : out;
}

const npz: Omit<Reader, 'read' | 'allowance'> = {
  make: npzFile,
  mutate: mutateNpz,
  expected: validators.npz,
};

const safetensors: Omit<Reader, 'read'> = {
  make: (choices) => safetensorsFile(choices),
  mutate: (bytes, choices) =>
    choices.chance(0.6)
      ? mutations.safetensors(bytes, choices)
      : blind(bytes, safetensorsFile(choices), choices),
  expected: validators.safetensors,
  allowance: inMemory,
};

/** The two files of a checkpoint, the same for all its indexes. */
const shards = [0, 1].map((i) => safetensorsFile(new Choices(7, i), [`a${i}`, 'both', `c${i}`]));
const shardName = (i: number): string => `model-0000${i + 1}-of-00002.safetensors`;
shards.forEach((bytes, i) => writeFileSync(join(folder, shardName(i)), bytes));

const readers: Readonly<Record<string, Reader>> = {
  safetensors: { ...safetensors, read: (bytes, options) => decodeSafetensors(bytes, options).tensors },
  npy: {
    make: npyFile,
    mutate: (bytes, choices) =>
      choices.chance(0.6) ? mutations.npy(bytes, choices) : blind(bytes, npyFile(choices), choices),
    read: (bytes, options) => ({ '': readNpy(bytes, options) }),
    expected: (bytes, options) => [validators.npy(bytes, options)],
    allowance: inMemory,
  },
  npz: { ...npz, read: (bytes, options) => readNpz(bytes, options), allowance: unpacking },
  'safetensors, opened': {
    ...safetensors,
    async read(bytes, options) {
      writeFileSync(path, bytes);
      const file = await openSafetensors(path, options);
      try {
        const out: [string, Tensor][] = [];
        for (const name of file.names) out.push([name, await file.read(name)]);
        return recordOf(out);
      } finally {
        await file.close();
      }
    },
  },
  'npz, from disk': {
    ...npz,
    read(bytes, options) {
      writeFileSync(path, bytes);
      return loadNpz(path, options);
    },
    allowance: unpacking,
  },
  'index of shards': {
    make: (choices) =>
      Buffer.from(
        JSON.stringify(
          {
            metadata: { total_size: 100 },
            weight_map: Object.fromEntries(
              ['a0', 'c0', 'a1', 'both']
                .slice(choices.below(3))
                .map((name) => [name, shardName(name === 'both' ? choices.below(2) : Number(name[1]))]),
            ),
          },
          null,
          2,
        ),
      ),
    mutate: (bytes, choices) =>
      choices.chance(0.7) ? mutations.shardIndex(bytes, choices) : blind(bytes, bytes, choices),
    async read(bytes) {
      writeFileSync(join(folder, 'model.safetensors.index.json'), bytes);
      return (await loadSafetensorsSharded(folder, { narrow: true })).tensors;
    },
    expected(bytes) {
      const held = shards.map((shard) => validators.safetensors(shard, { narrow: true, widen: false }));
      return [...validators.shardIndex(bytes)].map(([name, file]) => {
        const found = held[[0, 1].findIndex((i) => shardName(i) === file)]?.find((x) => x.name === name);
        if (!found) throw new Wrong('not there');
        return found;
      });
    },
    allowance: (bytes) => inMemory(bytes + shards.reduce((sum, { length }) => sum + length, 0)),
  },
};

/** Readers in the order of their turns: those from disk are slower. */
const turns = [
  'safetensors',
  'npy',
  'npz',
  'safetensors',
  'npy',
  'npz',
  'safetensors, opened',
  'safetensors',
  'npy',
  'npz, from disk',
  'safetensors',
  'npz',
  'npy',
  'index of shards',
];

function recordOf<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const out = Object.create(null) as Record<string, T>;
  for (const [name, value] of entries) out[name] = value;
  return out;
}

/** More of the processor's time than this is as good as hanging; what else runs on the machine does not count. */
const mostMilliseconds = 3000;

export async function judge(seed: number, file: number): Promise<Judged> {
  setBackend('js');
  const reader = turns[file % turns.length]!;
  const { make, mutate, read, expected, allowance } = readers[reader]!;
  const choices = new Choices(seed, file);
  let bytes = make(choices);
  // One in twenty is left as it is: what is right must be accepted
  if (!choices.chance(0.05))
    for (let n = choices.pick([1, 1, 1, 2, 3]); n > 0; n--) bytes = new Uint8Array(mutate(bytes, choices));
  const options = { narrow: choices.chance(0.7), widen: choices.chance(0.3), maxBytes };
  const done = (verdict: Verdict, detail = ''): Judged => ({ file, reader, verdict, detail, bytes });

  const began = process.cpuUsage();
  const { result, bytes: asked } = await measured(() => read(bytes, options));
  const { user, system } = process.cpuUsage(began);
  const took = (user + system) / 1000;
  if ('error' in result && !(result.error instanceof InfinigradError))
    return done('crashed', String((result.error as Error)?.stack ?? result.error));
  if (took > mostMilliseconds) return done('hung', `${took.toFixed(0)} ms`);
  if (asked > allowance(bytes.length))
    return done('over', `${asked} bytes asked for, ${allowance(bytes.length)} allowed`);

  let right: Array_[] | Wrong;
  try {
    right = expected(bytes, options);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    right = error;
  }
  if ('error' in result)
    return right instanceof Wrong ? done('refused') : done('wronglyRefused', (result.error as Error).message);
  if (right instanceof Wrong) return done('wronglyAccepted', right.message);
  const difference = differenceOf(result.value, right);
  return difference === null ? done('accepted') : done('wronglyAccepted', difference);
}

function differenceOf(tensors: Record<string, Tensor>, right: readonly Array_[]): string | null {
  const names = Object.keys(tensors);
  if (names.length !== right.length) return `${names.length} tensors, not ${right.length}`;
  for (const { name, dtype, shape, values } of right) {
    const x = Object.hasOwn(tensors, name) ? tensors[name]! : null;
    if (x === null) return `no '${name}'`;
    if (x.dtype !== dtype || x.shape.join() !== shape.join())
      return `'${name}' is [${x.shape.join()}] ${x.dtype}, not [${shape.join()}] ${dtype}`;
    const data = x.dataSync();
    for (let i = 0; i < values.length; i++)
      if (!Object.is(data[i], values[i])) return `'${name}' holds ${data[i]}, not ${values[i]}, at ${i}`;
  }
  return null;
}
