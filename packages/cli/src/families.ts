/** The models that can be trained and read here, and their sizes by name. */
import { join } from 'node:path';
import {
  featureDim,
  footprints,
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

/** A language model that tells the next token. */
export type CausalModel = PretrainedModel<object> & {
  forward(
    inputIds: Tensor,
    options?: { readonly lastLogits?: number; readonly key?: Key },
  ): { readonly logits: Tensor };
};

type Options = Readonly<Record<string, unknown>>;

export interface Family {
  /** Hugging Face's model type. */
  readonly type: string;
  readonly presets: Readonly<Record<string, Options>>;
  readonly schema: ConfigSchema<object>;
  /** As `fromPretrained` takes it. */
  readonly modelClass: ClassOf<CausalModel>;
  make(config: object, key: Key): CausalModel;
  /** The field that says how many tokens a text may have; null where it may have any number. */
  readonly positions: string | null;
  /** Numbers that a model keeps of a text of so many tokens. */
  footprint(config: object, length: number): number;
}

interface ModelClass {
  readonly meta: { readonly config: unknown; readonly shape?: unknown };
  new (options: never, key: Key): unknown;
}

function family(
  modelClass: ModelClass,
  presets: Readonly<Record<string, Options>>,
  positions: string | null,
  footprint: Family['footprint'] = (config, length) => {
    const { kvHeads, ...shape } = (modelClass.meta.shape as (config: object) => AttentionShape)(config);
    return footprints.transformer({ ...shape, heads: kvHeads }, length);
  },
): Family {
  const schema = modelClass.meta.config as ConfigSchema<object>;
  return {
    type: schema.modelType,
    presets,
    schema,
    modelClass: modelClass as unknown as ClassOf<CausalModel>,
    make: (config, key) => new modelClass(config as never, key) as CausalModel,
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
  family(LlamaForCausalLM, llamaPresets, null),
  family(GPT2LMHeadModel, gpt2Presets, 'nPositions'),
  family(GPTNeoForCausalLM, gptNeoPresets, 'maxPositionEmbeddings'),
  family(GlmForCausalLM, glmPresets, null),
  family(GopherForCausalLM, gopherPresets, null),
  family(TransformerXL, xlPresets, null, (config, length) => {
    const { numLayers: layers, memoryLength, hiddenSize } = config as TransformerXLConfig;
    return layers * hiddenSize * Math.min(length, memoryLength);
  }),
  family(InfiniTransformer, infiniPresets, null, (config) => {
    const own = config as InfiniTransformerConfig;
    return memories(own.memoryLayers, own.numHeads, own);
  }),
  family(InfiniLlamaForCausalLM, infiniLlamaPresets, null, (config) => {
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

/** A saved model and its family. @throws CommandError for a model that tells no next token, FormatError for one that is damaged */
export async function savedModel(
  folder: string,
): Promise<{ readonly family: Family; readonly model: CausalModel }> {
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
