/** The models that can be trained and read here, and their sizes by name. */
import { join } from 'node:path';
import {
  BertForMaskedLM,
  bertPresets,
  blankGlmPresets,
  featureDim,
  footprints,
  GlmForBlankInfilling,
  GlmForCausalLM,
  glmPresets,
  GopherForCausalLM,
  gopherPresets,
  GPT2LMHeadModel,
  gpt2Presets,
  GPTNeoForCausalLM,
  gptNeoPresets,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  LlamaForCausalLM,
  llamaPresets,
  T5ForConditionalGeneration,
  t5Presets,
  TransformerXL,
  type AttentionShape,
  type ConfigSchema,
  type InfiniLlamaConfig,
  type InfiniTransformerConfig,
  type PretrainedModel,
  type TransformerXLConfig,
} from '@infinigrad/zoo';
import type { Key, Tensor } from '@infinigrad/tensor';
import { fromPretrained, type ClassOf } from '@infinigrad/zoo/node';
import { configName, readObject } from './checkpoint.ts';
import { CommandError, UsageError } from './errors.ts';
import type { Kind } from './objectives/names.ts';

/** A model that can be trained here. What it is called with besides is a matter of its objective. */
export type TrainedModel = PretrainedModel<object> & {
  forward(
    inputIds: Tensor,
    options?: { readonly lastLogits?: number | undefined; readonly key?: Key } & Readonly<
      Record<string, unknown>
    >,
  ): { readonly logits: Tensor };
};

type Options = Readonly<Record<string, unknown>>;

export interface Family {
  /** Hugging Face's model type. */
  readonly type: string;
  readonly presets: Readonly<Record<string, Options>>;
  readonly schema: ConfigSchema<object>;
  /** As `fromPretrained` takes it. */
  readonly modelClass: ClassOf<TrainedModel>;
  make(config: object, key: Key): TrainedModel;
  /** How it reads, and so what it can be trained on. */
  readonly kind: Kind;
  /** The field that says how many tokens a text may have; null where it may have any number. */
  readonly positions: string | null;
  /** Numbers that a model keeps of a text of so many tokens; null where it keeps nothing, or that is not known. */
  readonly footprint: ((config: object, length: number) => number) | null;
}

interface ModelClass {
  readonly meta: { readonly config: unknown; readonly shape?: unknown };
  new (options: never, key: Key): unknown;
}

/** Keys and values of every token. */
const keysAndValues =
  ({ meta }: ModelClass) =>
  (config: object, length: number): number => {
    const { kvHeads, ...shape } = (meta.shape as (config: object) => AttentionShape)(config);
    return footprints.transformer({ ...shape, heads: kvHeads }, length);
  };

function family(
  kind: Kind,
  modelClass: ModelClass,
  presets: Readonly<Record<string, Options>>,
  positions: string | null,
  footprint: Family['footprint'] = keysAndValues(modelClass),
): Family {
  const schema = modelClass.meta.config as ConfigSchema<object>;
  return {
    type: schema.modelType,
    presets,
    schema,
    modelClass: modelClass as unknown as ClassOf<TrainedModel>,
    make: (config, key) => new modelClass(config as never, key) as TrainedModel,
    kind,
    positions,
    footprint,
  };
}

/** Ours, for trying things out, over bytes. */
const tiny = { vocabSize: 256, hiddenSize: 64, tieWordEmbeddings: true } as const;
const infiniPresets = { 'infini-tiny': { ...tiny, numLayers: 2, numHeads: 2, segmentLength: 32 } };
const infiniLlamaPresets = { 'infini-llama-tiny': { ...llamaPresets['llama-tiny'], segmentLength: 32 } };
const xlPresets = { 'transformer-xl-tiny': { ...tiny, numLayers: 2, numHeads: 4, segmentLength: 32 } };

/** Memories alone, however long the text is. */
function memories(
  layers: readonly number[],
  heads: number,
  { featureMap, headDim }: Pick<InfiniTransformerConfig, 'featureMap' | 'headDim'>,
): number {
  const keyDim = featureDim(featureMap, headDim);
  return footprints.infini({ layers: new Set(layers).size, heads, keyDim, valueDim: headDim });
}

export const families: readonly Family[] = [
  family('prefixDecoder', LlamaForCausalLM, llamaPresets, null),
  family('prefixDecoder', GPT2LMHeadModel, gpt2Presets, 'nPositions'),
  family('decoder', GPTNeoForCausalLM, gptNeoPresets, 'maxPositionEmbeddings'),
  family('prefixDecoder', GlmForCausalLM, glmPresets, null),
  family('decoder', GopherForCausalLM, gopherPresets, null),
  family('encoder', BertForMaskedLM, bertPresets, 'maxPositionEmbeddings', null),
  family('encoderDecoder', T5ForConditionalGeneration, t5Presets, null, null),
  family('blankFiller', GlmForBlankInfilling, blankGlmPresets, 'maxSequenceLength', null),
  family('decoder', TransformerXL, xlPresets, null, (config, length) => {
    const { numLayers: layers, memoryLength, hiddenSize } = config as TransformerXLConfig;
    return layers * hiddenSize * Math.min(length, memoryLength);
  }),
  family('decoder', InfiniTransformer, infiniPresets, null, (config) => {
    const own = config as InfiniTransformerConfig;
    return memories(own.memoryLayers, own.numHeads, own);
  }),
  family('decoder', InfiniLlamaForCausalLM, infiniLlamaPresets, null, (config) => {
    const own = config as InfiniLlamaConfig;
    return memories(own.memoryLayers, own.numAttentionHeads, own);
  }),
];

export const presetNames: readonly string[] = families.flatMap(({ presets }) => Object.keys(presets));

/** A preset's family, and what it says. @throws UsageError that lists all of them where there is none */
export function presetOf(name: string): { readonly family: Family; readonly options: Options } {
  for (const family of families) {
    const options = Object.hasOwn(family.presets, name) ? family.presets[name] : undefined;
    if (options) return { family, options };
  }
  throw new UsageError(`there is no model '${name}'; there is ${presetNames.join(', ')}`);
}

/** @throws UsageError for a model type that cannot be trained here */
export function familyOf(type: unknown): Family {
  const found = families.find((family) => family.type === type);
  if (found) return found;
  throw new UsageError(
    `models of type '${String(type)}' cannot be used here; there is ${families.map((f) => f.type).join(', ')}`,
  );
}

/** Types of models that read in such a way. */
export const modelsFor = (able: (kind: Kind) => boolean): string[] =>
  families.flatMap(({ kind, type }) => (able(kind) ? [type] : []));

/** A saved model and its family. @throws CommandError for a model that cannot be used here, FormatError for one that is damaged */
export async function savedModel(
  folder: string,
): Promise<{ readonly family: Family; readonly model: TrainedModel }> {
  const { model_type: type } = await readObject(join(folder, configName));
  const family = families.find((one) => one.type === type);
  if (!family)
    throw new CommandError(
      `${folder} holds a model of type '${String(type)}', which cannot be used here; there is ${families.map((one) => one.type).join(', ')}`,
    );
  return { family, model: await fromPretrained(folder, { modelClass: family.modelClass }) };
}

/** Tokens that a text may have; Infinity where there is no limit. */
export function mostTokens({ positions }: Family, config: object): number {
  return positions === null ? Infinity : ((config as Options)[positions] as number);
}
