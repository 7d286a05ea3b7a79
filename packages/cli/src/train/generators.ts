/** Texts without files: tasks whose best possible loss is known. */
import {
  causalBatch,
  causalRow,
  checks,
  copyFloor,
  copyRow,
  passkeyBatch,
  passkeyVocabSize,
  periodicFloor,
  periodicText,
  randomChain,
  type MarkovChain,
} from '@infinigrad/zoo';
import type { PackedRow } from '@infinigrad/nn';
import { Key } from '@infinigrad/tensor';
import { valueOf } from '../arguments.ts';
import { asUsage, UsageError } from '../errors.ts';

type Settings = Readonly<Record<string, number | string>>;

interface Kind {
  readonly about: string;
  /** Every setting with its default. */
  readonly defaults: Settings;
  readonly checks: Readonly<Record<string, checks.Check>>;
  vocabSize(settings: Settings): number;
  /** Nats a target. */
  floor(settings: Settings, length: number): number;
  /** @param whole of full length, as for an evaluation */
  rows(settings: Settings, size: RowsOptions, key: Key): PackedRow[];
}

interface RowsOptions {
  readonly batch: number;
  readonly length: number;
  readonly whole: boolean;
}

const each = (batch: number, key: Key, make: (key: Key) => PackedRow): PackedRow[] =>
  Array.from({ length: batch }, (_, i) => make(key.foldIn(i)));

const chains = new Map<string, MarkovChain>();
function chainOf(settings: Settings): MarkovChain {
  const { states, order, sharpness, chain } = settings as Readonly<Record<string, number>>;
  const name = JSON.stringify([states, order, sharpness, chain]);
  const made =
    chains.get(name) ??
    randomChain({ states: states!, order: order!, sharpness: sharpness! }, new Key(chain!));
  chains.set(name, made);
  return made;
}

const copyOptions = ({ symbols }: Settings, length: number) => ({
  symbols: symbols as number,
  length: [1, Math.max(1, Math.floor((length - 2) / 2))] as const,
});

/** The answer alone is to be told. */
function passkeyRows(
  { digits, segment, filler }: Settings,
  { batch, length, whole }: RowsOptions,
  key: Key,
): PackedRow[] {
  const [segmentLength, most] = [segment as number, Math.floor(length / (segment as number))];
  const [word] = key.foldIn(1).bits(1);
  const segments = whole ? most : 2 + Math.floor((word! / 2 ** 32) * (most - 1));
  const layout = { segmentLength, digits: digits as number, filler: filler as 'cyclic' | 'random' };
  const { data, tokens } = passkeyBatch(layout, { batch, segments, position: 'any' }, key.foldIn(0));
  const size = tokens.shape[1]!;
  return Array.from({ length: batch }, (_, row) => {
    const text = data.subarray(row * size, (row + 1) * size);
    const targets = new Int32Array(size).fill(-100);
    for (let t = size - layout.digits - 1; t < size - 1; t++) targets[t] = text[t + 1]!;
    return {
      tokens: text,
      targets,
      documents: new Int32Array(size).fill(1),
      positions: Int32Array.from({ length: size }, (_, t) => t),
      count: layout.digits,
    };
  });
}

const kinds: Readonly<Record<string, Kind>> = {
  markov: {
    about: 'a random Markov chain',
    defaults: { states: 8, order: 1, sharpness: 1, chain: 0 },
    checks: {
      states: checks.integer(2, 1000),
      order: checks.integer(1, 4),
      sharpness: checks.integer(0, 8),
      chain: checks.integer(0, 2 ** 32 - 1),
    },
    vocabSize: ({ states }) => states as number,
    floor: (settings, length) => chainOf(settings).rowFloor(length),
    rows: (settings, { batch, length }, key) =>
      each(batch, key, (own) => causalRow(chainOf(settings).sample(length, own))),
  },
  periodic: {
    about: 'the same symbols again and again',
    defaults: { symbols: 8 },
    checks: { symbols: checks.integer(1, 1000) },
    vocabSize: ({ symbols }) => symbols as number,
    floor: ({ symbols }, length) => periodicFloor(length, { symbols: symbols as number }),
    rows: ({ symbols }, { batch, length }, key) =>
      each(batch, key, (own) => causalRow(periodicText(length, { symbols: symbols as number }, own))),
  },
  copy: {
    about: 'random symbols, and the same again',
    defaults: { symbols: 8 },
    checks: { symbols: checks.integer(1, 1000) },
    vocabSize: ({ symbols }) => (symbols as number) + 2,
    floor: (settings, length) => copyFloor(copyOptions(settings, length)),
    rows: (settings, { batch, length }, key) =>
      each(batch, key, (own) => copyRow(copyOptions(settings, length), own)),
  },
  passkey: {
    about: 'digits hidden in filler, asked for at the end',
    defaults: { digits: 3, segment: 32, filler: 'cyclic' },
    checks: {
      digits: checks.integer(1, 32),
      segment: checks.integer(4, 4096),
      filler: checks.oneOf('cyclic', 'random'),
    },
    vocabSize: () => passkeyVocabSize,
    floor: () => 0,
    rows: passkeyRows,
  },
};

export const generatorNames: readonly string[] = Object.keys(kinds);

/** What `--generator` can be, a line each. */
export const generatorHelp = Object.entries(kinds)
  .map(([name, { about, defaults }]) => {
    const settings = Object.entries(defaults).map(([setting, value]) => `${setting}=${value}`);
    return `  ${`${name}:${settings.join(',')}`.padEnd(50)} ${about}`;
  })
  .join('\n');

export interface Generator {
  /** What was asked for. */
  readonly spec: string;
  readonly name: string;
  readonly settings: Settings;
  readonly vocabSize: number;
  readonly floor: number;
  batch(size: RowsOptions, key: Key): ReturnType<typeof causalBatch>;
}

/** `name` or `name:setting=value,…`, for texts of so many tokens. @throws UsageError for what is no generator */
export function generatorOf(spec: string, length: number): Generator {
  const at = spec.indexOf(':');
  const name = at < 0 ? spec : spec.slice(0, at);
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) throw new UsageError(`there is no generator '${name}'; there is ${generatorNames.join(', ')}`);
  const settings: Record<string, number | string> = { ...kind.defaults };
  for (const part of at < 0 ? [] : spec.slice(at + 1).split(',')) {
    const [setting, value] = part.split('=', 2) as [string, string | undefined];
    const check = Object.hasOwn(kind.checks, setting) ? kind.checks[setting] : undefined;
    if (!check || value === undefined)
      throw new UsageError(
        `--generator ${name} has ${Object.keys(kind.defaults).join(', ')} (setting=value), not '${part}'`,
      );
    const wanted = check(valueOf(value));
    if (wanted) throw new UsageError(`--generator ${name}: ${setting} must be ${wanted}, got '${value}'`);
    settings[setting] = valueOf(value) as number | string;
  }
  return asUsage(() => {
    if (name === 'passkey') checkPasskey(settings, length);
    return {
      spec,
      name,
      settings,
      vocabSize: kind.vocabSize(settings),
      floor: kind.floor(settings, length),
      batch: (size, key) => causalBatch(kind.rows(settings, size, key)),
    };
  });
}

function checkPasskey({ segment, digits }: Settings, length: number): void {
  if (length < 2 * (segment as number))
    throw new UsageError(
      `--generator passkey needs --length of at least 2 segments, ${2 * (segment as number)}`,
    );
  if ((segment as number) < 2 * ((digits as number) + 1))
    throw new UsageError(
      `--generator passkey: a segment of ${segment} tokens does not hold a key and a query of ${digits} digits`,
    );
}
