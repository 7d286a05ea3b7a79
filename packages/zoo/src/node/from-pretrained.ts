/** A model from a folder, or from the hub into one: config.json in Hugging Face's spelling, and safetensors in one file or several. */
import { join } from 'node:path';
import { FormatError, Key, scope, type FloatDType, type InfinigradError } from '@infinigrad/tensor';
import { openSafetensors, openSafetensorsSharded, type TensorFile } from '@infinigrad/tensor/node';
import { BlankKey } from '../core/blank-key.ts';
import type { ModelInit, PretrainedClass, PretrainedModel } from '../core/pretrained.ts';
import { pretrainedClasses } from '../core/registry.ts';
import {
  checkReport,
  PretrainedError,
  planLoad,
  type PretrainedReport,
  type StateOptions,
} from '../core/state.ts';
import { configName, indexName, kindOf, naming, readJson, weightsName } from './files.ts';
import { download, type DownloadOptions } from './hub.ts';
import { DownloadError } from './origin.ts';

/** A class whose models are of one type. */
export interface ClassOf<M extends PretrainedModel<object>> {
  readonly meta: PretrainedClass['meta'];
  new (options: never, key: Key, init?: ModelInit): M;
}

/** How far loading has come. */
export interface LoadProgress {
  /** The tensor that was loaded last, by its key in the file. */
  readonly name: string;
  /** Bytes of tensors loaded, and of all that will be. */
  readonly loaded: number;
  readonly total: number;
}

export interface FromPretrainedOptions<M extends PretrainedModel<object>> extends StateOptions {
  /** The class to make. Default: what `architectures` or `model_type` of config.json name. */
  readonly modelClass?: ClassOf<M>;
  /** Of the parameters. Default: f64 where the file has any such tensor, else f32, which holds all of f16 and bf16. */
  readonly dtype?: FloatDType;
  /** Draws what the file lacks, such as a new head, where `strict: false` lets it pass. Default `new Key(0)`. */
  readonly key?: Key;
  /** How a model is brought here that is no folder yet. */
  readonly download?: DownloadOptions;
  /** Called after every tensor. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Gets what became of every key. */
  readonly onReport?: (report: PretrainedReport) => void;
}

/** A folder that cannot be loaded. */
export class CheckpointError extends FormatError {
  override readonly name: string = 'CheckpointError';
  /** What became of every key; null where it did not come to that. */
  readonly report: PretrainedReport | null;

  constructor(problem: string, cause?: InfinigradError) {
    super('fromPretrained', problem);
    this.report = cause instanceof PretrainedError ? cause.report : null;
  }
}

/** A model up to this size is made even where the weights cannot fill it, so as to name what is missing. */
const harmlessNumbers = 10_000_000;
/** So are so many layers. */
const harmlessLayers = 1000;

/**
 * The model in a folder as Hugging Face writes them, ready for use: in evaluation mode. Weights are read tensor by tensor; a model
 * that is made is whole. `owner/name`, where there is no such folder, and the address of a model's page are downloaded first.
 *
 * ```ts
 * const model = await fromPretrained('models/smollm2-135m', { modelClass: LlamaForCausalLM });
 * const same = await fromPretrained('HuggingFaceTB/SmolLM2-135M', { modelClass: LlamaForCausalLM });
 * ```
 *
 * @throws DownloadError (a FormatError) for what cannot be had; FormatError that names the file where one is missing, damaged, of no known model, or does not fit the other; a
 * CheckpointError has the report
 */
export async function fromPretrained<M extends PretrainedModel<object> = PretrainedModel<object>>(
  source: string,
  options: FromPretrainedOptions<M> = {},
): Promise<M> {
  const folder = await folderOf(source, options.download);
  const configPath = join(folder, configName);
  const json = await readJson('fromPretrained', configPath);
  const failure = (problem: string, cause?: InfinigradError): CheckpointError =>
    new CheckpointError(problem, cause);
  const modelClass = options.modelClass ?? (classFor(configPath, json) as unknown as ClassOf<M>);
  const { file, path } = await openWeights(folder);
  try {
    const infos = file.names.map((name) => file.info(name));
    const held = infos.reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
    checkLayers(configPath, path, json, file.names);
    const config = naming(configPath, () => modelClass.meta.config.fromJson(json), failure);
    const stored = infos.some(({ dtype }) => dtype === 'f64') ? 'f64' : 'f32';
    const { dtype = stored, onProgress, onReport } = options;
    const budget = Math.max(held, harmlessNumbers);
    const made = (key: Key): M => scope(() => new modelClass(config as never, key, { dtype }));
    const blank = naming(
      configPath,
      () => made(new BlankKey(budget)),
      (problem, cause) =>
        failure(cause.op === 'BlankKey' ? `${problem}, and ${path} holds ${held}` : problem, cause),
    );
    const { report, assignments } = planLoad(
      blank,
      blank.spelling,
      new Map(infos.map((info) => [info.name, info])),
      options,
    );
    naming(path, () => checkReport(report, options), failure);
    onReport?.(report);
    const model = report.missing.length > 0 ? made(options.key ?? new Key(0)) : blank;
    const total = assignments.reduce((sum, { key }) => sum + file.info(key).bytes, 0);
    let loaded = 0;
    for (const { key, parts } of assignments) {
      const value = await file.read(key);
      scope(() => void model.loadStateDict(parts(value), { strict: false }));
      loaded += file.info(key).bytes;
      onProgress?.({ name: key, loaded, total });
    }
    return model.eval();
  } finally {
    await file.close();
  }
}

async function folderOf(source: string, options?: DownloadOptions): Promise<string> {
  if (/^https?:\/\//.test(source)) return download(source, options);
  const named = /^\w[\w.-]*\/\w[\w.-]*$/.test(source);
  if (!named || (await kindOf(source)) !== null) return source;
  try {
    return await download(source, options);
  } catch (error) {
    if (!(error instanceof DownloadError)) throw error;
    throw new DownloadError(`there is no folder ${source} here, and ${error.problem}`, error.hint);
  }
}

/** Opens what weights there are: one file, or an index and the files that it names. */
async function openWeights(folder: string): Promise<{ file: TensorFile; path: string }> {
  const [single, index] = [join(folder, weightsName), join(folder, indexName)];
  if ((await kindOf(single)) === null && (await kindOf(index)) !== null)
    return { file: await openSafetensorsSharded(folder), path: index };
  if ((await kindOf(single)) === null && (await kindOf(join(folder, 'pytorch_model.bin'))) !== null)
    throw new CheckpointError(
      `there is no file ${single}; pytorch_model.bin cannot be read: convert it with transformers' save_pretrained`,
    );
  return { file: await openSafetensors(single), path: single };
}

/** The class that a config.json names. */
function classFor(path: string, json: unknown): PretrainedClass {
  const { architectures, model_type: type } = (
    typeof json === 'object' && json !== null ? json : {}
  ) as Readonly<Record<string, unknown>>;
  const named: readonly unknown[] = Array.isArray(architectures) ? architectures : [];
  const found =
    pretrainedClasses.find(({ meta }) => named.includes(meta.architecture)) ??
    pretrainedClasses.find(({ meta }) => meta.config.modelType === type);
  if (found) return found;
  const known = [...new Set(pretrainedClasses.map(({ meta }) => meta.config.modelType))];
  throw new CheckpointError(
    type === undefined && named.length === 0
      ? `${path} names neither model_type nor architectures: tell the modelClass`
      : `${path} is of model type '${String(type)}', of which there is none here; there is ${known.join(', ')}`,
  );
}

/** @throws CheckpointError where a configuration claims many more layers than there are weights for */
function checkLayers(configPath: string, path: string, json: unknown, keys: readonly string[]): void {
  const held = new Set(keys.flatMap((key) => /^.*?\.\d+\./.exec(key) ?? [])).size;
  for (const name of ['num_hidden_layers', 'n_layer', 'num_layers', 'num_decoder_layers']) {
    const layers = (json as Readonly<Record<string, unknown>> | null)?.[name];
    if (typeof layers === 'number' && layers > Math.max(held, harmlessLayers))
      throw new CheckpointError(`${configPath}: ${name} is ${layers}, and ${path} holds ${held} layers`);
  }
}
