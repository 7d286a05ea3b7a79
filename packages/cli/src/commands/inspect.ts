/** `infinigrad inspect`: what a checkpoint holds, from its headers alone. */
import type { Command } from 'commander';
import type { TensorInfo } from '@infinigrad/tensor/node';
import { integers, path } from '../arguments.ts';
import { openCheckpoint } from '../checkpoint.ts';
import { families, mostTokens } from '../families.ts';
import { bytes, count, json, table, type Io } from '../output.ts';

interface Flags {
  readonly json?: boolean;
  readonly tensors?: boolean;
  readonly lengths?: readonly number[];
}

/** What inspecting a checkpoint finds. */
interface Findings {
  readonly path: string;
  readonly config: Readonly<Record<string, unknown>> | null;
  readonly parameters: number;
  readonly bytes: number;
  readonly dtypes: Readonly<Record<string, number>>;
  /** Numbers by the part of the model that they belong to. */
  readonly parts: Readonly<Record<string, number>>;
  /** Bytes that a model keeps of a text of so many tokens, in f32; null where that is not known. */
  readonly memory: readonly { readonly length: number; readonly bytes: number }[] | null;
  readonly tensors: readonly (Pick<TensorInfo, 'name' | 'shape' | 'bytes'> & { readonly dtype: string })[];
}

const usualLengths = [1024, 8192, 65_536];

const examples = `
Examples:
  infinigrad inspect runs/tiny                       configuration, sizes, memory
  infinigrad inspect runs/tiny --tensors             every tensor too
  infinigrad inspect runs/tiny/model.safetensors --json
                                                     a file alone, for programs`;

export function defineInspect(program: Command, io: Io): void {
  program
    .command('inspect')
    .description("Show a checkpoint's configuration, tensors, parameters and memory, without loading it.")
    .argument('<path>', 'folder of a model or of a checkpoint of training, or a .safetensors file', path)
    .option('--tensors', 'list every tensor')
    .option(
      '--lengths <n,…>',
      `text lengths for which to tell the memory (default: ${usualLengths.join(',')}, as far as the model reads)`,
      integers(1),
    )
    .option('--json', 'everything as JSON')
    .addHelpText('after', examples)
    .action(async (where: string, flags: Flags) => {
      const found = await inspect(where, flags.lengths);
      io.out(flags.json ? json(found) : text(found, flags.tensors ?? false));
    });
}

async function inspect(where: string, lengths: readonly number[] | undefined): Promise<Findings> {
  const { config, tensors: file } = await openCheckpoint(where);
  try {
    const infos = file.names.map((name) => file.info(name));
    const sizeOf = ({ shape }: TensorInfo): number => shape.reduce((n, size) => n * size, 1);
    // Positions that were saved along, and other integers, are none.
    const parameters = infos.filter(({ stored }) => /^B?F\d/.test(stored));
    const sums = (of: readonly TensorInfo[], keyOf: (info: TensorInfo) => string): Record<string, number> => {
      const sum = new Map<string, number>();
      for (const info of of) sum.set(keyOf(info), (sum.get(keyOf(info)) ?? 0) + sizeOf(info));
      return Object.fromEntries(sum);
    };
    return {
      path: where,
      config,
      parameters: parameters.reduce((sum, info) => sum + sizeOf(info), 0),
      bytes: infos.reduce((sum, info) => sum + info.bytes, 0),
      dtypes: sums(infos, ({ stored }) => stored),
      parts: sums(parameters, ({ name }) => partOf(name)),
      memory: config && memoryOf(config, lengths),
      tensors: infos.map(({ name, stored, shape, bytes }) => ({ name, dtype: stored, shape, bytes })),
    };
  } finally {
    await file.close();
  }
}

/** The name up to the number of its layer: `model.layers.3.mlp.up_proj.weight` is `model.layers.*.mlp.up_proj`. */
const partOf = (name: string): string =>
  name
    .replaceAll(/\.\d+(?=\.|$)/g, '.*')
    .split('.')
    .slice(0, -1)
    .join('.') || name;

/** From the configuration alone. */
function memoryOf(
  config: Readonly<Record<string, unknown>>,
  lengths: readonly number[] | undefined,
): Findings['memory'] {
  const family = families.find(({ type }) => type === config['model_type']);
  if (!family?.footprint) return null;
  const { footprint } = family;
  try {
    const own = family.schema.fromJson(config);
    return (lengths ?? readable(mostTokens(family, own))).map((length) => ({
      length,
      bytes: 4 * footprint(own, length),
    }));
  } catch {
    // The rest can be told of a config that makes no model.
    return null;
  }
}

/** Usual lengths that the model can read; where it can read none of them, what it can. */
function readable(most: number): readonly number[] {
  const able = usualLengths.filter((length) => length <= most);
  return able.length > 0 ? able : [most];
}

function text(found: Findings, all: boolean): string {
  const { config, dtypes, parts, memory, tensors } = found;
  const plain = config && Object.entries(config).map(([name, value]) => [name, JSON.stringify(value)]);
  const blocks = [
    `${found.path}: ${count(found.parameters)} parameters in ${count(tensors.length)} tensors, ${bytes(found.bytes)} (${Object.keys(dtypes).join(', ')})`,
  ];
  if (plain) blocks.push(table(['config', 'value'], plain));
  const share = (n: number): string => `${((100 * n) / Math.max(1, found.parameters)).toFixed(1)}%`;
  blocks.push(
    table(
      ['part', '>parameters', '>share'],
      Object.entries(parts).map(([name, n]) => [name, count(n), share(n)]),
    ),
  );
  if (memory)
    blocks.push(
      table(
        ['>tokens read', '>kept of them (f32)'],
        memory.map(({ length, bytes: kept }) => [count(length), bytes(kept)]),
      ),
    );
  if (all)
    blocks.push(
      table(
        ['tensor', 'dtype', 'shape', '>bytes'],
        tensors.map(({ name, dtype, shape, bytes: size }) => [
          name,
          dtype,
          `[${shape.join(', ')}]`,
          count(size),
        ]),
      ),
    );
  return `${blocks.join('\n\n')}\n`;
}
