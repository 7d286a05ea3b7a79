/** A model into a folder that this library and Hugging Face's load. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  bytesPerElement,
  FormatError,
  InfinigradError,
  isFloat,
  keep,
  promote,
  sizeOf,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import {
  saveSafetensors,
  saveSafetensorsSharded,
  writeFileAtomic,
  type LazyTensor,
} from '@infinigrad/tensor/node';
import { configText } from '../core/config.ts';
import type { PretrainedModel } from '../core/pretrained.ts';
import { cardName, configName, indexName, kindOf, reason, weightsName } from './files.ts';
import { modelCard, type ModelCard } from './model-card.ts';

export interface SavePretrainedOptions {
  /** Of the weights in the file. Default: as they are. */
  readonly dtype?: FloatDType;
  /** Most bytes of tensors in a file; more are several files with an index. Default 5,000,000,000. */
  readonly maxShardBytes?: number;
  /** Write a README.md that says what the model is, in the place of one that is there. Default: none. */
  readonly card?: ModelCard;
}

/**
 * Writes the model's configuration and weights into the folder, which is made where there is none. Other files in it
 * stay. All files are written aside and flushed before any takes its place: where that fails, the old ones stay.
 * @throws FormatError that names the path where the folder cannot be written
 */
export async function savePretrained(
  model: PretrainedModel<object>,
  folder: string,
  { dtype, maxShardBytes = 5_000_000_000, card }: SavePretrainedOptions = {},
): Promise<void> {
  const aside = join(folder, `.${randomUUID()}.tmp`);
  const own = model.pretrainedState();
  const weights = Object.fromEntries(Object.entries(own).map(([name, x]) => [name, inDType(x, dtype)]));
  const config = { ...model.configJson(), torch_dtype: dtypeName(weights) };
  const readme = card && modelCard(model, card);
  const bytes = Object.values(weights).reduce(
    (sum, x) => sum + sizeOf(x.shape) * bytesPerElement(x.dtype),
    0,
  );
  const sharded = bytes > maxShardBytes;
  try {
    await mkdir(aside, { recursive: true });
    const write = (name: string, content: string): Promise<void> =>
      writeFileAtomic(join(aside, name), content);
    if (!sharded) await saveSafetensors(join(aside, weightsName), weights, { format: 'pt' });
    await write(configName, configText(config, model.meta.config.reals));
    if (readme) await write(cardName, readme);
    const names = [...(sharded ? [] : [weightsName]), configName, ...(readme ? [cardName] : [])];
    for (const name of names)
      if ((await kindOf(join(folder, name))) === 'folder')
        throw new FormatError('savePretrained', `${join(folder, name)} is a folder`);
    if (sharded) await saveSafetensorsSharded(folder, weights, { maxShardBytes, metadata: { format: 'pt' } });
    for (const name of names) await rename(join(aside, name), join(folder, name));
    // What the folder held in the other form would be read in the place of this.
    if (sharded) await rm(join(folder, weightsName), { force: true });
    else await removeShards(folder);
  } catch (error) {
    if (error instanceof InfinigradError) throw error;
    throw new FormatError('savePretrained', `${folder} cannot be written (${reason(error)})`);
  } finally {
    await rm(aside, { recursive: true, force: true }).catch(() => {});
  }
}

/** What is to be another dtype becomes it when its turn to be written comes: one tensor at a time, not a second model. */
function inDType(x: Tensor, dtype: FloatDType | undefined): Tensor | LazyTensor {
  if (dtype === undefined || x.dtype === dtype || !isFloat(x.dtype)) return x;
  keep(x);
  return { dtype, shape: x.shape, read: () => x.cast(dtype) };
}

/** An index that is there, and the files that it names. */
async function removeShards(folder: string): Promise<void> {
  const path = join(folder, indexName);
  if ((await kindOf(path)) !== 'file') return;
  const { weight_map: shards } = JSON.parse(await readFile(path, 'utf8')) as {
    weight_map: Readonly<Record<string, string>>;
  };
  await rm(path, { force: true });
  for (const name of new Set(Object.values(shards)))
    if (/^model-.*\.safetensors$/.test(name) && name === basename(name))
      await rm(join(folder, name), { force: true });
}

/** PyTorch's name of the dtype that all weights have, or of the one in which they meet. */
function dtypeName(tensors: Readonly<Record<string, Tensor | LazyTensor>>): string {
  const names = { f16: 'float16', bf16: 'bfloat16', f32: 'float32', f64: 'float64' } as const;
  const met = Object.values(tensors).map(({ dtype }) => dtype);
  const dtype = met.length === 0 ? 'f32' : met.reduce(promote);
  return isFloat(dtype) ? names[dtype] : names.f32;
}
