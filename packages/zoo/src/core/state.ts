/** The state of a model in Hugging Face's keys: planned against what a file holds, then loaded, or taken. */
import type { Module } from '@infinigrad/nn';
import { concat, isFloat, sameShape, ValueError, type DType, type Tensor } from '@infinigrad/tensor';
import { stateEntries, type KeyRule } from './key-map.ts';

/** How a model's state is spelled. */
export interface StateSpelling {
  readonly keyMap: readonly KeyRule[];
  /** What keys of the base model begin with in files of a model with a head: `model.`, `bert.`; it may be there or not. */
  readonly basePrefix: string;
  /** Older spellings of keys: what fits `from` is read as `to`, as in `String.replace`. */
  readonly renames?: readonly { readonly from: RegExp; readonly to: string }[];
  /** Keys that may stand in a file and mean nothing here. */
  readonly ignored?: readonly RegExp[];
  /** Keys of one tensor, the one that is saved first; a file may hold any of them. */
  readonly tied: readonly (readonly string[])[];
}

/** What became of every key. Names are those of the file's spelling. */
export interface PretrainedReport {
  /** What the model has and the file has not. */
  readonly missing: readonly string[];
  /** What the file has and the model has not. */
  readonly unexpected: readonly string[];
  readonly mismatched: readonly { readonly name: string; readonly reason: string }[];
  /** In the file, and known to mean nothing. */
  readonly ignored: readonly string[];
  /** In the file under a further key of a tensor that was there already, or was taken from there. */
  readonly tied: readonly { readonly name: string; readonly first: string }[];
}

export interface StateOptions {
  /** Refuse a file that lacks a tensor or has one too many. Default true. Tensors that do not fit are refused always. */
  readonly strict?: boolean;
  /** Further keys that may stand in the file. */
  readonly ignore?: readonly RegExp[];
}

/** A state that does not fit a model. */
export class PretrainedError extends ValueError {
  override readonly name: string = 'PretrainedError';
  readonly report: PretrainedReport;

  constructor(problem: string, report: PretrainedReport, hint: string) {
    super('loadPretrainedState', problem, { hint });
    this.report = report;
  }
}

/** What is known of a tensor of a file. A dtype of null is one that there is none of here. */
export interface TensorShape {
  readonly shape: readonly number[];
  readonly dtype: DType | null;
}

/** A tensor of the file and what it gives: by our names. */
export interface Assignment {
  readonly key: string;
  parts(value: Tensor): Record<string, Tensor>;
}

export interface LoadPlan {
  readonly report: PretrainedReport;
  readonly assignments: readonly Assignment[];
}

const describe = ({ shape, dtype }: TensorShape): string => `[${shape.join(', ')}] ${dtype ?? '?'}`;
const isMatrix = (shape: readonly number[]): boolean => shape.length === 2;

/** The tensors of a model in the file's keys, shapes and layout; joined ones are made here. */
export function pretrainedState(model: Module, { keyMap }: StateSpelling): Record<string, Tensor> {
  const state = model.stateDict();
  return Object.fromEntries(
    stateEntries(Object.keys(state), keyMap).map(({ key, names, transpose }) => {
      const parts = names.map((name) => state[name]!);
      const joined = parts.length === 1 ? parts[0]! : concat(parts, 0);
      return [key, transpose && isMatrix(joined.shape) ? joined.transpose().clone() : joined];
    }),
  );
}

/** Holds what a model needs against what a file holds. Reads nothing, changes nothing. */
export function planLoad(
  model: Module,
  spelling: StateSpelling,
  file: ReadonlyMap<string, TensorShape>,
  { ignore = [] }: StateOptions = {},
): LoadPlan {
  const state = model.stateDict();
  const { keyMap, basePrefix, renames = [], ignored: own = [], tied } = spelling;
  /** Keys of the file as they are spelled today. */
  const present = new Map<string, string>();
  const doubled: string[] = [];
  for (const key of file.keys()) {
    const today = renames.reduce((name, { from, to }) => name.replace(from, to), key);
    if (present.has(today)) doubled.push(key);
    else present.set(today, key);
  }
  const find = (key: string): string | undefined => {
    const bare = basePrefix !== '' && key.startsWith(basePrefix) ? key.slice(basePrefix.length) : null;
    return present.get(key) ?? (bare === null ? present.get(basePrefix + key) : present.get(bare));
  };
  const used = new Set<string>();
  const missing: string[] = [];
  const mismatched: { name: string; reason: string }[] = [];
  const ties: { name: string; first: string }[] = [];
  const assignments: Assignment[] = [];
  for (const { key, names, transpose } of stateEntries(Object.keys(state), keyMap)) {
    const aliases = tied.find((keys) => keys.includes(key)) ?? [];
    const held = [key, ...aliases.filter((alias) => alias !== key)].flatMap((name) => find(name) ?? []);
    const [first, ...others] = held;
    for (const name of held) used.add(name);
    if (first === undefined) {
      missing.push(key);
      continue;
    }
    for (const name of others) ties.push({ name, first });
    if (first !== find(key)) ties.push({ name: first, first: key });
    const parts = names.map((name) => state[name]!);
    const rows = parts.map(({ shape }) => shape[0] ?? 1);
    const flat = [...parts[0]!.shape];
    if (parts.length > 1) flat[0] = rows.reduce((sum, n) => sum + n, 0);
    const turned = transpose && isMatrix(flat);
    const wanted = { shape: turned ? flat.toReversed() : flat, dtype: parts[0]!.dtype };
    const given = file.get(first)!;
    const fits =
      sameShape(wanted.shape, given.shape) &&
      given.dtype !== null &&
      isFloat(given.dtype) === isFloat(wanted.dtype);
    if (!fits) mismatched.push({ name: first, reason: `model ${describe(wanted)}, file ${describe(given)}` });
    else
      assignments.push({
        key: first,
        parts: (value) => {
          const ours = turned ? value.transpose() : value;
          return names.length === 1
            ? { [names[0]!]: ours }
            : Object.fromEntries(ours.split(rows, 0).map((part, i) => [names[i]!, part]));
        },
      });
  }
  const left = [...file.keys()].filter((key) => !used.has(key));
  const known = [...own, ...ignore];
  // Unlike test(), search() does not go on from where a global expression stopped.
  const ignored = left.filter((key) => !doubled.includes(key) && known.some((one) => key.search(one) >= 0));
  const unexpected = left.filter((key) => !ignored.includes(key));
  return { report: { missing, unexpected, mismatched, ignored, tied: ties }, assignments };
}

/** @throws PretrainedError for a report of what must not be loaded */
export function checkReport(report: PretrainedReport, { strict = true }: StateOptions): void {
  const { missing, unexpected, mismatched } = report;
  const listed = (names: readonly string[]): string =>
    names.length > 20 ? `${names.slice(0, 20).join(', ')} and ${names.length - 20} more` : names.join(', ');
  const problems = [
    ...(strict && missing.length > 0 ? [`missing ${listed(missing)}`] : []),
    ...(strict && unexpected.length > 0 ? [`unexpected ${listed(unexpected)}`] : []),
    ...(mismatched.length > 0
      ? [`mismatched ${listed(mismatched.map(({ name, reason }) => `${name} (${reason})`))}`]
      : []),
  ];
  if (problems.length > 0)
    throw new PretrainedError(
      problems.join('; '),
      report,
      mismatched.length > 0 ? 'are configuration and weights of one model?' : 'strict: false loads what fits',
    );
}

/** Gives a model the tensors of a file, all or none. */
export function loadPretrainedState(
  model: Module,
  spelling: StateSpelling,
  tensors: Readonly<Record<string, Tensor>>,
  options: StateOptions = {},
): PretrainedReport {
  const { report, assignments } = planLoad(model, spelling, new Map(Object.entries(tensors)), options);
  checkReport(report, options);
  const values = Object.assign({}, ...assignments.map(({ key, parts }) => parts(tensors[key]!))) as Record<
    string,
    Tensor
  >;
  model.loadStateDict(values, { strict: false });
  return report;
}
