/** Configurations of models: plain data, and config.json in Hugging Face's spelling, both from one table of fields. */
import { describeValue, ValueError } from '@infinigrad/tensor';
import type { Check } from './checks.ts';

export type Json = Readonly<Record<string, unknown>>;

/** What is known of one field of a configuration. */
export interface Field<T> {
  /** Its key in config.json. */
  readonly key: string;
  readonly check: Check;
  /** Required where there is none; a function of the fields before it, in the order of the table. */
  readonly default?: T | ((before: Json) => T);
  /** Reads it from config.json; default: what stands under `key`. `undefined` where it is not there. */
  readonly read?: (json: Json) => unknown;
  /** What it becomes in config.json; default: the value under `key`. */
  readonly write?: (value: T, config: Json) => Json;
  /** Further keys that `read` uses: no other field's, and not kept as unknown. */
  readonly also?: readonly string[];
}

/** A field for each member of a configuration but `extra`. */
export type Fields<C> = { readonly [F in Exclude<keyof C, 'extra'>]-?: Field<C[F]> };

/** What a configuration is made of: any of its members. */
export type ConfigOptions<C> = { readonly [F in keyof C]?: C[F] | undefined };

/** What every configuration made from a table has. */
export interface ConfigBase {
  /** Keys of config.json that the model does not know, written back as they were read. */
  readonly extra: Json;
}

export interface ConfigSchema<C extends object> {
  readonly modelType: string;
  /** @throws ValueError for members that are missing, not known, or make no sense */
  make(options: ConfigOptions<C>): C;
  /** The content of config.json. */
  toJson(config: C): Record<string, unknown>;
  /** @throws ValueError for what is no object, of another model type, or has fields of no sense */
  fromJson(json: unknown): C;
  /** Keys of config.json whose numbers may have fractions. */
  readonly reals?: readonly string[];
}

/** Keys of config.json that are about the file, not the model. */
const ofTheFile = [
  'model_type',
  'architectures',
  'torch_dtype',
  'dtype',
  'transformers_version',
  '_name_or_path',
];

/**
 * Makes the three functions of a configuration from its table.
 * @param name what errors name
 * @param check looks at the whole; `fail` throws
 */
export function configSchema<C extends ConfigBase>(
  name: string,
  modelType: string,
  fields: Fields<C>,
  check: (config: C, fail: (problem: string) => never) => void = () => {},
): ConfigSchema<C> {
  const table = Object.entries(fields) as [string, Field<unknown>][];
  const fail = (problem: string): never => {
    throw new ValueError(name, problem);
  };

  /** @param spelled how errors call a field */
  const made = (given: Json, extra: Json, spelled: (field: string) => string): C => {
    const values: Record<string, unknown> = {};
    for (const [field, about] of table) {
      const value = given[field] ?? (about.check(null) === null && given[field] === null ? null : undefined);
      if (value === undefined && !('default' in about)) fail(`${spelled(field)} is missing`);
      values[field] =
        value !== undefined
          ? value
          : typeof about.default === 'function'
            ? (about.default as (before: Json) => unknown)(values)
            : about.default;
      const wanted = about.check(values[field]);
      if (wanted) fail(`${spelled(field)} must be ${wanted}, got ${shown(values[field])}`);
    }
    const config = Object.freeze({ ...values, extra }) as unknown as C;
    check(config, fail);
    return config;
  };

  return {
    modelType,
    reals: table.flatMap(
      ([
        ,
        {
          key,
          check: { real },
        },
      ]) => (real ? [key] : []),
    ),
    make(options) {
      const { extra = {}, ...given } = options as Json & { extra?: Json };
      for (const field of Object.keys(given))
        if (!Object.hasOwn(fields, field))
          fail(`there is no ${field}; the fields are ${table.map(([own]) => own).join(', ')}`);
      return made(given, extra, (field) => field);
    },

    toJson(config) {
      const values = config as unknown as Json;
      const written = table.map(([field, { key, write }]) =>
        write ? write(values[field], values) : { [key]: values[field] },
      );
      return Object.assign({ model_type: modelType }, ...written, config.extra) as Record<string, unknown>;
    },

    fromJson(json) {
      if (typeof json !== 'object' || json === null || Array.isArray(json))
        return fail(`needs a JSON object, got ${describeValue(json)}`);
      const all = json as Json;
      const type = all['model_type'] ?? modelType;
      if (type !== modelType) fail(`config.json is of model type '${String(type)}', not '${modelType}'`);
      const given: Record<string, unknown> = {};
      const known = new Set(ofTheFile);
      for (const [field, { key, read, also = [] }] of table) {
        for (const own of [key, ...also]) known.add(own);
        // Own keys alone: a file may hold any name.
        const value = read ? read(all) : Object.hasOwn(all, key) ? all[key] : undefined;
        if (value !== undefined) given[field] = value;
      }
      const extra = Object.fromEntries(Object.entries(all).filter(([key]) => !known.has(key)));
      return made(given, extra, (field) => fields[field as keyof typeof fields].key);
    },
  };
}

/**
 * The text of config.json. Whole numbers of fields that may have fractions are written as 1.0: transformers 5 refuses 1 for them.
 */
export function configText(json: Json, reals: readonly string[] = []): string {
  const text = JSON.stringify(json, null, 2).replace(
    /^( {2}"(\w+)": -?\d+)(,?)$/gm,
    (line, start: string, key: string, comma: string) => (reals.includes(key) ? `${start}.0${comma}` : line),
  );
  return `${text}\n`;
}

const shown = (value: unknown): string => {
  const printed = JSON.stringify(value) as string | undefined;
  return printed === undefined || printed.length > 80 ? describeValue(value) : printed;
};
