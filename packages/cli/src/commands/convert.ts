/** `infinigrad convert`: the same weights in another dtype, in other files, under other keys. */
import { copyFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { bytesPerElement, isFloat, type FloatDType } from '@infinigrad/tensor';
import {
  saveSafetensors,
  saveSafetensorsSharded,
  writeFileAtomic,
  type LazyTensor,
  type TensorFile,
} from '@infinigrad/tensor/node';
import { fromPretrained, savePretrained } from '@infinigrad/zoo/node';
import { byteSize, path, repeated } from '../arguments.ts';
import { writeFolder } from '../aside.ts';
import { configName, kindOf, openCheckpoint, weightsName } from '../checkpoint.ts';
import { CommandError, UsageError } from '../errors.ts';
import { bytes, count, json, type Io } from '../output.ts';

interface Flags {
  readonly dtype?: FloatDType;
  readonly maxShard?: number;
  readonly addPrefix?: string;
  readonly removePrefix?: string;
  readonly rename: readonly string[];
  readonly modernize?: boolean;
  readonly json?: boolean;
}

/** Hugging Face's names. */
const torchNames = { f16: 'float16', bf16: 'bfloat16', f32: 'float32', f64: 'float64' } as const;

const usualShard = 5_000_000_000;

/** What belongs to a model beside its weights and config.json. */
const companions =
  /^(tokenizer.*\.(json|model)|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|spiece\.model|generation_config\.json|chat_template\.\w+)$/;

const examples = `
Examples:
  infinigrad convert runs/tiny half --dtype bf16     half the bytes
  infinigrad convert runs/tiny parts --max-shard 200kB
                                                     several files with an index
  infinigrad convert runs/tiny bare --remove-prefix model.
                                                     keys of the model without head
  infinigrad convert runs/tiny now --modernize       old keys and layouts to today's

The output folder must be new or empty; it is there whole or not at all.`;

export function defineConvert(program: Command, io: Io): void {
  program
    .command('convert')
    .description('Write a model with another dtype, in other shards, or under other keys.')
    .argument('<from>', 'folder of a model, or a .safetensors file', path)
    .argument('<to>', 'the folder to write', path)
    .addOption(
      new Option('--dtype <name>', 'dtype of all floating tensors (default: as they are)').choices(
        Object.keys(torchNames),
      ),
    )
    .option('--max-shard <size>', 'most bytes in a file, such as 200kB or 2GB (default: 5GB)', byteSize)
    .option('--remove-prefix <text>', 'take this away from keys that begin with it')
    .option('--add-prefix <text>', 'begin all keys with this')
    .option(
      '--rename <from=to>',
      'in all keys, put a text in the place of another; may come again',
      repeated,
      [],
    )
    .option('--modernize', 'read the weights as their model does, and write them as it does')
    .option('--json', 'what was written as JSON')
    .addHelpText('after', examples)
    .action(async (from: string, to: string, flags: Flags) => {
      const wrote = await convert(from, to, flags);
      io.out(
        flags.json
          ? json(wrote)
          : `${wrote.path}: ${count(wrote.tensors)} tensors, ${bytes(wrote.bytes)}, in ${wrote.files.join(', ')}\n`,
      );
    });
}

interface Wrote {
  readonly path: string;
  readonly tensors: number;
  readonly bytes: number;
  readonly files: readonly string[];
}

async function convert(from: string, to: string, flags: Flags): Promise<Wrote> {
  const keyOf = renaming(flags);
  if (flags.modernize) {
    if (flags.addPrefix !== undefined || flags.removePrefix !== undefined || flags.rename.length > 0)
      throw new UsageError(
        '--modernize decides all keys: it goes without --add-prefix, --remove-prefix, --rename',
      );
    // A name that is no folder is a mistake here, not a model of the hub.
    const model = await fromPretrained(resolve(from));
    const { dtype, maxShard: maxShardBytes } = flags;
    await writeFolder(to, async (aside) => {
      await savePretrained(model, aside, {
        ...(dtype && { dtype }),
        ...(maxShardBytes && { maxShardBytes }),
      });
      await copyCompanions(from, aside);
    });
    return written(to);
  }
  const { folder, config, tensors: file } = await openCheckpoint(from);
  try {
    const list = renamed(file, keyOf, flags.dtype);
    const size = Object.values(list).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    await writeFolder(to, async (aside) => {
      const metadata = { format: 'pt', ...file.metadata };
      const { maxShard: maxShardBytes = usualShard } = flags;
      if (size <= maxShardBytes) await saveSafetensors(join(aside, weightsName), list, metadata);
      else await saveSafetensorsSharded(aside, list, { maxShardBytes, metadata: textsOf(metadata) });
      if (!config) return;
      const dtype = flags.dtype && torchNames[flags.dtype];
      const named = 'dtype' in config ? 'dtype' : 'torch_dtype';
      const changed = { ...config, ...(dtype && { [named]: dtype }) };
      await writeFileAtomic(join(aside, configName), json(changed));
      await copyCompanions(folder, aside);
    });
  } finally {
    await file.close();
  }
  return written(to);
}

/** The index has an entry of its own for the bytes of all. */
const textsOf = (metadata: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== 'total_size'));

const bytesOf = ({ dtype, shape }: LazyTensor): number =>
  shape.reduce((n, size) => n * size, bytesPerElement(dtype));

function renaming({ addPrefix = '', removePrefix = '', rename }: Flags): (name: string) => string {
  const pairs = rename.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`--rename '${text}' must be from=to`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return (name) => {
    const bare = removePrefix && name.startsWith(removePrefix) ? name.slice(removePrefix.length) : name;
    return addPrefix + pairs.reduce((key, [text, by]) => key.replaceAll(text, by), bare);
  };
}

/** Tensors that are read, and changed, when their turn to be written comes. */
function renamed(
  file: TensorFile,
  keyOf: (name: string) => string,
  dtype: FloatDType | undefined,
): Record<string, LazyTensor> {
  const entries = new Map<string, LazyTensor>();
  for (const name of file.names) {
    const key = keyOf(name);
    if (key === '') throw new CommandError(`nothing is left of the key ${name}`);
    if (entries.has(key)) throw new CommandError(`two tensors would have the key ${key}`);
    const lazy = file.lazy(name);
    const cast = dtype !== undefined && isFloat(lazy.dtype);
    entries.set(
      key,
      cast ? { dtype, shape: lazy.shape, read: async () => (await lazy.read()).cast(dtype) } : lazy,
    );
  }
  return Object.fromEntries(entries);
}

async function copyCompanions(from: string, to: string): Promise<void> {
  if ((await kindOf(from)) !== 'folder') return;
  for (const entry of await readdir(from, { withFileTypes: true }))
    if (entry.isFile() && companions.test(entry.name))
      await copyFile(join(from, entry.name), join(to, entry.name));
}

async function written(folder: string): Promise<Wrote> {
  const { tensors: file } = await openCheckpoint(folder);
  try {
    return {
      path: folder,
      tensors: file.names.length,
      bytes: file.names.reduce((sum, name) => sum + file.info(name).bytes, 0),
      files: (await readdir(folder)).sort(),
    };
  } finally {
    await file.close();
  }
}
