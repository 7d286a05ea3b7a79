/** A saved model with its tokenizer, ready to be asked. */
import { join } from 'node:path';
import {
  infiniDecoder,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  type GenerativeModel,
  type Tokenizer,
} from '@infinigrad/zoo';
import { configName, kindOf } from './checkpoint.ts';
import { CommandError } from './errors.ts';
import { mostTokens, savedModel, type Family, type TrainedModel } from './families.ts';
import { prefixReader, wholeTextReader } from './generate/readers.ts';
import { chosenObjective, type Kind, type ObjectiveName } from './objectives/names.ts';
import { planIn, planName, type TrainPlan } from './train/plan.ts';
import { tokenizerIn } from './tokenizer.ts';

/** A model as generation reads it. */
export interface LoadedReader {
  readonly reader: GenerativeModel;
  /** null where the folder holds none. */
  readonly tokenizer: Tokenizer | null;
  readonly vocabSize: number;
  /** Tokens that a text may have. */
  readonly most: number;
}

export interface LoadedModel {
  readonly folder: string;
  readonly model: TrainedModel;
  readonly family: Family;
  /** What is asked for; else what it was trained on, where its run tells, or such models usually are. */
  readonly objective: ObjectiveName;
  /** The run that has made it; null where the folder holds none. */
  readonly plan: TrainPlan | null;
  readonly tokenizer: Tokenizer | null;
  readonly vocabSize: number;
  readonly most: number;
}

/**
 * @param objective that it is to be asked for. Default: what it was trained on
 * @throws CommandError where the folder holds no language model, FormatError where it is damaged, UsageError for an objective that it
 * does not take
 */
export async function loadModel(folder: string, objective?: ObjectiveName): Promise<LoadedModel> {
  await checkFolder(folder);
  const { family, model } = await savedModel(folder);
  const { vocabSize } = model.config as { vocabSize: number };
  const plan = (await kindOf(join(folder, planName))) === 'file' ? await planIn(folder) : null;
  return {
    folder,
    model,
    family,
    objective: chosenObjective(objective ?? plan?.objective, family),
    plan,
    tokenizer: await tokenizerIn(folder, vocabSize),
    vocabSize,
    most: mostTokens(family, model.config),
  };
}

/** How a model goes on with a text. @throws CommandError where it does not */
export function readerOf(loaded: LoadedModel): LoadedReader {
  const { folder, model, family, objective } = loaded;
  const make = readers[family.kind];
  if (!make || (family.kind === 'blankFiller' && objective !== 'prefix'))
    throw new CommandError(
      `the model in ${folder} (${family.type}) goes on with no text: it fills in what is left open in one`,
    );
  return { ...loaded, reader: make(model, objective) };
}

const readers: Readonly<
  Partial<Record<Kind, (model: TrainedModel, objective: ObjectiveName) => GenerativeModel>>
> = {
  decoder: (model) =>
    model instanceof InfiniTransformer || model instanceof InfiniLlamaForCausalLM
      ? infiniDecoder(model)
      : (model as GenerativeModel),
  prefixDecoder: (model, objective) =>
    objective === 'prefix' ? prefixReader(model) : (model as GenerativeModel),
  encoderDecoder: (model) => model as GenerativeModel,
  blankFiller: (model) => wholeTextReader(model),
};

async function checkFolder(folder: string): Promise<void> {
  if ((await kindOf(folder)) !== 'folder') throw new CommandError(`there is no folder ${folder}`);
  const unfinished =
    (await kindOf(join(folder, configName))) === null && (await kindOf(join(folder, planName))) === 'file';
  if (unfinished)
    throw new CommandError(`${folder} holds a run that is not finished: infinigrad train --resume ${folder}`);
}

/** @throws CommandError where there is none */
export function needTokenizer(
  { tokenizer }: Pick<LoadedReader, 'tokenizer'>,
  folder: string,
  hint: string,
): Tokenizer {
  if (!tokenizer) throw new CommandError(`${folder} holds no tokenizer${hint}`);
  return tokenizer;
}
