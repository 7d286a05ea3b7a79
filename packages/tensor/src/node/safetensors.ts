/** Safetensors files. */
import { readFile } from 'node:fs/promises';
import { FormatError } from '../errors.ts';
import {
  decodeSafetensors,
  encodeSafetensors,
  type DecodeOptions,
  type SafetensorsContent,
} from '../io/safetensors.ts';
import type { Tensor } from '../tensor.ts';
import { writeFileAtomic } from './files.ts';

/** Writes the tensors, in the order given; whole or not at all. */
export function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  return writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/**
 * @param options.widen read F16 and BF16 as f32; default false
 * @throws FormatError that names the path where the file is missing, unreadable, truncated or malformed
 */
export async function loadSafetensors(
  path: string,
  options: DecodeOptions = {},
): Promise<SafetensorsContent> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = (error as { code?: string }).code;
    throw new FormatError(
      'loadSafetensors',
      code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code ?? String(error)})`,
    );
  }
  try {
    return decodeSafetensors(bytes, options);
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError('loadSafetensors', `${path}: ${error.message}`);
    throw error;
  }
}
