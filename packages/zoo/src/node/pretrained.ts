/** A model as a folder: config.json in Hugging Face's spelling, and model.safetensors. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, InfinigradError, isFloat, Key, promote, type Tensor } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors, writeFileAtomic } from '@infinigrad/tensor/node';
import {
  configFromJson,
  configToJson,
  infiniTransformerConfig,
  type InfiniTransformerConfig,
} from '../infini/config.ts';
import { featureDim } from '../infini/memory.ts';
import { InfiniTransformer } from '../infini/model.ts';

const configName = 'config.json';
const weightsName = 'model.safetensors';
/** Longest config.json that is read. */
const maxConfigBytes = 1_000_000;
/** A model up to this size is made even where the weights cannot fill it, so as to name what is missing. */
const harmlessNumbers = 10_000_000;

/**
 * Writes the model's configuration and weights into the folder, which is made where there is none. Other files in it
 * stay. Both files are written aside and flushed before either takes its place: where that fails, the old ones stay.
 * @throws FormatError that names the path where the folder cannot be written
 */
export async function savePretrained(model: InfiniTransformer, folder: string): Promise<void> {
  const aside = join(folder, `.${randomUUID()}.tmp`);
  const weights = model.stateDict();
  const config = { ...configToJson(model.config), torch_dtype: dtypeName(weights) };
  try {
    await mkdir(aside, { recursive: true });
    await saveSafetensors(join(aside, weightsName), weights, { format: 'pt' });
    await writeFileAtomic(join(aside, configName), `${JSON.stringify(config, null, 2)}\n`);
    for (const name of [weightsName, configName])
      if ((await kindOf(join(folder, name))) === 'folder')
        throw new FormatError('savePretrained', `${join(folder, name)} is a folder`);
    for (const name of [weightsName, configName]) await rename(join(aside, name), join(folder, name));
  } catch (error) {
    if (error instanceof InfinigradError) throw error;
    throw new FormatError('savePretrained', `${folder} cannot be written (${reason(error)})`);
  } finally {
    await rm(aside, { recursive: true, force: true }).catch(() => {});
  }
}

/**
 * The model in a folder, its weights as they were saved, f64 where any of them is; those of f16 and bf16 as f32.
 * @throws FormatError that names the file where one is missing, damaged, of another model, or does not fit the other
 */
export async function loadPretrained(folder: string): Promise<InfiniTransformer> {
  const json = await readJson(join(folder, configName));
  const { tensors } = await loadSafetensors(join(folder, weightsName));
  const config = naming(join(folder, configName), () => checkedConfig(json, tensors));
  return naming(join(folder, weightsName), () => {
    const model = new InfiniTransformer(config, new Key(0), { dtype: isDouble(tensors) ? 'f64' : 'f32' });
    model.loadStateDict(tensors);
    return model;
  });
}

async function readJson(path: string): Promise<unknown> {
  const fail = (problem: string): never => {
    throw new FormatError('loadPretrained', problem);
  };
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxConfigBytes) return fail(`${path} has ${size} bytes, more than ${maxConfigBytes}`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const code = reason(error);
    return fail(code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`);
  }
  try {
    return JSON.parse(text);
  } catch {
    return fail(`${path} is not JSON: it is damaged or truncated`);
  }
}

/**
 * The configuration, once it is certain that making its model takes no more than the weights justify: a file from
 * anywhere may claim any size.
 */
function checkedConfig(json: unknown, tensors: Readonly<Record<string, Tensor>>): InfiniTransformerConfig {
  const fail = (problem: string): never => {
    throw new FormatError('InfiniTransformer', problem);
  };
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return fail('not a JSON object');
  const values = json as Readonly<Record<string, unknown>>;
  if (values['model_type'] !== sampleConfig['model_type']) return configFromJson(values);
  for (const [name, sample] of Object.entries(sampleConfig))
    if (Object.hasOwn(values, name) && !sameType(sample, values[name]))
      fail(`${name} is ${JSON.stringify(values[name])}, where ${JSON.stringify(sample)} would be a value`);
  const { num_hidden_layers: layers } = values;
  const layersHeld = new Set(Object.keys(tensors).flatMap((name) => /^layers\.\d+\./.exec(name) ?? [])).size;
  if (typeof layers === 'number' && layers > Math.max(layersHeld, 1000))
    fail(`num_hidden_layers is ${layers}, and ${weightsName} holds ${layersHeld} layers`);
  const config = configFromJson(values);
  const needed = countParameters(config);
  const held = Object.values(tensors).reduce((total, { size }) => total + size, 0);
  if (needed > Math.max(held, harmlessNumbers))
    fail(`describes a model of ${needed} numbers, and ${weightsName} holds ${held}`);
  return config;
}

/** One value of the right type for each key. */
const sampleConfig: Readonly<Record<string, unknown>> = configToJson(
  infiniTransformerConfig({ vocabSize: 1, hiddenSize: 2, numLayers: 1, numHeads: 1, segmentLength: 1 }),
);

function sameType(sample: unknown, value: unknown): boolean {
  // detach_every: null or a number
  if (sample === null) return value === null || typeof value === 'number';
  if (Array.isArray(sample))
    return Array.isArray(value) && value.every((item) => typeof item === typeof sample[0]);
  return typeof value === typeof sample;
}

/** The numbers in a model's parameters, without making it. */
function countParameters(config: InfiniTransformerConfig): number {
  const { vocabSize, hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headDim } = config;
  const attention = hiddenSize * headDim * (2 * numHeads + 2 * numKvHeads);
  const layer = attention + 3 * hiddenSize * intermediateSize + 2 * hiddenSize;
  const perHead = numHeads * (hiddenSize + 1);
  const features = featureDim(config.featureMap, headDim);
  const gate = { perHead: numHeads, perChannel: numHeads * headDim, input: perHead }[config.gate];
  const memory =
    gate +
    (config.writeGate === 'none' ? 0 : perHead) +
    (config.memoryNormalization === 'rmsNorm' ? headDim : 0) +
    (config.memoryInit === 'learned' ? numHeads * features * (headDim + 1) : 0);
  const heads = config.tieWordEmbeddings ? 1 : 2;
  return (
    heads * vocabSize * hiddenSize +
    numLayers * layer +
    new Set(config.memoryLayers).size * memory +
    hiddenSize
  );
}

function isDouble(tensors: Readonly<Record<string, Tensor>>): boolean {
  return Object.values(tensors).some(({ dtype }) => dtype === 'f64');
}

/** PyTorch's name of the dtype that all weights have, or of the one in which they meet. */
function dtypeName(tensors: Readonly<Record<string, Tensor>>): string {
  const names = { f16: 'float16', bf16: 'bfloat16', f32: 'float32', f64: 'float64' } as const;
  const met = Object.values(tensors).map(({ dtype }) => dtype);
  const dtype = met.length === 0 ? 'f32' : met.reduce(promote);
  return isFloat(dtype) ? names[dtype] : names.f32;
}

/** Does what it is told; an error of ours then says which file it is about. */
function naming<T>(path: string, what: () => T): T {
  try {
    return what();
  } catch (error) {
    if (!(error instanceof InfinigradError)) throw error;
    throw new FormatError('loadPretrained', `${path}: ${error.message}`);
  }
}

async function kindOf(path: string): Promise<'folder' | 'file' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return null;
  }
}

function reason(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}
