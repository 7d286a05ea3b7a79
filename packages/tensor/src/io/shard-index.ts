/** The index of a checkpoint in several safetensors files, in Hugging Face's layout: which file holds which tensor. */
import { FormatError } from '../errors.ts';
import { isObject, isWellFormed, parseJson, record, shorten, show } from './json.ts';

export interface ShardIndex {
  /** Name of the file by name of the tensor. */
  readonly fileOf: ReadonlyMap<string, string>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface ShardIndexLimits {
  /** Longest index that is read, in bytes. Default 100,000,000. */
  readonly maxIndexBytes?: number;
  /** Most files that it may name. Default 1000. */
  readonly maxShards?: number;
}

const fail = (problem: string, hint?: string): never => {
  throw new FormatError('safetensors index', problem, hint === undefined ? {} : { hint });
};

/** Names that mean a device or end with what Windows drops, in any folder. */
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)|[. ]$/i;

/** True for the plain name of a file, which leads to no other folder on any system. */
export function isPlainFileName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name.length <= 255 &&
    // oxlint-disable-next-line no-control-regex
    /^[^/\\:*?"<>|\u0000-\u001f\u007f]+\.safetensors$/.test(name) &&
    isWellFormed(name) &&
    !reserved.test(name)
  );
}

export function encodeShardIndex(
  fileOf: Iterable<readonly [name: string, file: string]>,
  totalSize: number,
  metadata: Readonly<Record<string, string>>,
): string {
  const index = {
    metadata: record<unknown>([...Object.entries(metadata), ['total_size', totalSize]]),
    weight_map: record(fileOf),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}

/** @throws FormatError where the index is not well-formed, or names files outside its folder */
export function parseShardIndex(bytes: Uint8Array, { maxShards = 1000 }: ShardIndexLimits = {}): ShardIndex {
  // Some writers put total_size down as a float
  const index = parseJson(bytes, 'the index', fail, { wholeNumbers: false });
  if (!isObject(index)) return fail('the index is not a JSON object');
  const { weight_map: map, metadata = {} } = index;
  if (!isObject(map)) return fail('the index has no weight_map, or it is not an object');
  if (!isObject(metadata)) return fail("the index's metadata is not an object");
  const fileOf = new Map<string, string>();
  const files = new Set<string>();
  for (const [name, file] of Object.entries(map)) {
    if (!isPlainFileName(file))
      return fail(
        `the index puts tensor '${shorten(name)}' into ${show(file)}`,
        'it must be the plain name of a .safetensors file in the same folder',
      );
    fileOf.set(name, file);
    if (files.add(file).size > maxShards) fail(`the index names more than ${maxShards} files`);
  }
  return { fileOf, metadata };
}
